"""The one place that names concrete engines, drivers and directories; every verb gets its host from here.

Imports are inside the functions, so that a verb loads what it uses and no more.
"""

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from netshare.core import parse
from netshare.runtime import paths

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence

    from netshare.agent.watch import WatchedEngine
    from netshare.core.model import Endpoint
    from netshare.core.ruleset import Target
    from netshare.engine.pods import PodEngine
    from netshare.engine.protocol import Engine
    from netshare.host import Host
    from netshare.metrics.agent import AgentMetrics
    from netshare.netfilter.conntrack import TrackedConnections
    from netshare.netfilter.driver import Driver
    from netshare.netfilter.drivers import HostDrivers
    from netshare.netfilter.examination import KernelExamination
    from netshare.netfilter.nftables.driver import NftablesDriver
    from netshare.netfilter.sockets import ListeningSockets
    from netshare.operations.agent_unit import Wanted
    from netshare.operations.demo_steps import Step
    from netshare.operations.readiness import Ask
    from netshare.operations.rollout import Telling, Tools
    from netshare.operations.watching import Watch
    from netshare.runtime.agent import AgentClient
    from netshare.runtime.listening import Told
    from netshare.store.directory import DefinitionStore
    from netshare.store.drains import DrainStore
    from netshare.systemd.manager import Systemd


def host(state_dir: Path | None = None, runtime_dir: Path | None = None) -> "Host":
    """Put this machine together; labs name directories of their own, everyone else the environment's."""
    from netshare.health.board import HealthBoard
    from netshare.health.known import KnownHealth
    from netshare.host import Host
    from netshare.netfilter.bridges import HostLinks
    from netshare.netfilter.flows import TrackedFlows
    from netshare.netfilter.forwarding.host import HostForwarding
    from netshare.runtime.lock import exclusive
    from netshare.runtime.names import Names
    from netshare.store.directory import DefinitionStore
    from netshare.store.drains import DrainStore
    from netshare.store.rollouts import RolloutStore

    runtime, state = runtime_dir or paths.runtime_dir(), state_dir or paths.state_dir()
    lock, drains = paths.lock_path(runtime), DrainStore(paths.drains_path(runtime))
    return Host(
        store=DefinitionStore(paths.services_dir(state)),
        engines=_engines(drains),
        driver=drivers(),
        forwarding=HostForwarding(),
        links=HostLinks(runtime),
        flows=TrackedFlows(),
        sockets=sockets(),
        health=KnownHealth(HealthBoard(paths.health_path(runtime)), agent_control(runtime)),
        drains=drains,
        rollouts=RolloutStore(paths.rollouts_dir(state)),
        names=Names(paths.names_path(runtime)),
        lock=lambda: exclusive(lock),
    )


def drivers(nftables: "NftablesDriver | None" = None, *, remembering: bool = False) -> "HostDrivers":
    """Put the drivers together; ``NETSHARE_DRIVER`` names the one for services that name none.

    ``remembering`` is for those who stay: what is in nf_tables is then read again only after another's commit.
    """
    from netshare.core.model import AUTO, IPTABLES, NFTABLES
    from netshare.netfilter.drivers import HostDrivers
    from netshare.netfilter.iptables.driver import IptablesDriver
    from netshare.netfilter.memory import RememberingDriver
    from netshare.netfilter.nftables.driver import NftablesDriver
    from netshare.netfilter.offers import offers

    default = parse.driver(os.environ.get("NETSHARE_DRIVER") or AUTO)
    native = nftables or NftablesDriver()
    there: dict[str, Driver] = {
        NFTABLES: RememberingDriver(native) if remembering else native,
        IPTABLES: IptablesDriver(),
    }
    return HostDrivers(there, default, lambda: offers(native))


