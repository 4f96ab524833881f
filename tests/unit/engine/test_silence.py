import pytest

from netshare.engine.silence import as_one, unanswered
from netshare.errors import EngineUnreachableError

GONE = EngineUnreachableError("gone", hint="start it")
ABSENT = EngineUnreachableError("never there", hint="install it", absent=True)
BOTH = ("docker", "podman")


@pytest.mark.parametrize(
    ("asked", "silent", "to_blame"),
    [
        (BOTH, {}, set()),
        (BOTH, {"docker": GONE}, {"docker"}),
        (BOTH, {"podman": GONE}, {"podman"}),
        (BOTH, {"docker": GONE, "podman": GONE}, {"docker", "podman"}),
        # Most hosts have only one of the two.
        (BOTH, {"podman": ABSENT}, set()),
        (BOTH, {"docker": ABSENT}, set()),
        (BOTH, {"docker": GONE, "podman": ABSENT}, {"docker"}),
        # With none at all there is nothing to go by.
        (BOTH, {"docker": ABSENT, "podman": ABSENT}, {"docker", "podman"}),
        # Exactly this one was asked for.
        (("podman",), {"podman": ABSENT}, {"podman"}),
        (("podman",), {"docker": GONE}, set()),
        ((), {"docker": GONE}, set()),
    ],
)
def test_whose_silence_it_is(
    asked: tuple[str, ...], silent: dict[str, EngineUnreachableError], to_blame: set[str]
) -> None:
    assert unanswered(asked, silent) == {name: silent[name] for name in to_blame}


def test_several_are_told_of_in_one() -> None:
    assert as_one([GONE]) is GONE
    both = as_one([GONE, ABSENT])
    assert both.message == "no engine answers: gone; never there"
    assert both.hint == "start it; or install it"
    assert both.exit_code == 6
