import json
import os
import stat
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

import pytest

from netshare.core.model import Listener, Protocol, Service, Source, StaticEndpoint
from netshare.errors import DefinitionError, NetshareError, NotPermittedError
from netshare.runtime.version import __version__
from netshare.store.directory import DefinitionStore

WEB = Service("web", (Listener(80),))
EVERYTHING = Service(
    "shop/web",
    (
        Listener(80, to=8080),
        Listener(53, Protocol.UDP, ip_address("10.0.0.1")),
        Listener(53, Protocol.UDP, ip_address("fd00::1")),
    ),
    select=(("app", "web"), ("expr", "a=b")),
    network="shop_default",
    engine="docker",
    driver="nftables",
    weights=(("shop-web-1", 0), ("shop-web-2", 256)),
)
LABELS = Service("api", (), source=Source.LABELS, weights=(("api-1", 3),))
STATIC = Service(
    "vm",
    (Listener(22),),
    endpoints=(StaticEndpoint(ip_address("10.0.0.2")), StaticEndpoint(ip_address("fd00::2"), 2222)),
)


@pytest.fixture
def services(tmp_path: Path) -> Path:
    return tmp_path / "state" / "services"


@pytest.fixture
def store(services: Path) -> DefinitionStore:
    return DefinitionStore(services)


def listed(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_what_is_saved_is_what_is_read(services: Path, store: DefinitionStore) -> None:
    for service in (WEB, EVERYTHING, STATIC):
        store.save(service)
    for reader in (store, DefinitionStore(services)):
        assert set(reader.load().services) == {WEB, EVERYTHING, STATIC}
        assert reader.get("shop/web") == EVERYTHING


def test_what_is_said_of_a_service_that_labels_make_is_no_service(services: Path, store: DefinitionStore) -> None:
    store.save(LABELS)
    store.save(WEB)
    definitions = DefinitionStore(services).load()
    assert (definitions.services, definitions.adjusted) == ((WEB,), (LABELS,))
    assert definitions.get("api") == store.get("api") == LABELS
    attached = Service("api", (Listener(81),))
    assert set(definitions.replaced(attached).services) == {WEB, attached}
    assert definitions.replaced(attached).adjusted == ()


def test_a_definition_is_a_file_that_people_can_read(services: Path, store: DefinitionStore) -> None:
    store.save(EVERYTHING)
    path = services / "shop%2Fweb.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert stat.S_IMODE(services.stat().st_mode) == 0o755
    written = json.loads(path.read_text())
    assert written["schema"] == 1
    assert written["name"] == "shop/web"
    assert written["listeners"][0] == {"port": 80, "protocol": "tcp", "to": 8080}
    assert listed(services) == [path.name]


def test_no_directory_is_no_service(services: Path, store: DefinitionStore) -> None:
    assert store.load().services == ()
    assert store.get("web") is None
    store.delete("web")
    assert not services.exists()


def test_saved_again_and_deleted(services: Path, store: DefinitionStore) -> None:
    store.save(WEB)
    changed = Service("web", (Listener(81),))
    store.save(changed)
    assert store.get("web") == changed
    store.delete("web")
    assert store.load().services == ()
    assert listed(services) == []


def test_another_process_s_change_is_seen(services: Path, store: DefinitionStore) -> None:
    store.save(WEB)
    assert store.get("web") == WEB
    DefinitionStore(services).save(STATIC)
    DefinitionStore(services).save(Service("web", (Listener(8080),)))
    assert {service.name for service in store.load().services} == {"vm", "web"}
    assert store.get("web") == Service("web", (Listener(8080),))
    DefinitionStore(services).delete("web")
    assert store.get("web") is None


def document(**changes: object) -> bytes:
    content = {"schema": 1, "name": "web", "listeners": [{"port": 80, "protocol": "tcp"}]} | changes
    return json.dumps(content).encode()


@pytest.mark.parametrize(
    ("content", "schema"),
    [
        (document(schema=2), "2"),
        (document(schema=3, listeners="what they are then", surprise=1), "3"),
        (document(schema=10**40), "a number of more than nine digits"),
    ],
)
def test_what_a_newer_netshare_wrote_is_called_that_and_kept(
    services: Path, store: DefinitionStore, content: bytes, schema: str
) -> None:
    services.mkdir(parents=True)
    path = services / "web.json"
    path.write_bytes(content)
    error = store.load().unreadable["web"]
    said = f"a newer netshare wrote it: its schema is {schema}, and this one ({__version__}) knows 1"
    assert error.message == f"the definition {path} can't be used: {said}"
    assert "use that netshare again" in (error.hint or "")
    with pytest.raises(DefinitionError, match="a newer netshare wrote it"):
        store.save(WEB)
    with pytest.raises(DefinitionError, match="a newer netshare wrote it"):
        store.delete("web")
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "EOF"),
        (b"{", "EOF"),
        (b"\xff\xfe", "Invalid JSON"),
        (b"[]", "object"),
        (b"[" * 100_000, "Invalid JSON"),
        (b'{"name": "web", "listeners": [{"port": 80}]}', "schema: Field required"),
        (document(schema=0), "schema: "),
        (document(schema="1"), "schema: "),
        (document(wieght=3), f"wieght: netshare {__version__} knows no such field; a newer one may have written it"),
        (document(name="api"), "it defines api, which its file name does not say"),
        (document(name="../web"), "is not a service name"),
        (document(listeners=[]), "listeners: "),
        (document(listeners=[{"port": 0, "protocol": "tcp"}]), "listeners.0.port: "),
        (document(listeners=[{"port": "80", "protocol": "tcp"}]), "listeners.0.port: "),
        (document(listeners=[{"port": 80, "protocol": "icmp"}]), "listeners.0.protocol: "),
        (document(listeners=[{"port": 80, "protocol": "tcp", "address": "0.0.0.0"}]), "names no address"),
        (document(listeners=[{"port": 80, "protocol": "tcp"}] * 2), "listener 80/tcp is there twice"),
        (document(strategy="roulette"), "there is no strategy 'roulette'"),
        (document(driver="ebpf"), "there is no driver 'ebpf'"),
        (document(engine="lxd"), "there is no engine 'lxd'"),
        (document(endpoints=["127.0.0.1"]), "can't be reached"),
        (document(engine="static"), "its engine is static and it lists no endpoints"),
        (document(endpoints=["10.0.0.2"], network="n"), "it lists its endpoints and looks for replicas too"),
        (document(select={"": "x"}), "is not KEY=VALUE"),
        (document(source="label"), "source: "),
        (document(source="labels"), "those of a service that labels make are in its labels"),
        (document(weights={"web-1": 257}), "weights.web-1: "),
        (document(weights={"web-1": -1}), "weights.web-1: "),
        (document(weights={"web-1": True}), "weights.web-1: "),
        (document(weights={"": 1}), "is not a replica's name"),
        (document(weights={"web\n": 1}), "is not a replica's name"),
    ],
)
def test_a_file_that_can_not_be_used_is_named_and_left_alone(
    services: Path,
    store: DefinitionStore,
    content: bytes,
    why: str,
) -> None:
    services.mkdir(parents=True)
    path = services / "web.json"
    path.write_bytes(content)
    store.save(STATIC)
    definitions = store.load()
    assert definitions.services == (STATIC,)
    error = definitions.unreadable["web"]
    assert str(path) in error.message
    assert why in error.message
    assert "mend the file" in (error.hint or "")
    with pytest.raises(DefinitionError):
        store.get("web")
    with pytest.raises(DefinitionError):
        store.save(WEB)
    with pytest.raises(DefinitionError):
        store.delete("web")
    assert path.read_bytes() == content
    with pytest.raises(DefinitionError):
        definitions.get("web")