@contextmanager
def opened_host() -> "Iterator[Host]":
    """Put this machine together for a while: what it has opened is closed again."""
    from dataclasses import replace

    from netshare.netfilter.flows import TrackedFlows
    from netshare.netfilter.forwarding.host import HostForwarding
    from netshare.netfilter.nftables.driver import NftablesDriver

    own, drains = host(), drain_store()
    driver, flows, forwarding, engines = NftablesDriver(), TrackedFlows(), HostForwarding(), _engines(drains)
    try:
        yield replace(own, driver=drivers(driver), flows=flows, forwarding=forwarding, engines=engines, drains=drains)
    finally:
        forwarding.close()
        for engine in engines.values():
            engine.close()
        flows.close()
        driver.close()


def _engines(drains: "DrainStore") -> "dict[str, Engine]":
    from netshare.engine.docker import DockerEngine
    from netshare.engine.podman import PodmanEngine

    return {
        "docker": DockerEngine(os.environ.get("DOCKER_HOST"), lambda: drains.stopping("docker")),
        "podman": PodmanEngine(os.environ.get("CONTAINER_HOST")),
    }


def pod_engines(names: "Sequence[str]") -> "dict[str, PodEngine]":
    """Put together who makes pods; nobody is asked before it is needed."""
    from netshare.engine.compatible_pods import CompatiblePods
    from netshare.engine.docker import DOCKER
    from netshare.engine.podman import PODMAN

    there: dict[str, PodEngine] = {
        "docker": CompatiblePods(DOCKER, "docker", os.environ.get("DOCKER_HOST")),
        "podman": CompatiblePods(PODMAN, "podman", os.environ.get("CONTAINER_HOST")),
    }
    return {name: there[name] for name in names}


def probe() -> "Ask":
    """Give who asks endpoints, from here and now, whether they are well."""
    from netshare.health.probing import probe_now

    return probe_now


@contextmanager
def opened_rollout_tools(tell: "Telling") -> "Iterator[Tools]":
    """Put together who replaces replicas, for a while: what it has opened is closed again."""
    with opened_host() as own:
        tools = rollout_tools(tell, own)
        try:
            yield tools
        finally:
            for engine in tools.engines.values():
                engine.close()


def rollout_tools(tell: "Telling", own: "Host | None" = None) -> "Tools":
    """Put together who replaces replicas; an engine is asked when one of its replicas is replaced."""
    import time

    from netshare.engine.compatible_replacing import CompatibleReplacing
    from netshare.engine.compose import Compose
    from netshare.engine.docker import DOCKER
    from netshare.engine.podman import PODMAN
    from netshare.operations.rollout import Tools
    from netshare.runtime.lock import claimed

    runtime = paths.runtime_dir()
    return Tools(
        host=own or host(),
        agent=agent_control(),
        engines={
            "docker": CompatibleReplacing(DOCKER, "docker", os.environ.get("DOCKER_HOST")),
            "podman": CompatibleReplacing(PODMAN, "podman", os.environ.get("CONTAINER_HOST")),
        },
        composer=Compose(),
        connections=connections(),
        probe=probe(),
        claim=lambda service: claimed(paths.rollout_lock_path(runtime, service)),
        clock=time,
        tell=tell,
    )


def store() -> "DefinitionStore":
    """Read the definitions of this host."""
    from netshare.store.directory import DefinitionStore

    return DefinitionStore(paths.services_dir(paths.state_dir()))


def drain_store() -> "DrainStore":
    """Read the drains of this host."""
    from netshare.store.drains import DrainStore

    return DrainStore(paths.drains_path(paths.runtime_dir()))


def agent_control(runtime_dir: Path | None = None) -> "AgentClient":
    """Find the agent of this host, if one runs."""
    from netshare.runtime.agent import AgentClient

    return AgentClient(runtime_dir or paths.runtime_dir())


def sockets() -> "ListeningSockets":
    """Look at the listening sockets of this network namespace."""
    from netshare.netfilter.sockets import ListeningSockets

    return ListeningSockets()


def connections() -> "TrackedConnections":
    """Look at the connections under way."""
    from netshare.netfilter.conntrack import TrackedConnections

    return TrackedConnections()


def watch(name: str | None) -> "Watch":
    """Look at this host's services, or at one, again and again."""
    import time

    from netshare.operations.watching import Watch
    from netshare.runtime.listening import AgentNews

    agent = agent_control()
    return Watch(host(), agent, connections(), time, name=name, news=AgentNews(agent))


