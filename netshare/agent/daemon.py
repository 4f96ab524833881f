"""The agent as a process: its threads, its signals, its log."""

import faulthandler
import logging
import resource
import signal
import sys
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Thread
from types import FrameType
from typing import Protocol, TextIO

from netshare.agent.inbox import Hint, Inbox
from netshare.agent.loop import Loop, Meter, Pace, Reservation
from netshare.agent.monitor import Commits, KernelMonitor
from netshare.agent.probing import Prober
from netshare.agent.server import ControlServer
from netshare.agent.suspicion import Suspicion, Unanswered
from netshare.agent.telling import Telling
from netshare.agent.watch import WatchedEngine
from netshare.core.event import Stage, event
from netshare.core.health import Probe
from netshare.engine.protocol import Engine
from netshare.health.board import HealthBoard
from netshare.health.probing import probe
from netshare.host import Host
from netshare.runtime import privileges
from netshare.runtime.agent import claim
from netshare.runtime.journal import formatter
from netshare.runtime.paths import health_path
from netshare.runtime.supervisor import Supervisor

_log = logging.getLogger(__name__)
_ENDING = (signal.SIGTERM, signal.SIGINT)

Asking = Callable[[Probe], Awaitable[str | None]]


class Metrics(Meter, Protocol):
    """What is measured, for whoever asks over HTTP."""

    def lap(self, stage: Stage) -> None:
        """Hear that a stage of a reconcile is over."""

    def measured(self, probe: Asking) -> Asking:
        """Have every probe timed."""

    def serve(self) -> None:
        """Answer until `close`."""

    def close(self) -> None:
        """Stop answering."""


def run(
    host: Host,
    engines: Mapping[str, Engine],
    directory: Path,
    *,
    reservation: Reservation,
    commits: Commits,
    unanswered: Unanswered,
    metrics: Callable[[Collection[WatchedEngine]], Metrics] | None = None,
) -> None:
    """Reconcile until SIGTERM or SIGINT; the kernel is left as it is, and SIGHUP reconciles at once.

    ``metrics``, where they are wanted, are made of the engines as they are followed.

    Raises:
        NetshareError: another agent runs, the runtime directory can't be used, or metrics can't be served.

    """
    _log_to(sys.stderr)
    supervisor = Supervisor()
    telling = Telling()
    inbox = Inbox()
    watched = {name: WatchedEngine(engine, inbox.put) for name, engine in engines.items()}
    monitor = KernelMonitor(commits, inbox.put)
    with claim(directory), _signals(inbox), _told_to(telling), closing(reservation):
        _allow_descriptors()
        privileges.drop()
        server = ControlServer(directory, inbox, telling)
        meter = None if metrics is None else metrics(watched.values())
        asking = probe if meter is None else meter.measured(probe)
        prober = Prober(asking, inbox.put, HealthBoard(health_path(directory)))
        suspicion = Suspicion(unanswered, prober)
        _log.info(event(Stage.START, driver=host.driver.name, engines=",".join(watched)))
        own = [server.serve, monitor.follow, prober.follow, suspicion.follow, *([meter.serve] if meter else [])]
        threads = _start(inbox, [*own, *(engine.follow for engine in watched.values())])
        try:
            Loop(
                replace(host, engines=watched, health=prober, lap=meter.lap if meter else host.lap),
                inbox,
                _pace(supervisor.patience),
                reservation=reservation,
                probing=prober,
                supervisor=supervisor,
                meter=meter,
            ).run()
        finally:
            supervisor.stopping()
            if meter is not None:
                meter.close()
            server.close()
            suspicion.close()
            prober.close()
            monitor.close()
            for engine in watched.values():
                engine.close()
            for thread in threads:
                thread.join()
        _log.info(event(Stage.STOP, kernel="unchanged"))


@contextmanager
def _told_to(telling: Telling) -> Iterator[None]:
    """Have all that netshare logs told until the block ends, of whatever consequence; then all who listen are gone."""
    logger = logging.getLogger("netshare")
    logger.setLevel(logging.DEBUG)
    logger.addHandler(telling)
    try:
        yield
    finally:
        logger.removeHandler(telling)
        logger.setLevel(logging.NOTSET)
        telling.close()


def _log_to(stream: TextIO) -> None:
    """Log there, also what every thread is about when this process is told to abort, as systemd's watchdog does."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter(stream))
    handler.setLevel(logging.INFO)
    logging.basicConfig(handlers=[handler], level=logging.INFO)
    faulthandler.enable(stream)


def _pace(patience: float | None) -> Pace:
    """Reconcile often enough for whoever waits to hear of the loop: twice within their patience."""
    usual = Pace()
    return usual if patience is None else replace(usual, most=min(usual.most, patience / 2))


def _allow_descriptors() -> None:
    """Have as many files open as this process may: every port that is held is one, and the usual limit is 1024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _start(inbox: Inbox, sources: Iterable[Callable[[], None]]) -> list[Thread]:
    """Run every source in a thread; one that crashes takes the agent with it, loudly."""

    def guarded(source: Callable[[], None]) -> None:
        try:
            source()
        except BaseException as crash:
            inbox.fail(crash)
            raise

    threads = [Thread(target=guarded, args=(source,), daemon=True) for source in sources]
    for thread in threads:
        thread.start()
    return threads


@contextmanager
def _signals(inbox: Inbox) -> Iterator[None]:
    """End on SIGTERM and SIGINT, reconcile on SIGHUP; as before when the block ends."""

    def end(_number: int, _frame: FrameType | None) -> None:
        # In a thread of its own: the handler runs in the main thread, which may hold the inbox's lock.
        Thread(target=inbox.close).start()

    def again(_number: int, _frame: FrameType | None) -> None:
        Thread(target=inbox.put, args=(Hint("SIGHUP"),)).start()

    before = {number: signal.signal(number, end) for number in _ENDING}
    before[signal.SIGHUP] = signal.signal(signal.SIGHUP, again)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
