"""The surface of ``import netshare``; that its functions do what they say is shown by tests/netns."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import netshare
from netshare import api


def test_everything_promised_is_there() -> None:
    assert set(netshare.__all__) <= set(dir(netshare))
    for name in netshare.__all__:
        assert getattr(netshare, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'attachh'"):
        _ = netshare.attachh  # type: ignore[attr-defined]


def test_types_and_values_come_from_the_same_place() -> None:
    tree = ast.parse(Path(netshare.__file__).read_text(encoding="utf-8"))
    imports = {
        (node.module, alias.asname or alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("netshare.")
        for alias in node.names
    }
    homes = {(home, name) for name, home in netshare._HOME.items()}  # noqa: SLF001
    assert imports - {("netshare.runtime.version", "__version__")} == homes
    assert {name for _, name in imports} == set(netshare.__all__)


def test_importing_it_costs_next_to_nothing() -> None:
    program = "import netshare, sys; print([name for name in sys.modules if name.startswith('netshare.')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['netshare.runtime', 'netshare.runtime.version']"


def test_each_function_says_what_it_does() -> None:
    for name in netshare._HOMES["netshare.api"]:  # noqa: SLF001
        assert "Raises:" in (getattr(netshare, name).__doc__ or ""), name
    assert "stable" in (api.__doc__ or "")
