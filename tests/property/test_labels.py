"""Labels are written by whoever may start a container: whatever they say, nothing crashes and nobody else is harmed."""

from collections.abc import Mapping
from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from netshare.core import label_ports, labels
from netshare.core.health import Verdicts
from netshare.core.judging import judge
from netshare.core.labelled import Given, Labelled, labelled
from netshare.core.model import Container, Listener, Service, Source
from netshare.core.plan import ServiceReplicas, plan
from netshare.core.ruleset import Ruleset
from netshare.core.selection import replicas
from netshare.errors import UsageError
from netshare.reconcile import reconcile
from tests.fakes.host import fake_host
from tests.property.strategies import SERVICES, containers, rulesets, services

words = st.text(max_size=30) | st.text(alphabet="0123456789abcdef:.,[]/ -_\x1b\n", max_size=30)
ports = st.lists(st.sampled_from(("80", "81", "80/udp", "10.0.0.1:80", "[fd00::1]:80", "99999", "80")), max_size=3)
sound: dict[str, st.SearchStrategy[str]] = {
    labels.SERVICE: st.sampled_from(SERVICES),
    labels.PORT: ports.map(",".join),
    labels.TO: st.sampled_from(("8080", "8080,8081", "0")),
    labels.WEIGHT: st.sampled_from(("0", "1", "3", "256", "257")),
    labels.STRATEGY: st.sampled_from(("random", "round-robin", "source-hash", "none")),
    labels.NETWORK: st.sampled_from(("bridge", "shop_default")),
}
hostile = st.dictionaries(st.sampled_from(labels.KNOWN) | words.map(lambda w: f"netshare.{w}"), words, max_size=6)
labelling = st.fixed_dictionaries({}, optional=sound) | hostile


@st.composite
def labelled_containers(draw: st.DrawFn) -> list[Container]:
    """Draw containers with all kinds of labels, beside those they have anyway."""
    return [replace(c, labels={**c.labels, **draw(labelling)}) for c in draw(containers())]


def make(running: list[Container], defined: list[Service], held: Ruleset) -> Labelled:
    attached: Mapping[str, Service] = {service.name: service for service in defined}
    return labelled(running, Given(attached, set(), {}, held, set(), lambda _: None))


def takes(one: Listener, other: Listener) -> bool:
    return (one.port, one.protocol) == (other.port, other.protocol) and other.address in (None, one.address)


@given(hostile)
def test_any_labels_are_read_or_refused_in_a_line(said: dict[str, str]) -> None:
    try:
        found, refusal = labels.read(said), ""
    except UsageError as error:
        found, refusal = labels.NONE, error.message
    assert refusal.isprintable()
    assert len(refusal) < 300
    assert len(found.listeners) <= labels.MAX_PORTS


@given(labelled_containers(), services(), rulesets())
def test_nothing_is_taken_from_anybody(running: list[Container], defined: list[Service], held: Ruleset) -> None:
    found = make(running, defined, held)
    attached = [listener for service in defined for listener in service.listeners]
    theirs = [(service.name, listener) for service in found.services for listener in service.listeners]
    for name, listener in theirs:
        assert not any(takes(listener, other) for other in attached)
        assert not any(listener.overlaps(other) for whose, other in theirs if whose != name)
    assert not {service.name for service in found.services} & {service.name for service in defined}
    assert all(len(service.listeners) <= label_ports.MAX_LISTENERS for service in found.services)
    assert all(notice.reason.isprintable() and len(notice.reason) < 400 for notice in found.notices)


@given(labelled_containers(), services(), rulesets(), st.randoms())
def test_the_order_of_nothing_matters(
    running: list[Container], defined: list[Service], held: Ruleset, random: Random
) -> None:
    expected = make(running, defined, held)
    random.shuffle(running)
    random.shuffle(defined)
    assert make(running, defined, held) == expected


@given(labelled_containers())
def test_a_service_of_labels_has_the_containers_that_name_it_and_no_other(running: list[Container]) -> None:
    for service in make(running, [], Ruleset()).services:
        assert service.source is Source.LABELS
        found = replicas(service, running)
        assert {r.id for r in found} <= {c.id for c in running if c.labels.get(labels.SERVICE) == service.name}
        for listener in service.listeners:
            assert any(labels.service(c.labels) == service.name for c in running if asks(c, listener))


def asks(container: Container, listener: Listener) -> bool:
    try:
        return any(own.overlaps(listener) for own in labels.read(container.labels).listeners)
    except UsageError:
        return False


@given(labelled_containers(), services())
def test_what_is_attached_is_served_as_if_there_were_no_other_service(
    running: list[Container], defined: list[Service]
) -> None:
    alone = plan(
        [ServiceReplicas(each, judge(each, replicas(each, running), Verdicts(), frozenset())) for each in defined]
    )
    fakes = fake_host(*running)
    for service in defined:
        fakes.store.save(service)
    reconcile(fakes.host)
    assert alone.dispatches.items() <= fakes.driver.observe().ruleset.dispatches.items()


@given(services(), labelled_containers(), labelled_containers())
def test_reconciling_twice_changes_nothing_the_second_time(
    defined: list[Service], first: list[Container], later: list[Container]
) -> None:
    fakes = fake_host(*first)
    for service in defined:
        fakes.store.save(service)
    before: set[str] = set()
    for running in (first, later):
        fakes.engine.running = list(running)
        once = reconcile(fakes.host)
        again = reconcile(fakes.host)
        assert again.change.is_empty
        assert again.labelled == once.labelled
        before = {service.name for service in once.labelled}
    fakes.engine.die()
    silent = reconcile(fakes.host)
    assert silent.change.is_empty
    assert {service.name for service in silent.labelled} == before
