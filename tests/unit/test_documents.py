"""The documents: each command they tell people to type is one, each link leads somewhere, each page can be found."""

import re
import shlex
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from netshare.cli.app import application

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "netshare" / "docs"
INDEX = DOCS / "README.md"
PAGES = sorted(DOCS.rglob("*.md"))
DOCUMENTS = [*sorted(ROOT.glob("*.md")), ROOT / "app" / "README.md", *PAGES]
SHELL_WORDS = {"|", "&", "&&", "||", ";", ">", ">>", "(", ")", "if", "then", "else", "while", "do", "!"}
_PREFIXES = {"sudo", "time"}

every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def blocks(text: str, *languages: str) -> Iterator[str]:
    """The fenced blocks of some languages, also those inside of lists."""
    for indent, language, block in re.findall(r"^( *)```(\w+)\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL):
        if language in languages:
            yield re.sub(rf"^{indent}", "", block, flags=re.MULTILINE)


def prose(text: str) -> str:
    """A document without its blocks and its code: what is left of it is Markdown."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^( *)```.*?^\1```$", "", text, flags=re.MULTILINE | re.DOTALL))


def commands(text: str) -> Iterator[list[str]]:
    """The netshare commands in a document's shell blocks and sessions, as words."""
    for block in blocks(text, "sh", "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            yield from netshare_commands(line)
    for block in blocks(text, "console"):
        for line in re.findall(r"^[$#] (.*)$", block.replace("\\\n", " "), re.MULTILINE):
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
        words = command[1:] if command[:1] and command[0] in _PREFIXES else command
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


def anchors(text: str) -> set[str]:
    """The anchors of a document's headings, as GitHub and most others make them."""
    seen: Counter[str] = Counter()
    found = set()
    body = re.sub(r"^( *)```.*?^\1```$", "", text, flags=re.MULTILINE | re.DOTALL)
    for heading in re.findall(r"^#{1,6} (.+?)\s*$", body, re.MULTILINE):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def links(document: Path) -> Iterator[tuple[Path, str]]:
    """Where a document's links lead, as file and anchor; those to other sites are left out."""
    for target in re.findall(r"\]\(<?([^)\s>]+)>?(?: \"[^\"]*\")?\)", prose(document.read_text(encoding="utf-8"))):
        if not re.match(r"[a-z]+:", target):
            path, _, anchor = target.partition("#")
            yield (document.parent / path).resolve() if path else document, anchor


def dead_links(document: Path) -> list[str]:
    """The links of a document that lead nowhere."""
    return [
        f"{path.name}#{anchor}"
        for path, anchor in links(document)
        if not path.exists() or (anchor and anchor not in anchors(path.read_text(encoding="utf-8")))
    ]


@every_document
def test_every_command_in_a_document_is_one(document: Path) -> None:
    for words in commands(document.read_text(encoding="utf-8")):
        understand(words)


@every_document
def test_every_link_leads_somewhere(document: Path) -> None:
    assert dead_links(document) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(DOCS)))
def test_every_page_is_in_the_index(page: Path) -> None:
    assert page == INDEX or page.resolve() in {path for path, _ in links(INDEX)}


def test_a_word_that_is_none_is_found_out() -> None:
    with pytest.raises(Exception, match="No such option"):
        understand(["attach", "web", "80", "--no-such-word"])
    with pytest.raises(Exception, match="No such command"):
        understand(["no-such-verb"])


def test_a_link_that_leads_nowhere_is_found_out(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# One & `two`: a list\n\n## Twice\n\n## Twice\n\n```sh\n# no heading\n```\n\n"
        "[a](#one--two-a-list) [b](page.md#twice-1) [c](#no-heading) [d](gone.md) "
        "[e](https://example.org/x) `[f](f.md)`\n",
        encoding="utf-8",
    )
    assert dead_links(page) == ["page.md#no-heading", "gone.md#"]


def test_the_documents_have_commands_to_check() -> None:
    found = {document: len(list(commands(document.read_text(encoding="utf-8")))) for document in DOCUMENTS}
    assert found[ROOT / "README.md"] >= 5
    assert sum(found.values()) > 40
    assert list(netshare_commands("sudo netshare list -o json | jq . && netshare sync  # now")) == [
        ["list", "-o", "json"],
        ["sync"],
    ]
    assert list(
        commands("1. So:\n\n   ```console\n   $ netshare attach web \\\n       80\n   netshare: done\n   ```\n")
    ) == [["attach", "web", "80"]]
