import json

from hypothesis import given
from hypothesis import strategies as st

from netshare.core.event import Event, Stage, event
from netshare.core.model import ReplicaState

VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()


def test_a_line_is_the_stage_and_the_fields_in_order() -> None:
    told = event(Stage.APPLY, cause="docker kill 3f2a", added=1, rebuilt=False, ms=0.8333, kept=None)
    assert str(told) == "apply cause='docker kill 3f2a' added=1 rebuilt=no ms=0.8"
    assert told.document() == {"stage": "apply", "cause": "docker kill 3f2a", "added": 1, "rebuilt": False, "ms": 0.833}


def test_words_stand_as_they_are_and_texts_are_quoted() -> None:
    told = event(Stage.JUDGE, endpoint="[fd00::2]:80", state=ReplicaState.READY, replica="a b", reason="ok", kept="")
    assert str(told) == "judge endpoint=[fd00::2]:80 state=ready replica='a b' reason='ok' kept=''"
    assert json.dumps(told.document()["state"]) == '"ready"'


def test_what_is_very_long_is_cut() -> None:
    told = event(Stage.APPLY, cause=", ".join(f"docker start {number}" for number in range(10_000)))
    assert len(str(told)) < 700
    assert str(told).endswith("…'")
    assert len(json.dumps(told.document())) < 700


@given(st.dictionaries(st.sampled_from(["service", "reason", "replica", "ms"]), VALUES))
def test_whatever_is_told_is_one_harmless_line(fields: dict[str, str | int | float | bool | None]) -> None:
    told = Event(Stage.JUDGE, fields)
    assert str(told).isprintable()
    assert json.loads(json.dumps(told.document())) == told.document()
