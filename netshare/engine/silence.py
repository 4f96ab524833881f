"""What it means for a service that an engine does not answer, where its replicas may live in more than one. Pure."""

from collections.abc import Collection, Mapping

from netshare.errors import EngineUnreachableError


def unanswered(
    asked: Collection[str], silent: Mapping[str, EngineUnreachableError]
) -> dict[str, EngineUnreachableError]:
    """Pick the engines whose silence leaves it unknown what replicas there are, of those that are asked for them.

    One that is absent leaves nothing unknown as long as another is there; where none is, all are to blame.
    """
    silences = {name: silent[name] for name in asked if name in silent}
    present = {name: silence for name, silence in silences.items() if not silence.absent}
    return present if present or len(silences) < len(asked) else silences


def as_one(silences: Collection[EngineUnreachableError]) -> EngineUnreachableError:
    """Say the silence of several engines in one error."""
    if len(silences) == 1:
        return next(iter(silences))
    messages = "; ".join(silence.message for silence in silences)
    hints = "; or ".join(silence.hint for silence in silences if silence.hint)
    return EngineUnreachableError(f"no engine answers: {messages}", hint=hints or None)
