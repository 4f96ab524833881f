"""What a terminal sends, as keys: letters as they are, others by a name."""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

UP, DOWN, PAGE_UP, PAGE_DOWN, HOME, END, ESCAPE = "up", "down", "page up", "page down", "home", "end", "escape"

# Sequences of ECMA-48 and, where a terminal is in its application mode, of DEC: one key each, known here or not.
_KEY = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1bO[ -~]|\x1b|.", re.DOTALL)
_NAMES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("\x1b[A", "\x1bOA", "k"), UP),
        **dict.fromkeys(("\x1b[B", "\x1bOB", "j"), DOWN),
        **dict.fromkeys(("\x1b[5~", "\x02"), PAGE_UP),
        **dict.fromkeys(("\x1b[6~", "\x06", " "), PAGE_DOWN),
        **dict.fromkeys(("\x1b[H", "\x1bOH", "\x1b[1~", "g"), HOME),
        **dict.fromkeys(("\x1b[F", "\x1bOF", "\x1b[4~", "G"), END),
        "\x1b": ESCAPE,
    }
)


def keys(sent: str) -> Iterator[str]:
    """Give the keys that were pressed; what is none of a keyboard that is known here is left out."""
    for found in _KEY.findall(sent):
        name = _NAMES.get(found, found)
        if name.isprintable():
            yield name
