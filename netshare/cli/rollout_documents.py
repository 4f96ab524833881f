"""A rollout that has ended as the document that ``-o json`` prints: fields are only ever added."""

from collections.abc import Sequence

from netshare.cli.documents import SCHEMA, Document
from netshare.core.rollout import Member, Pair
from netshare.errors import NetshareError
from netshare.operations.rollout import Rolled


def of_rolled(rolled: Rolled, problems: Sequence[NetshareError]) -> Document:
    """Describe how it ended, and who has taken whose place."""
    document: Document = {
        "schema": SCHEMA,
        "name": rolled.service,
        "outcome": rolled.outcome.value,
        "seconds": round(rolled.seconds, 3),
        "replicas": [_pair(pair) for pair in rolled.pairs],
    }
    errors = [{"code": each.code, "message": each.message, "hint": each.hint} for each in problems]
    return document | ({"error": errors[0]} if errors else {})


def _pair(pair: Pair) -> Document:
    return {"old": _member(pair.old), "new": None if pair.new is None else _member(pair.new)}


def _member(member: Member) -> Document:
    return {"name": member.name, "id": member.id, "engine": member.engine}
