"""Others' words, made fit for a terminal."""

from hypothesis import given
from hypothesis import strategies as st

from netshare.core.words import harmless


@given(st.text())
def test_nothing_that_a_terminal_acts_on_is_ever_printed(text: str) -> None:
    assert harmless(text).isprintable()


@given(st.text(alphabet=st.characters(categories=("L", "N", "P", "S"))))
def test_what_people_can_read_stays_as_it_is(text: str) -> None:
    assert harmless(text) == text
