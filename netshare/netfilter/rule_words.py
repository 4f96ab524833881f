"""iptables' rules as words, to and from the lines of ``iptables -S``, ``iptables-save`` and ``iptables-restore``."""

import re

Words = tuple[str, ...]
"""A rule, word by word, as ``iptables -S`` lists it."""

_WORD = re.compile(r'"((?:[^"\\]|\\.)+)"|(\S+)')
_ESCAPED = re.compile(r"\\(.)")
_PLAIN = re.compile(r"[A-Za-z0-9_./:,=\[\]!-]+", re.ASCII)


def split(line: str) -> Words:
    """Take a line apart; only double quotes quote, and in them a backslash (xtables_save_string)."""
    if '"' not in line:
        return tuple(line.split())
    return tuple(
        _ESCAPED.sub(r"\1", quoted) if quoted else plain.replace('""', "") for quoted, plain in _WORD.findall(line)
    )


def join(words: Words) -> str:
    """Write a line for ``iptables-restore``, which knows double quotes and no others (xshared.c, add_param_to_argv)."""
    return " ".join(word if _PLAIN.fullmatch(word) else _quoted(word) for word in words)


def _quoted(word: str) -> str:
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
