import pytest

from netshare.runtime import command


def test_what_a_program_came_to() -> None:
    shell = command.find("sh")
    assert shell is not None
    done = command.run(shell, "-c", "cat; echo bad >&2; echo worse >&2; exit 3", given="in", timeout=60)
    assert (done.code, done.out, done.last_words) == (3, "in", "bad")
    assert command.run(shell, "-c", "exit 4", timeout=60).last_words == "exit code 4"


def test_one_that_hangs_is_ended() -> None:
    sleep = command.find("sleep")
    assert sleep is not None
    with pytest.raises(TimeoutError, match=r"did not end within 0\.1 s"):
        command.run(sleep, "600", timeout=0.1)


def test_one_that_is_not_there() -> None:
    assert command.find("no-such-program") is None
