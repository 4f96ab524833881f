"""``netshare status --watch`` under real traffic, on a terminal and elsewhere."""

import json
import re
import signal
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from netshare.lab.topology import Lab
from netshare.lab.traffic import Load
from tests.netns.admin import Admin
from tests.netns.waiting import until

pytestmark = pytest.mark.netns


@pytest.fixture
def admin(privileges: None, tmp_path: Path) -> Iterator[Admin]:  # noqa: ARG001 (wanted for what it does)
    with Lab(ipv6=False) as lab:
        admin = Admin(lab, tmp_path)
        admin.attach("web", "80", *lab.replicas.values())
        yield admin
        admin.close()


def column(lines: list[str], name: str) -> list[str]:
    """Read a column of the table that is to be seen; its rows give no reason, and some of the first are two words."""
    head = next(line for line in lines if line.startswith("SERVICE")).removesuffix("REASON").split()
    rows = [line.split() for line in lines if line.startswith("web ")]
    return [row[head.index(name) - len(head)] for row in rows]


class TestOnATerminal:
    def test_new_connections_a_second_are_those_that_come(self, admin: Admin) -> None:
        lab = admin.lab
        with (
            admin.terminal("status", "--watch", "--interval", "500ms", size=(160, 24)) as terminal,
            Load(lab.client.namespace, lab.at(80), total=100_000, rate=300),
        ):
            first = terminal.until(lambda lines: any(line.startswith("web ") for line in lines))
            assert len(column(first, "STATE")) == 3

            def is_told(lines: list[str]) -> bool:
                new = column(lines, "NEW/S")
                return "-" not in new and 200 < sum(map(float, new)) < 400

            terminal.until(is_told)
            terminal.type("\x03")
            assert terminal.end() == 130
        assert terminal.written.endswith(b"\x1b[?25h\x1b[?1049l")
        assert terminal.written.count(b"\x1b[?1049h") == 1
        assert terminal.written.count(b"\x1b[2J") == 0, "it flickers"

    def test_it_follows_the_size_of_the_window(self, admin: Admin) -> None:
        with admin.terminal("status", "-w", "--interval", "1h", size=(160, 24)) as terminal:
            terminal.until(lambda lines: "ENDPOINT" in " ".join(lines))
            terminal.resize((60, 8))
            small = terminal.until(lambda lines: "SERVICE" in " ".join(lines) and "ENDPOINT" not in " ".join(lines))
            assert "REPLICA" in " ".join(small)
            terminal.resize((1, 1))
            time.sleep(0.3)
            terminal.resize((100, 4))
            cut = terminal.until(lambda lines: any("more" in line for line in lines))
            assert len(column(cut, "STATE")) == 1
            terminal.resize((160, 24))
            terminal.until(lambda lines: len([line for line in lines if line.startswith("web ")]) == 3)
            terminal.signal(signal.SIGTERM)
            assert terminal.end() == 128 + signal.SIGTERM
        assert terminal.written.endswith(b"\x1b[?25h\x1b[?1049l")

    def test_it_gives_the_terminal_back_while_it_is_stopped(self, admin: Admin) -> None:
        # A shell with jobs: without one above it, nothing can be stopped by Ctrl-Z (an orphaned process group, POSIX).
        shell = ("bash", "-c", 'set -m; "$@"; echo stopped; fg >/dev/null', "bash")
        with admin.terminal("status", "--watch", "--interval", "100ms", through=shell) as terminal:
            terminal.until(lambda lines: any(line.startswith("web ") for line in lines))
            terminal.type("\x1a")
            until(lambda: terminal.written.count(b"\x1b[?1049h") == 2, timeout=20)
            terminal.type("\x03")
            assert terminal.end() == 130
        first, second = terminal.written.split(b"stopped")
        for part in (first.removesuffix(b"\r\n"), second):
            assert re.search(rb"\x1b\[\?1049h.*\x1b\[\?1049l", part, re.DOTALL)
            assert part.count(b"\x1b[?1049l") == 1

    def test_no_color_is_honoured(self, admin: Admin) -> None:
        for no_color, expected in (("", {"default", "green"}), ("1", {"default"})):
            with admin.terminal("status", "--watch", NO_COLOR=no_color) as terminal:
                terminal.until(lambda lines: any(line.startswith("web ") for line in lines))
                assert terminal.colours == expected

    def test_a_terminal_that_can_do_nothing_gets_blocks(self, admin: Admin) -> None:
        with admin.terminal("status", "--watch", "--interval", "100ms", TERM="dumb") as terminal:
            terminal.until(lambda lines: sum(line.startswith("SERVICE") for line in lines) > 1)
        assert b"\x1b" not in terminal.written

    def test_what_goes_wrong_later_is_shown_and_it_goes_on(self, admin: Admin) -> None:
        with admin.terminal("status", "web", "--watch", "--interval", "100ms") as terminal:
            terminal.until(lambda lines: any(line.startswith("web ") for line in lines))
            admin.detach("web")
            terminal.until(lambda lines: any("no service is called web" in line for line in lines))
            admin.attach("web", "80", *list(admin.lab.replicas.values())[:2])
            terminal.until(
                lambda lines: (
                    len([line for line in lines if line.startswith("web ")]) == 2
                    and not any("no service" in line for line in lines)
                )
            )


