"""The house rules that no linter knows, and the documents' claims that the code can answer."""

import ast
import re
import tomllib
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

from typer import Typer

import netshare
from netshare import errors
from netshare.cli.app import VERBS
from netshare.cli.diff import DIFFERENT

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {".ci", "app", "netshare", "scripts", "tests", "vagrant"}
LONGEST_MODULE = 400


def python_files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def canonical(requirement: str) -> str:
    """Reduce ``Types_Docker>=7`` to the name ``types-docker``."""
    name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


def error_classes(parent: type[errors.NetshareError] = errors.NetshareError) -> Iterator[type[errors.NetshareError]]:
    yield parent
    for child in parent.__subclasses__():
        yield from error_classes(child)


def docstring(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_bytes())) or ""


def imported(path: Path) -> set[str]:
    """The top-level packages a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def test_the_installed_version_is_the_modules() -> None:
    assert version("netshare-lb") == netshare.__version__


def test_the_top_level_folders_are_fixed() -> None:
    there = {path.name for path in ROOT.iterdir() if path.is_dir() and any(path.iterdir())}
    hidden = {name for name in there if name.startswith(".")}
    assert there - hidden - {"build", "dist"} <= FOLDERS


def test_every_module_says_what_it_is_for() -> None:
    assert [relative(path) for path in python_files("netshare") if not docstring(path)] == []


def test_a_very_long_module_says_why() -> None:
    long = [path for path in python_files("netshare") if path.read_bytes().count(b"\n") > LONGEST_MODULE]
    assert [relative(path) for path in long if not re.search(r"\blong\b|\blines\b", docstring(path))] == []


def test_netshare_knows_neither_the_app_nor_the_tests() -> None:
    strangers = {"app", "tests", "pytest", "hypothesis"}
    assert [relative(path) for path in python_files("netshare") if imported(path) & strangers] == []


def test_the_app_does_not_know_netshare() -> None:
    assert [relative(path) for path in python_files("app") if "netshare" in imported(path)] == []


def test_every_dependency_is_pinned_for_ci() -> None:
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    lines = [line for line in pinned.splitlines() if line and not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line)] == []
    declared = project()["project"]
    wanted = [*declared["dependencies"], *chain.from_iterable(declared["optional-dependencies"].values())]
    assert {canonical(name) for name in wanted} <= {canonical(line) for line in lines}
    assert [name for name in wanted if ">=" not in name] == []


def test_each_error_has_a_code_of_its_own_and_the_contract_has_nine() -> None:
    classes = list(error_classes())
    assert sorted(each.exit_code for each in classes) == list(range(1, 10))
    assert len({each.code for each in classes}) == len(classes)
    assert [each for each in classes if not each.__doc__] == []


def test_the_exit_codes_are_listed() -> None:
    page = (ROOT / "netshare" / "docs" / "command-line.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", page, re.MULTILINE)
    assert [int(code) for code, _ in rows] == [0, *sorted(each.exit_code for each in error_classes()), DIFFERENT]


def test_the_readme_lists_the_verbs() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = text[text.index("| verb | does |") : text.index("## Limits")]
    cells = re.findall(r"^\| (`.+?) \|", table, re.MULTILINE)
    verbs = [words.split()[0] for cell in cells for words in re.findall(r"`([^`]+)`", cell)]
    assert sorted(verbs) == sorted(VERBS)


def test_the_overview_says_of_each_verb_what_the_verb_says_of_itself() -> None:
    for verb, (module, name, said) in VERBS.items():
        found = getattr(import_module(f"netshare.cli.{module}"), name)
        own = found.info.help if isinstance(found, Typer) else found.__doc__
        assert (own or "").strip().startswith(said.removesuffix(".")), verb


def test_documents_name_files_that_exist() -> None:
    for document in (*ROOT.glob("*.md"), *(ROOT / "netshare" / "docs").rglob("*.md")):
        text = document.read_text(encoding="utf-8")
        paths = [ROOT / path for path in re.findall(r"`((?:netshare|tests|scripts|\.ci)/[\w./-]*)`", text)]
        assert [str(path) for path in paths if not path.exists()] == [], document.name