def events(last: int, *, follow: bool) -> "Generator[Told, None, None]":
    """Hear of what the agent of this host does."""
    from netshare.runtime.listening import events

    return events(agent_control(), last, follow=follow)


def examination() -> "KernelExamination":
    """Look at the kernel, besides rules."""
    from netshare.netfilter.examination import KernelExamination
    from netshare.netfilter.nftables.driver import NftablesDriver

    return KernelExamination(NftablesDriver())


def systemd() -> "Systemd":
    """Ask the systemd of this host."""
    from netshare.systemd.manager import Systemd

    return Systemd()


def agent_unit() -> "Wanted":
    """Write the unit that starts the very netshare that runs now."""
    import sys
    from importlib.resources import files

    from netshare.operations.agent_unit import Wanted
    from netshare.systemd.unit import Program, render

    # -P: what lies in the working directory is no module of netshare's.
    command = (sys.executable, "-P", "-m", "netshare")
    own = Path(str(files("netshare")))
    program = Program(command, tuple(map(Path, dict.fromkeys((sys.prefix, sys.base_prefix, str(own))))))
    return Wanted(render(program, os.environ), program.owned_by_others())


class _Counting:
    """The kernel's counts, by drivers of their own: the agent's loop has others, in another thread."""

    def __init__(self) -> None:
        self._drivers = drivers()
        self._connections = connections()

    def total(self) -> "Mapping[Target, int]":
        """Count the connections that were ever given to each target."""
        return self._drivers.connections()

    def active(self) -> "Mapping[Target, int]":
        """Count those that are open now."""
        return self._connections.active()


def _metrics(address: "Endpoint") -> "Callable[[Collection[WatchedEngine]], AgentMetrics]":
    """Have the agent's metrics served; what that takes is imported here and nowhere else."""
    from netshare.metrics.agent import AgentMetrics

    return lambda engines: AgentMetrics(address, _Counting(), engines)


def _load_ahead() -> None:
    """Load what is loaded late elsewhere: an upgrade may take away the files that this process came from."""
    from importlib import import_module

    for name in ("drains_schema", "newer", "rollout_schema", "schema"):
        import_module(f"netshare.store.{name}")


def run_agent(metrics: "Endpoint | None" = None) -> None:
    """Be the agent until told to end, and serve metrics where that is asked for."""
    from dataclasses import replace

    from netshare.agent.daemon import run
    from netshare.netfilter.commits import CommitWatch
    from netshare.netfilter.nftables.driver import NftablesDriver
    from netshare.netfilter.reservation import PortReservation
    from netshare.netfilter.unanswered import UnansweredConnections
    from netshare.store.drains import DrainStore

    _load_ahead()
    driver = NftablesDriver()
    own = replace(host(), driver=drivers(driver, remembering=True))
    run(
        own,
        _engines(DrainStore(paths.drains_path(paths.runtime_dir()))),
        paths.runtime_dir(),
        reservation=PortReservation(sockets()),
        commits=CommitWatch(lambda: (driver.port,)),
        unanswered=UnansweredConnections(),
        metrics=None if metrics is None else _metrics(metrics),
    )


def demo() -> "Generator[Step, None, None]":
    """Run the demo, with what `host` is made of, but for its directories and engines: it has none."""
    import time
    from dataclasses import replace

    from netshare.netfilter.flows import TrackedFlows
    from netshare.netfilter.nftables.driver import NftablesDriver
    from netshare.operations.demo import Adapters, demo

    def adapters(directory: Path) -> Adapters:
        driver, flows, runtime_dir = NftablesDriver(), TrackedFlows(), directory / "run"
        lab_host = replace(host(directory / "state", runtime_dir), engines={}, driver=drivers(driver), flows=flows)

        def close() -> None:
            driver.close()
            flows.close()

        return Adapters(lab_host, agent_control(runtime_dir), sockets(), close)

    return demo(adapters, time)
