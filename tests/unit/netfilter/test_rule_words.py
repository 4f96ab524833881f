"""Rules as words: what is written reads as it was, whoever reads it."""

import shlex

from hypothesis import given
from hypothesis import strategies as st

from netshare.netfilter.rule_words import join, split

words = st.lists(st.text("abc-/[]:0 '\"\\\té$`", min_size=1), min_size=1)


@given(words)
def test_a_line_reads_as_it_was_written(those: list[str]) -> None:
    assert shlex.split(join(tuple(those))) == those
    assert split(join(tuple(those))) == tuple(those)


def test_only_what_needs_it_is_quoted() -> None:
    assert join(("-A", "FORWARD", "--comment", 'a "b" \\ c')) == r'-A FORWARD --comment "a \"b\" \\ c"'
