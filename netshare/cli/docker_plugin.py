"""``docker-netshare``: the same command as a plugin of Docker's command line, ``docker netshare attach web 80``.

Docker asks a plugin what it is (`docker-cli-plugin-metadata`), and then starts it with its own words from the first one
on: its global options come before the plugin's name. Source: docker/cli, cli-plugins/manager and cli-plugins/plugin.
"""

import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from netshare.errors import UsageError
from netshare.runtime.version import __version__

METADATA = "docker-cli-plugin-metadata"
NAME = "netshare"

_COMPLETE = ("__complete", "__completeNoDesc")
_NO_FILES = ":4"
"""What ends cobra's completions: the shell is not to offer names of files."""

_HOST, _CONTEXT = ("-H", "--host"), ("-c", "--context")
_WITH_VALUE = (*_HOST, *_CONTEXT, "-l", "--log-level", "--config", "--tlscacert", "--tlscert", "--tlskey")
_DEFAULT_CONTEXT = "default"


@dataclass(frozen=True, slots=True)
class Called:
    """How Docker called: netshare's own words, and what Docker's global options say."""

    words: tuple[str, ...]
    host: str | None = None
    context: str | None = None
    is_completing: bool = False


def main() -> None:
    """Be the plugin."""
    if sys.argv[1:2] == [METADATA]:
        print(json.dumps(metadata()))  # noqa: T201 (Docker asks often: nothing else is imported for it)
        return
    from netshare.cli.app import failed, run

    called = read(sys.argv[1:])
    try:
        _follow(called)
    except UsageError as error:
        sys.exit(failed(error, called.words))
    if called.is_completing:
        _complete(called.words)
        return
    sys.exit(run(called.words, f"docker {NAME}"))


def metadata() -> dict[str, str]:
    """Describe the plugin."""
    return {
        "SchemaVersion": "0.1.0",
        "Vendor": "netshare",
        "Version": __version__,
        "ShortDescription": "One host port, many containers, no proxy",
    }


def read(words: Sequence[str]) -> Called:
    """Read Docker's words: ``--host unix:///run/docker.sock netshare attach web 80``, ``help netshare attach``, …."""
    left = list(words)
    is_completing = left[:1] in ([each] for each in _COMPLETE)
    wants_help = left[:1] == ["help"]
    if is_completing or wants_help:
        del left[0]
    found: dict[str, str] = {}
    while left and left[0] != NAME:
        option, has_value, value = left.pop(0).partition("=")
        if option[:2] in _WITH_VALUE and option[2:] and option[1] != "-":  # -Hunix:///run/docker.sock
            option, has_value, value = option[:2], "=", option[2:] + has_value + value
        if option in _WITH_VALUE and not has_value and left:
            value = left.pop(0)
        found[option] = value
    own = left[1:]
    return Called(
        (*own, "--help") if wants_help else tuple(own),
        next((found[option] for option in _HOST if option in found), None),
        next((found[option] for option in _CONTEXT if option in found), None),
        is_completing,
    )


def _follow(called: Called) -> None:
    """Do what Docker's own options say."""
    if called.context not in (None, _DEFAULT_CONTEXT):
        raise UsageError(
            f"Docker's context {called.context} is not followed: netshare programs the kernel of this host alone",
            hint="docker --host unix:///run/docker.sock netshare … names another socket of this host",
        )
    if called.host is not None:
        os.environ["DOCKER_HOST"] = called.host


def _complete(words: Sequence[str]) -> None:
    """Answer as cobra does: a word a line, behind a tab what it is; netshare answers fish in the very same way."""
    from netshare.cli.app import run
    from netshare.cli.completing import VARIABLE

    os.environ |= {
        VARIABLE: "complete_fish",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_TYPER_COMPLETE_ARGS": " ".join((NAME, *words)),
    }
    with suppress(SystemExit):
        run(words)
    print(_NO_FILES)  # noqa: T201 (a word of the protocol)
