"""The files that the documents show are what netshare takes: labels, and services in a file."""

import configparser
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from netshare.core import labels
from netshare.core.model import CheckKind, Listener
from netshare.store import services_file
from tests.unit.test_documents import DOCS, PAGES, blocks


def yaml_blocks(page: Path) -> Iterator[str]:
    yield from blocks(page.read_text(encoding="utf-8"), "yaml")


def labelled(page: Path) -> Iterator[Mapping[str, str]]:
    """The labels of each container in the Compose files and the units of quadlet that a page shows."""
    for block in yaml_blocks(page):
        document: Any = yaml.safe_load(block)
        if isinstance(document, dict) and isinstance(document.get("services"), dict):
            yield from (each["labels"] for each in document["services"].values() if "labels" in each)
    for block in blocks(page.read_text(encoding="utf-8"), "ini"):
        yield from quadlet(block)


def quadlet(unit: str) -> Iterator[Mapping[str, str]]:
    """The labels in a unit of quadlet; a key may be there many times, so it is not read as an ordinary one."""
    sections = configparser.ConfigParser(strict=False, interpolation=None)
    sections.read_string(unit)
    if sections.has_section("Container"):
        yield dict(line.removeprefix("Label=").split("=", 1) for line in unit.splitlines() if line.startswith("Label="))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(DOCS)))
def test_what_a_page_shows_is_what_netshare_takes(page: Path) -> None:
    for each in labelled(page):
        assert labels.unknown(each) == []
        assert labels.read(each).service is not None
    for block in yaml_blocks(page):
        if block.startswith("schema:"):
            assert services_file.decode(block.encode(), page.name)


def test_the_files_are_found() -> None:
    [compose] = labelled(DOCS / "recipes" / "compose.md")
    [unit] = labelled(DOCS / "recipes" / "quadlet.md")
    assert compose == unit
    assert labels.read(unit).listeners == (Listener(80, to=8080),)


def test_the_words_of_other_pages_are_labels_as_well() -> None:
    dns = labels.read({"netshare.service": "dns", "netshare.port": "192.0.2.53:53/udp,192.0.2.53:53"})
    assert [(str(each.address), each.port) for each in dns.listeners] == [("192.0.2.53", 53)] * 2
    health = labels.read(
        {"netshare.health": "http:/up interval=1s timeout=500ms rise=2 fall=3 host=shop.example"}
    ).health
    assert health is not None
    assert health.kind is CheckKind.HTTP
