"""The commands that the documents tell people to type: each is understood by the command line that is here."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from netshare.cli.app import application

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ["README.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "netshare" / "docs").glob("*.md"))]
SHELL_WORDS = {"|", "&", "&&", "||", ";", ">", ">>"}


def commands(document: str) -> Iterator[list[str]]:
    """The netshare commands in a document's shell blocks, as words."""
    text = (ROOT / document).read_text(encoding="utf-8")
    for block in re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            yield from netshare_commands(line)


def netshare_commands(line: str) -> Iterator[list[str]]:
    """The netshare commands of one line; what the shell does with their output is left out."""
    command: list[str] = []
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    for word in [*lexer, ";"]:
        if word not in SHELL_WORDS:
            command.append(word)
            continue
        words = command[1:] if command[:1] == ["sudo"] else command
        if words[:1] == ["netshare"]:
            yield words[1:]
        command = []


def understand(words: list[str]) -> None:
    """Parse a command line and run nothing of it; raises what its user would be told."""
    group = get_command(application(words))
    name, arguments = "netshare", words
    while isinstance(group, TyperGroup):
        context = group.make_context(name, list(arguments), resilient_parsing=False)
        rest = [*context._protected_args, *context.args]  # noqa: SLF001 (what click itself goes on with)
        if not rest:
            return
        _, command, arguments = group.resolve_command(context, rest)
        assert command is not None
        name, group = rest[0], command
    group.make_context(name, list(arguments), resilient_parsing=False)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_in_a_document_is_one(document: str) -> None:
    for words in commands(document):
        understand(words)


def test_a_word_that_is_none_is_found_out() -> None:
    with pytest.raises(Exception, match="No such option"):
        understand(["attach", "web", "80", "--no-such-word"])
    with pytest.raises(Exception, match="No such command"):
        understand(["no-such-verb"])


def test_the_readme_has_commands_to_check() -> None:
    assert sum(1 for _ in commands("README.md")) > 10
    assert list(netshare_commands("sudo netshare list -o json | jq . && netshare sync  # now")) == [
        ["list", "-o", "json"],
        ["sync"],
    ]
