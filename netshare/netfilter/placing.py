"""Which services this host's drivers can program, and why not the others."""

from collections.abc import Iterable, Iterator, Mapping

from netshare.core.model import Service
from netshare.errors import NetshareError, UsageError
from netshare.netfilter.driver import Driver


def objection(service: Service, driver: Driver) -> NetshareError | None:
    """Say why this host can't program a service, if it can't."""
    name = driver.place(service)
    offer = driver.offers.get(name)
    if offer is None:
        return UsageError(f"the driver {name} can't be used here", hint=f"choose {' or '.join(driver.offers)}")
    if offer.missing is not None:
        return offer.missing
    if service.strategy in offer.strategies:
        return None
    able = [other for other, each in driver.offers.items() if service.strategy in each.strategies and not each.missing]
    others = " or ".join("--strategy " + strategy for strategy in sorted(offer.strategies))
    return UsageError(
        f"the driver {name} can't do {service.strategy}",
        hint=f"choose {f'--driver {able[0]}, or ' if able else ''}{others}",
    )


def possible(services: Iterable[Service], driver: Driver) -> tuple[list[Service], dict[str, NetshareError]]:
    """Tell the services that this host can program from those that it can't, with the reason."""
    possible: list[Service] = []
    impossible: dict[str, NetshareError] = {}
    for service in services:
        problem = objection(service, driver)
        if problem is None:
            possible.append(service)
        else:
            impossible[service.name] = problem
    return possible, impossible


def by_name(problems: Mapping[str, NetshareError]) -> Iterator[NetshareError]:
    """Let each problem say which service it is about."""
    for name, problem in problems.items():
        yield type(problem)(f"{name}: {problem.message}", hint=problem.hint)
