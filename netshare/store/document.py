"""A YAML or JSON text as plain data, with the line that each part of it stands on. It is hostile input.

Of YAML only what JSON can say as well: no tags, no anchors and aliases (a bomb is made of these), every key once, no
more nesting than a definition has. Numbers and ``true`` are what JSON takes for such, in YAML 1.2's sense; what YAML
1.1 would make a boolean of (``no``), a number to the base 60 (``22:22``) or a date is a word here.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

LARGEST = 4 << 20
"""Bytes. Ten thousand services are half of it."""

_DEEPEST = 16
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}

Place = tuple[int | str, ...]

# Ten times as fast as the other, where PyYAML was built with it.
_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class InvalidDocumentError(Exception):
    """A text is no document; the message says why, ``line`` where, if that is known."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Document:
    """What a text says, and on which lines (from 1; none for JSON)."""

    data: object
    lines: dict[Place, int]

    def line(self, path: Place) -> int | None:
        """Find the line of a part, or of the nearest whole that is there."""
        ends = (path[:end] for end in range(len(path), -1, -1))
        return next((self.lines[part] for part in ends if part in self.lines), None)


def read(content: bytes) -> Document:
    """Read a text: JSON if it begins like that, else YAML.

    Raises:
        InvalidDocumentError: it is neither, or more than a list of services needs.

    """
    if len(content) > LARGEST:
        raise InvalidDocumentError(f"it is larger than {LARGEST >> 20} MiB")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidDocumentError(
            f"it is not UTF-8: {error.reason}", content[: error.start].count(b"\n") + 1
        ) from error
    return _json(text) if text.lstrip().startswith(("{", "[")) else _yaml(text)


def _json(text: str) -> Document:
    try:
        return Document(json.loads(text, object_pairs_hook=_each_key_once), {})
    except json.JSONDecodeError as error:
        raise InvalidDocumentError(f"it is not JSON: {error.msg}", error.lineno) from error
    except RecursionError as error:
        raise InvalidDocumentError("it is nested too deeply") from error
    except ValueError as error:  # a number of thousands of digits
        raise InvalidDocumentError(str(error)) from error


def _each_key_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise InvalidDocumentError(f"{key!r} is there twice")
        found[key] = value
    return found


def _yaml(text: str) -> Document:
    try:
        _check_events(text)
        root = yaml.compose(text, _LOADER)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        why = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise InvalidDocumentError(f"it is not YAML: {why}", mark.line + 1 if mark else None) from error
    lines: dict[Place, int] = {}
    return Document(None if root is None else _plain(root, (), lines), lines)


def _check_events(text: str) -> None:
    """Refuse what only YAML can say, before anything is built of it: this does not recurse, and building does."""
    depth = 0
    for event in yaml.parse(text, _LOADER):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise InvalidDocumentError("anchors and aliases (& and *) are not taken: write it out", _line(event))
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEEPEST:
                raise InvalidDocumentError("it is nested too deeply", _line(event))
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise InvalidDocumentError(f"tags are not taken: {tag}", _line(event))


def _line(part: yaml.Event | yaml.Node) -> int:
    return int(part.start_mark.line) + 1  # type: ignore[union-attr] # what is parsed from a text has a mark


def _plain(node: yaml.Node, path: Place, lines: dict[Place, int]) -> object:
    lines[path] = _line(node)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*path, index), lines) for index, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        return dict(_pairs(node, path, lines))
    # Quoted, or a block of text; "" is what libyaml calls plain.
    is_text = isinstance(node, yaml.ScalarNode) and bool(node.style)
    return str(node.value) if is_text else _scalar(str(node.value))


def _pairs(node: yaml.MappingNode, path: Place, lines: dict[Place, int]) -> Iterator[tuple[str, object]]:
    seen: set[str] = set()
    for key, value in node.value:
        line = _line(key)
        if not isinstance(key, yaml.ScalarNode):
            raise InvalidDocumentError("a key has to be a word", line)
        name = str(key.value)
        if name in seen:
            raise InvalidDocumentError(f"{name!r} is there twice", line)
        seen.add(name)
        yield name, _plain(value, (*path, name), lines)
        lines[*path, name] = line


def _scalar(word: str) -> object:
    if word in _WORDS:
        return _WORDS[word]
    # No number that anything is set to has more digits, and the conversion of many takes a time of its own.
    return int(word) if len(word) < 20 and _NUMBER.fullmatch(word) else word  # noqa: PLR2004
