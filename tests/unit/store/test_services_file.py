import json
from ipaddress import ip_address

import jsonschema
import pytest
import yaml

from netshare.core.model import Listener, Protocol, Service, Source, StaticEndpoint
from netshare.errors import DefinitionError
from netshare.runtime.version import __version__
from netshare.store import services_file
from netshare.store.services_file import decode, encode

WEB = Service(
    "shop/web",
    (Listener(80, to=8080), Listener(53, Protocol.UDP, ip_address("fd00::1"))),
    select=(("app", "no"), ("port", "80"), ("yes", "22:22")),
    network="shop_default",
    engine="docker",
    weights=(("web-1", 0),),
)
VM = Service("vm", (Listener(22),), endpoints=(StaticEndpoint(ip_address("10.0.0.2")),))
LABELS = Service("api", (), source=Source.LABELS, weights=(("api-1", 3),))


def test_what_is_exported_is_what_is_read() -> None:
    for form in (encode([WEB, VM, LABELS]), json.dumps(services_file.plain([WEB, VM, LABELS])).encode()):
        assert decode(form, "it") == (WEB, VM, LABELS)
    assert decode(encode([]), "it") == ()


def test_it_is_for_people() -> None:
    text = encode([VM]).decode()
    assert text.startswith("# Services of netshare")
    assert text.partition("\n")[2] == (
        "schema: 1\nservices:\n- name: vm\n  listeners:\n  - port: 22\n  endpoints:\n  - 10.0.0.2\n"
    )


def test_the_order_of_labels_says_nothing() -> None:
    text = "schema: 1\nservices: [{name: web, listeners: [{port: 80}], select: {b: y, a: x}}]"
    assert decode(text.encode(), "it")[0].select == (("a", "x"), ("b", "y"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it:1: it has to say `schema: 1`|it: it has to say"),
        ("- 1", "it:1: it has to say `schema: 1` and `services:` at its top"),
        ("services: []", "it:1: schema: Field required"),
        ("schema: 0\nservices: []", "it:1: schema: Input should be 1"),
        ("schema: 2\nnew: 1", "it:1: a newer netshare wrote it: its schema is 2, and this one .* knows 1"),
        ("schema: 1\nservices: []\nextra: 1", f"it:3: extra: netshare {__version__} knows no such field"),
        ("schema: 1\nservices:\n- name: web\n  listeners: [{port: 0}]", r"it:4: services\.0\.listeners\.0\.port: "),
        ("schema: 1\nservices:\n- name: web\n  listeners: [{port: '80'}]", "valid integer"),
        ("schema: 1\nservices:\n- name: web\n  listeners: []", r"it:3: services\.0, 'web': listeners: there is none"),
        ("schema: 1\nservices:\n- name: a b\n  listeners: [{port: 80}]", r"it:3: services\.0, 'a b': "),
        ("schema: 1\nservices:\n- name: web\n  listeners: [{port: 80}]\n  health: ping", "it:3: .*ping"),
        ("schema: 1\nservices:\n- &a {name: web, listeners: [{port: 80}]}\n- *a", "it:3: anchors and aliases"),
        (
            "schema: 1\nservices:\n- {name: web, listeners: [{port: 80}]}\n- {name: web, listeners: [{port: 81}]}",
            "it:4: service web is there twice",
        ),
        (
            "schema: 1\nservices:\n- {name: web, listeners: [{port: 80}]}\n- {name: api, listeners: [{port: 80}]}",
            "it:4: 80/tcp is both web's and api's",
        ),
        ("schema: 1\nservices:\n- {name: web, x: 1, y: 2}", r"\(and 2 more\)"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(text: str, message: str) -> None:
    with pytest.raises(DefinitionError, match=message) as raised:
        decode(text.encode(), "it")
    assert "nothing was changed" in str(raised.value.hint)


def test_the_published_schema_is_current() -> None:
    """``python -c 'from netshare.store import services_file as f; print(f.json_schema(), end="")'`` makes it anew."""
    assert services_file.published() == services_file.json_schema()


def test_the_published_schema_agrees() -> None:
    schema = json.loads(services_file.published())
    jsonschema.Draft202012Validator.check_schema(schema)
    check = jsonschema.Draft202012Validator(schema)
    assert check.is_valid(services_file.plain([WEB, VM, LABELS]))
    assert check.is_valid(yaml.safe_load(encode([WEB, VM])))
    for wrong in ({"schema": 2, "services": []}, {"schema": 1}, {"schema": 1, "services": [{"name": "web"}]}):
        assert not check.is_valid(wrong)
