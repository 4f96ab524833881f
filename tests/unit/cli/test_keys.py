import pytest
from hypothesis import given
from hypothesis import strategies as st

from netshare.cli.keys import keys


@pytest.mark.parametrize(
    ("sent", "pressed"),
    [
        ("q", ["q"]),
        ("\x1b[A\x1b[B\x1bOA\x1bOBkj", ["up", "down", "up", "down", "up", "down"]),
        ("\x1b[5~\x1b[6~\x1b[H\x1b[F\x1b[1~\x1b[4~", ["page up", "page down", "home", "end", "home", "end"]),
        ("\x1b", ["escape"]),
        ("\x1b[1;5C", []),  # Ctrl-Right: a key, and none that is known here
        ("\x1b[200~d\x1b[201~", ["d"]),
        ("\x00\x07\r\n", []),
        ("", []),
    ],
)
def test_what_a_terminal_sends(sent: str, pressed: list[str]) -> None:
    assert list(keys(sent)) == pressed


@given(st.text())
def test_whatever_is_sent_is_keys_that_can_be_named(sent: str) -> None:
    assert all(key.isprintable() for key in keys(sent))
