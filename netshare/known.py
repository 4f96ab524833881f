"""What is known of services and their replicas just now, and which services stay as the kernel has them for want of it.

Not to know is no reason to change: while an engine is silent, or a file can't be read, what the kernel holds of the
services concerned is kept. This module finds out which those are; it does not decide what the others get.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from netshare.core.labelled import held_by_labels
from netshare.core.model import BY_LABELS, Container, Service
from netshare.core.ruleset import Ruleset
from netshare.engine.protocol import Lister
from netshare.engine.silence import unanswered
from netshare.errors import EngineUnreachableError, NetshareError, NotPermittedError
from netshare.host import Host
from netshare.netfilter.driver import Observation
from netshare.netfilter.made_by import refusal
from netshare.netfilter.placing import by_name, possible
from netshare.store.protocol import Definitions, Rollouts


@dataclass(frozen=True, slots=True)
class Listed:
    """The containers of every engine that answers, and the errors of those that do not."""

    containers: Sequence[Container]
    silent: Mapping[str, EngineUnreachableError]


@dataclass(frozen=True, slots=True)
class Known:
    """The attached services that can be planned, and the owners of those that are ``kept`` as the kernel has them.

    ``frozen`` are, of the kept ones, what labels made. ``to_blame`` are the engines whose silence keeps something.
    ``impossible`` are the services that no driver here can program, with the reason. ``refusal`` is why nothing at all
    may be committed.
    """

    services: Sequence[Service]
    kept: frozenset[str]
    frozen: frozenset[str]
    to_blame: Mapping[str, EngineUnreachableError]
    impossible: Mapping[str, NetshareError]
    refusal: NetshareError | None

    @property
    def problems(self) -> tuple[NetshareError, ...]:
        """Say why services are kept, files that can't be read aside."""
        return (*self.to_blame.values(), *by_name(self.impossible), *filter(None, [self.refusal]))


def list_containers(engines: Mapping[str, Lister], services: Iterable[Service] = ()) -> Listed:
    """List the containers of every engine, as labels alone attach one.

    Raises:
        NotPermittedError: an engine that one of these services needs may not be asked.

    """
    needed = {name for service in services for name in engines_of(service, engines)}
    containers: list[Container] = []
    silent: dict[str, EngineUnreachableError] = {}
    for name in sorted(engines):
        try:
            containers += engines[name].containers()
        except EngineUnreachableError as error:
            silent[name] = error
        except NotPermittedError as error:
            if name in needed:
                raise
            silent[name] = EngineUnreachableError(error.message, hint=error.hint)
    return Listed(containers, silent)


def engines_of(service: Service, engines: Collection[str]) -> list[str]:
    """Name the engines a service's replicas may live in: none for a static one."""
    if service.is_static:
        return []
    return [name for name in engines if service.engine in (None, name)]


def find_out(host: Host, definitions: Definitions, rollouts: Rollouts, listed: Listed, observed: Observation) -> Known:
    """Tell the services that can be planned from those that must stay as they were observed."""
    held = observed.ruleset
    heard: list[Service] = []
    kept: set[str] = set()
    to_blame: dict[str, EngineUnreachableError] = {}
    for service in definitions.services:
        silences = unanswered(engines_of(service, host.engines), listed.silent)
        to_blame |= silences
        if silences:
            kept.add(service.name)
        else:
            heard.append(service)
    services, impossible = possible(heard, host.driver)
    kept |= {service.name for service in services if service.name in rollouts.unreadable}
    # Whose label made what the kernel holds, it does not tell: any silent engine's container may have.
    unheard = unanswered(host.engines, listed.silent)
    frozen = held_by_labels(held) if unheard else _stuck(held, rollouts)
    kept |= frozen | impossible.keys() | definitions.unreadable.keys()
    refused = refusal(observed.newer, kept, unheard)
    return Known(
        [service for service in services if service.name not in rollouts.unreadable],
        frozenset(kept),
        frozen,
        to_blame | (unheard if frozen or refused else {}),
        impossible,
        refused,
    )


def _stuck(held: Ruleset, rollouts: Rollouts) -> frozenset[str]:
    """Name the services of labels whose rollout can't be read: nobody knows whom they should be served by."""
    return held_by_labels(held) & {f"{name}{BY_LABELS}" for name in rollouts.unreadable}
