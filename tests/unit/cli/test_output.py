"""What is printed where: on a terminal, into a pipe, and into one that nobody reads."""

import io
import subprocess
import sys
from collections.abc import Sequence

import pytest

from netshare import __version__
from netshare.cli import output

COLUMNS = ("REPLICA", "STATE")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def netshare(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "netshare", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def modules_after(*words: str) -> set[str]:
    """Name the top-level packages a command line has loaded by its end."""
    script = (
        "import sys; from netshare.cli.app import run; code = run(sys.argv[1:]);"
        "print(' '.join({name.partition('.')[0] for name in sys.modules}), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(done.stderr.split())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("status", "-o", "json"), True),
        (("status", "--output", "json"), True),
        (("status", "--output=json"), True),
        (("status", "-ojson"), True),
        (("status", "-o", "table"), False),
        (("status", "json"), False),
        ((), False),
    ],
)
def test_json_is_asked_for_by_the_words(words: Sequence[str], *, expected: bool) -> None:
    assert output.wants_json(words) is expected


def test_a_table_into_a_pipe_is_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(COLUMNS, [("shop-web-1", "ready"), ("x", "")])
    assert capsys.readouterr().out == "REPLICA     STATE\nshop-web-1  ready\nx\n"


def on_terminal(monkeypatch: pytest.MonkeyPatch, rows: Sequence[Sequence[str]]) -> str:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    output.table(COLUMNS, rows)
    return terminal.getvalue()


def test_a_table_on_a_terminal_has_colours_and_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    drawn = on_terminal(monkeypatch, [("[red]web[/red]", "ready"), ("\x1b[2J", "gone")])
    assert "\x1b[32mready" in drawn
    assert "[red]web[/red]" in drawn
    assert "\\x1b[2J" in drawn
    assert "\x1b[2J" not in drawn


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    drawn = on_terminal(monkeypatch, [("web", "ready")])
    assert "ready" in drawn
    assert "\x1b[32m" not in drawn


def test_progress_on_a_terminal_is_one_line_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "60")
    with output.ProgressLine("interrupted") as line:
        for seconds in (0, 1):
            line.show(f"web: waiting {seconds} of 60 s: web-1 starting: its HEALTHCHECK has not passed yet", "waiting")
    shown = terminal.getvalue()
    assert "\n" not in shown
    assert shown.count("\r\x1b[Kweb: waiting 0 of 60 s: web-1 starting: ") == 1
    assert shown.count("\r\x1b[Kweb: waiting 1 of 60 s: web-1 starting: ") == 1
    assert shown.endswith("\r\x1b[K")
    assert max(map(len, shown.split("\r\x1b[K"))) < 60


def test_progress_into_a_file_is_a_line_for_each_change(capsys: pytest.CaptureFixture[str]) -> None:
    with output.ProgressLine("interrupted") as line:
        for seconds, plain in enumerate(("no replica yet", "no replica yet", "web-1 starting", "web-1 starting")):
            line.show(f"waiting {seconds} s: {plain}", plain)
    assert capsys.readouterr().err.splitlines() == ["netshare: no replica yet", "netshare: web-1 starting"]


def test_progress_that_changes_all_the_time_is_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    with output.ProgressLine("interrupted", pause=3600) as line:
        for left in range(100):
            line.show("", f"{left} left")
    assert capsys.readouterr().err == "netshare: 0 left\n"


def test_an_interrupted_wait_says_what_stays(capsys: pytest.CaptureFixture[str]) -> None:
    line = output.ProgressLine("it stays drained")
    line.show("", "3 left")
    line.__exit__(KeyboardInterrupt, None, None)
    assert capsys.readouterr().err.splitlines() == ["netshare: 3 left", "netshare: it stays drained"]


@pytest.mark.parametrize(("typed", "expected"), [("y\n", True), ("YES\n", True), ("\n", False), ("", False)])
def test_a_question_on_a_terminal(monkeypatch: pytest.MonkeyPatch, typed: str, *, expected: bool) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    assert output.confirm("Sure?") is expected


def test_no_question_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert output.confirm("Sure?") is None


def test_the_installed_command_ends_with_its_exit_code() -> None:
    done = netshare("version")
    assert (done.returncode, done.stdout.split()[:2]) == (0, ["netshare", __version__])
    refused = netshare("attach", "web", "0")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == "netshare: port 0 is out of range\n  hint: ports are 1 to 65535\n"


def test_a_reader_that_has_gone_is_no_trouble() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "netshare", "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""


def test_help_loads_nothing_heavy() -> None:
    heavy = {"rich", "pydantic", "docker", "requests", "pyroute2"}
    assert not modules_after("--help") & heavy
    # typer itself reads a verb's words with pydantic.
    assert not modules_after("attach", "--help") & (heavy - {"pydantic"})