@pytest.mark.parametrize("name", ["Web page.json", "%77eb.json", "a%2Fb%2Fc.json", "w\udcffeb.json"])
def test_a_file_that_no_service_is_named_after(services: Path, store: DefinitionStore, name: str) -> None:
    store.save(WEB)
    (services / name).write_bytes(document())
    definitions = store.load()
    assert definitions.services == (WEB,)
    [error] = definitions.unreadable.values()
    assert "its file name is not one of a service" in error.message
    assert error.message.isprintable()


def test_what_is_no_definition_is_not_looked_at(services: Path, store: DefinitionStore) -> None:
    store.save(WEB)
    for name in ("README", "web.json.bak", ".web.json.new", ".hidden.json"):
        (services / name).write_bytes(b"not one")
    assert store.load().services == (WEB,)
    assert not store.load().unreadable


def make_link(path: Path) -> None:
    target = path.with_name("target")
    target.write_bytes(document())
    path.symlink_to(target)


def make_dangling_link(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere"))


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_directory(path: Path) -> None:
    path.mkdir()


def make_large(path: Path) -> None:
    path.write_bytes(b" " * (1 << 20) + document())


@pytest.mark.parametrize("make", [make_link, make_dangling_link, make_large, make_pipe, make_directory])
def test_only_plain_files_of_a_sound_size_are_read(
    services: Path,
    store: DefinitionStore,
    make: Callable[[Path], None],
) -> None:
    services.mkdir(parents=True)
    make(services / "web.json")
    assert list(store.load().unreadable) == ["web"]
    with pytest.raises(DefinitionError):
        store.save(WEB)
    assert [name for name in listed(services) if name.startswith(".")] == []


def test_a_full_disk_leaves_the_old_definition(
    services: Path,
    store: DefinitionStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_room(_: int) -> None:
        raise OSError(28, os.strerror(28))

    store.save(WEB)
    monkeypatch.setattr(os, "fsync", no_room)
    with pytest.raises(NetshareError, match="No space left on device") as failed:
        store.save(Service("web", (Listener(81),)))
    assert failed.value.exit_code == 1
    assert DefinitionStore(services).get("web") == WEB
    assert listed(services) == ["web.json"]


def test_what_a_crash_left_behind_does_not_stand_in_the_way(services: Path, store: DefinitionStore) -> None:
    store.save(WEB)
    (services / ".web.json.new").write_bytes(b"half of one")
    store.save(Service("web", (Listener(81),)))
    assert listed(services) == ["web.json"]


@pytest.mark.parametrize("verb", ["open", "listdir"])
def test_what_may_not_be_read_is_a_question_of_permission(
    store: DefinitionStore,
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
) -> None:
    def forbidden(*_: object, **__: object) -> int:
        raise PermissionError(13, os.strerror(13))

    store.save(WEB)
    monkeypatch.setattr(os, verb, forbidden)
    with pytest.raises(NotPermittedError, match="can't be read: Permission denied") as refused:
        store.load()
    monkeypatch.undo()
    assert "NETSHARE_STATE_DIR" in (refused.value.hint or "")
