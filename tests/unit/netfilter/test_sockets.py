from pathlib import Path

from netshare.netfilter.sockets import parse, processes_with


def process(proc: Path, pid: int, name: str, *links: str) -> None:
    descriptors = proc / str(pid) / "fd"
    descriptors.mkdir(parents=True)
    (proc / str(pid) / "comm").write_text(f"{name}\n", encoding="utf-8")
    for number, link in enumerate(links):
        (descriptors / str(number)).symlink_to(link)


def test_a_socket_is_the_first_processs_by_number(tmp_path: Path) -> None:
    process(tmp_path, 100, "nginx", "/dev/null", "socket:[7]")
    process(tmp_path, 99, "nginx", "socket:[7]", "socket:[8]")
    process(tmp_path, 1000, "other", "socket:[9]", "pipe:[7]")
    (tmp_path / "sys").mkdir()
    assert processes_with({7, 9}, tmp_path) == {7: "nginx (pid 99)", 9: "other (pid 1000)"}


def test_what_is_not_found_is_not_there(tmp_path: Path) -> None:
    process(tmp_path, 5, "sh")
    (tmp_path / "6").mkdir()  # ended meanwhile
    assert processes_with({7}, tmp_path) == {}


def test_a_name_can_not_do_harm(tmp_path: Path) -> None:
    process(tmp_path, 5, "\x1b[31mred\n\u202eder", "socket:[7]")
    process(tmp_path, 6, "", "socket:[8]")
    found = processes_with({7, 8}, tmp_path)
    assert found == {7: "?[31mred??der (pid 5)", 8: "a process (pid 6)"}


def test_an_answer_that_is_cut_short_is_nothing() -> None:
    whole = bytes([2, 10]) + bytes(70)
    assert parse(whole) is not None
    assert all(parse(whole[:length]) is None for length in range(len(whole)))
    six = bytes([10, 10]) + bytes(70)
    for rest in (b"", b"\0", b"\5\0\x0b", b"\5\0\x0b\0", b"\0\0\x0b\0\1"):
        found = parse(six + rest)
        assert found is not None
        assert found.takes_ipv4
    only_ipv6 = parse(six + b"\5\0\x0b\0\1\0\0\0")
    assert only_ipv6 is not None
    assert not only_ipv6.takes_ipv4
