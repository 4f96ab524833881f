"""Hostile input, a little of it every time; `scripts/fuzz` goes on for as long as one likes."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.every import TARGETS

_EXAMPLES = 80


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=_EXAMPLES, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_nothing_hostile_is_met_by_anything_but_words(name: str, data: st.DataObject) -> None:
    target = TARGETS[name]
    target.check(data.draw(target.inputs))
