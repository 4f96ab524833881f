"""Text as man(7) wants it, so that neither man nor mandoc finds fault with it."""

import re
from collections.abc import Iterable

_SIGNS = {"\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti", "…": "...", "→": "\\->"}


def escaped(text: str) -> str:
    """Write text so that every sign stands for itself, at the beginning of a line too."""
    safe = _plain(text)
    return f"\\&{safe}" if safe.startswith((".", "'")) else safe


def prose(text: str) -> str:
    """Write prose, a line for each of its lines; what stands between backquotes is bold."""
    parts = text.strip().split("`")
    if len(parts) % 2 == 0:
        raise ValueError(f"a backquote without its second: {text}")
    marked = "".join(f"\\fB{_whole(part)}\\fP" if number % 2 else _plain(part) for number, part in enumerate(parts))
    return "\n".join(f"\\&{line}" if line.startswith((".", "'")) else line for line in marked.splitlines())


def bold(text: str) -> str:
    """Write words that are typed as they are."""
    return f"\\fB{escaped(text)}\\fP"


def italic(text: str) -> str:
    """Write words that stand for others."""
    return f"\\fI{escaped(text)}\\fP"


def section(title: str, *lines: str) -> str:
    """Write a section."""
    return "\n".join((f".SH {title}", *lines))


def item(head: str, text: str) -> str:
    """Write an entry of a list: its head, and what there is to say, indented."""
    return f".TP\n{head}\n{text}"


def paragraphs(text: str) -> str:
    """Write paragraphs, which blank lines part."""
    return "\n.PP\n".join(map(prose, text.strip().split("\n\n")))


def example(text: str) -> str:
    """Write lines to be typed, each as it is."""
    return "\n".join((".RS", ".EX", *(escaped(line) for line in text.strip().splitlines()), ".EE", ".RE"))


def page(name: str, date: str, source: str, sections: Iterable[str]) -> str:
    """Write a page."""
    head = f'.TH {escaped(name.upper())} 1 "{date}" "{source}" "netshare manual"'
    note = '.\\" Made of the command line by `python -m scripts.manual`: change that, not this.'
    return "\n".join((note, head, *sections)) + "\n"


def _whole(text: str) -> str:
    """Write words that are not to be hyphenated: who types them would type the hyphen."""
    return re.sub(r"(?<!\S)(?=\w)", r"\\%", _plain(text))


def _plain(text: str) -> str:
    return "".join(_SIGNS.get(sign, sign) for sign in text)