class TestElsewhere:
    def test_json_is_a_document_a_line(self, admin: Admin) -> None:
        lab = admin.lab
        with (
            admin.start("status", "--watch", "--interval", "200ms", "-o", "json") as watching,
            Load(lab.client.namespace, lab.at(80), total=100_000, rate=300),
        ):
            assert watching.stdout is not None
            documents = [json.loads(watching.stdout.readline()) for _ in range(6)]
            watching.send_signal(signal.SIGINT)
            assert watching.wait(30) == 130
        first, *_, last = (document["services"][0]["replicas"] for document in documents)
        assert {replica["connections_per_second"] for replica in first} == {None}
        assert 200 < sum(replica["connections_per_second"] for replica in last) < 400
        assert sum(r["connections_total"] for r in last) > sum(r["connections_total"] for r in first)
        assert documents[0]["time"] < documents[1]["time"]

    def test_blocks_with_the_time_before(self, admin: Admin) -> None:
        with admin.start("status", "--watch", "--interval", "100ms") as watching:
            assert watching.stdout is not None
            assert watching.stderr is not None
            lines = [watching.stdout.readline().rstrip() for _ in range(12)]
            watching.stdout.close()  # `| head` has seen enough
            assert watching.wait(30) != 0
            assert "Traceback" not in watching.stderr.read()
        assert lines[1].split() == lines[7].split()
        assert lines[1].split()[0] == "SERVICE"
        assert [line.split()[0] for line in lines[2:5]] == ["web"] * 3
        assert lines[5] == lines[11] == ""
        assert lines[2].split()[-3] == "-"
        assert lines[8].split()[-3] == "0"


class TestWithAnAgent:
    def test_what_the_agent_does_is_seen_at_once(self, admin: Admin) -> None:
        with (
            admin.agent(),
            admin.terminal("status", "--watch", "--interval", "100ms", size=(160, 24)) as terminal,
        ):
            terminal.until(lambda lines: any("agent: pid" in line for line in lines))
            admin.attach("db", "5432", *list(admin.lab.replicas.values())[:1])
            terminal.until(lambda lines: any(line.startswith("db ") for line in lines))
            admin.detach("db")
            terminal.until(lambda lines: not any(line.startswith("db ") for line in lines))
        with admin.terminal("status", "--watch", "--interval", "100ms") as terminal:
            terminal.until(lambda lines: any("no agent runs" in line for line in lines))

    def test_events_are_the_lines_of_its_log(self, admin: Admin) -> None:
        with admin.agent() as agent:
            with admin.start("events", "--last", "1000") as listening:
                assert listening.stdout is not None
                first = listening.stdout.readline()
                admin.attach("db", "5432", *list(admin.lab.replicas.values())[:1])
                admin.detach("db")
                agent.process.terminate()
                assert listening.stderr is not None
                out, err = listening.stdout.read(), listening.stderr.read()
                assert (listening.wait(30), agent.process.wait(30)) == (1, 0)
            assert "the agent has ended" in err
            assert [line.split(" ", 1)[1] for line in (first + out).splitlines()] == agent.said("")
            assert "apply" in out
            assert out.splitlines()[-1].endswith("INFO stop kernel=unchanged")
        assert admin.netshare("events").code == 1

    def test_interrupted_they_end(self, admin: Admin) -> None:
        with admin.agent(), admin.start("events", "-o", "json") as listening:
            assert listening.stdout is not None
            assert json.loads(listening.stdout.readline())["stage"] == "start"
            listening.send_signal(signal.SIGINT)
            assert listening.wait(30) == 130


class TestTop:
    def test_a_replica_is_chosen_drained_and_resumed(self, admin: Admin) -> None:
        lab = admin.lab
        with (
            admin.agent(),
            Load(lab.client.namespace, lab.at(80), total=1_000_000, rate=200),
            admin.terminal("top", "--interval", "100ms", size=(140, 16)) as terminal,
        ):
            terminal.until(lambda lines: any("3/3 ready" in line and "█" in line for line in lines))
            terminal.type("\x1b[Bjd")
            asked = f"drain {lab.replicas['replica-2'].endpoint} of web? y: yes, any other key: no"
            terminal.until(lambda lines: lines[-1] == asked)
            terminal.type("y")
            drained = terminal.until(lambda lines: any("draining by hand" in line for line in lines))
            assert any("2/3 ready" in line for line in drained)
            terminal.until(lambda lines: any("gets no new connections" in line for line in lines))
            terminal.type("r")
            terminal.until(lambda lines: any("3/3 ready" in line for line in lines))
            terminal.type("c")
            terminal.until(lambda lines: lines[-1].startswith("by new connections"))
            terminal.resize((50, 6))
            terminal.until(lambda lines: len(lines) == 6 and any("ready" in line for line in lines))
            assert not terminal.settings()[3] & termios.ECHO
            terminal.type("q")
            assert terminal.end() == 0
        assert terminal.written.endswith(b"\x1b[?25h\x1b[?1049l")

    def test_without_an_agent_and_without_a_terminal(self, admin: Admin) -> None:
        with admin.terminal("top", "web", size=(100, 12)) as terminal:
            lines = terminal.until(lambda lines: any("3/3 ready" in line for line in lines))
            assert "no agent runs" in lines[0]
            terminal.type("dq")  # a service as a whole is not drained
            assert terminal.end() == 0
        assert admin.netshare("top").code == 2
        assert admin.netshare("top", "wed").code == 2

    def test_keys_are_not_echoed_and_q_ends_the_live_status_too(self, admin: Admin) -> None:
        with admin.terminal("status", "--watch", "--interval", "100ms") as terminal:
            terminal.until(lambda lines: any(line.startswith("web ") for line in lines))
            terminal.type("hello")
            seen = terminal.written.count(b"SERVICE")
            until(lambda: terminal.written.count(b"SERVICE") > seen + 2, timeout=20)
            assert b"hello" not in terminal.written
            terminal.type("q")
            assert terminal.end() == 0
