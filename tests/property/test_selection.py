"""Which containers a name finds."""

import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from netshare.core.model import Container, Service
from netshare.core.selection import (
    COMPOSE_ONEOFF,
    COMPOSE_PROJECT,
    COMPOSE_SERVICE,
    LABEL_SERVICE,
    PODMAN_COMPOSE,
    select,
)
from tests.property.strategies import SERVICES, containers

names = st.sampled_from(SERVICES)


def by_label(name: str, container: Container) -> bool:
    return container.labels.get(LABEL_SERVICE) == name


def by_another_label(name: str, container: Container) -> bool:
    return container.labels.get(LABEL_SERVICE, name) != name


def by_compose(name: str, container: Container) -> bool:
    service, project = container.labels.get(COMPOSE_SERVICE), container.labels.get(COMPOSE_PROJECT)
    return not by_another_label(name, container) and name in (service, f"{project}/{service}")


def by_name(name: str, container: Container) -> bool:
    rest = container.name.removeprefix(name)
    if not container.name.startswith(name) or by_another_label(name, container):
        return False
    return not rest or (rest[0] in "-_" and rest[1:].isdecimal())


@given(names, containers())
def test_label_before_compose_before_name(name: str, running: list[Container]) -> None:
    expected: list[Container] = []
    for rule in (by_label, by_compose, by_name):
        expected = expected or [
            container
            for container in running
            if rule(name, container) and container.labels.get(COMPOSE_ONEOFF) != "True"
        ]
    found = select(Service(name, ()), running)
    assert sorted(found, key=lambda c: c.id) == expected
    assert [(c.name, c.id) for c in found] == sorted((c.name, c.id) for c in found)


@given(names, containers(), st.permutations(range(6)))
def test_the_order_of_containers_does_not_matter(name: str, running: list[Container], order: list[int]) -> None:
    shuffled = [running[index] for index in order if index < len(running)]
    assert select(Service(name, ()), shuffled) == select(Service(name, ()), running)


@given(names, containers())
def test_a_selector_replaces_the_name(name: str, running: list[Container]) -> None:
    found = select(Service(name, (), select=(("tier", "front"),)), running)
    assert {c.id for c in found} == {
        c.id for c in running if c.labels.get("tier") == "front" and c.labels.get(COMPOSE_ONEOFF) != "True"
    }
    both = Service(name, (), select=(("tier", "front"), (COMPOSE_PROJECT, "shop")))
    assert {c.id for c in select(both, running)} == {c.id for c in found if c.labels.get(COMPOSE_PROJECT) == "shop"}


@given(names, containers(), st.sampled_from(("docker", "podman")))
def test_an_engine_narrows_it(name: str, running: list[Container], engine: str) -> None:
    found = select(Service(name, (), engine=engine), running)
    assert found == select(Service(name, ()), [c for c in running if c.engine == engine])


@given(names, containers())
def test_podman_compose_has_names_of_its_own_for_the_same_labels(name: str, running: list[Container]) -> None:
    translated = [
        replace(c, labels={PODMAN_COMPOSE.get(key, key): value for key, value in c.labels.items()}) for c in running
    ]
    for service in (Service(name, ()), Service(f"shop/{name}", ())):
        assert [c.id for c in select(service, translated)] == [c.id for c in select(service, running)]


# A name with no regular meaning in it at all, found in containers called by it and by nothing else.
hostile = st.text(alphabet="ab.*+?|()[]{}^$\\d-_1", min_size=1, max_size=12)


@given(hostile, hostile, st.integers(0, 99))
def test_a_name_is_never_a_pattern(name: str, other: str, number: int) -> None:
    called = [name, f"{name}-{number}", f"{name}_{number}"]
    running = [Container(f"{index}", each, "docker") for index, each in enumerate([*called, other, f"{name}{other}"])]
    found = {c.name for c in select(Service(name, ()), running)}
    assert set(called) <= found
    assert all(each == name or re.fullmatch(r"[-_]\d+", each[len(name) :]) for each in found)
    assert all(each.startswith(name) for each in found)
