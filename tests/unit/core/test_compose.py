"""Compose's labels, read as a stranger's words."""

import pytest

from netshare.core import compose
from netshare.core.compose import ComposeService
from netshare.errors import NetshareError
from tests.fakes.engine import container

LABELS = {
    "com.docker.compose.project": "shop",
    "com.docker.compose.service": "web",
    "com.docker.compose.container-number": "4",
    "com.docker.compose.project.working_dir": "/srv/shop",
    "com.docker.compose.project.config_files": "compose.yaml,/etc/shop/more.yaml",
    "com.docker.compose.project.environment_file": "prod.env",
    "com.docker.compose.version": "2.29.1",
}


def test_a_service_is_found_by_its_labels() -> None:
    made = container("shop-web-4", labels=LABELS)
    found = compose.service_of(made)
    assert found == ComposeService(
        "shop", "web", "/srv/shop", ("/srv/shop/compose.yaml", "/etc/shop/more.yaml"), ("/srv/shop/prod.env",)
    )
    assert compose.is_composed(made)
    assert compose.number(made) == 4
    assert found.has(made)
    assert not found.has(container("x", labels=LABELS | {"com.docker.compose.oneoff": "True"}))
    assert not found.has(container("x", labels=LABELS | {"com.docker.compose.service": "db"}))


def test_the_first_version_is_known_by_its_number() -> None:
    made = container("shop_web_1", labels=LABELS | {"com.docker.compose.version": "1.29.2"})
    assert compose.service_of(made).is_first_version


@pytest.mark.parametrize("word", ["", "x", "-1", "1e3", "9" * 20, "٣"])
def test_a_strange_number_is_none(word: str) -> None:
    made = container("x", labels={"com.docker.compose.container-number": word})
    assert compose.number(made) == 0


@pytest.mark.parametrize(
    ("label", "value"),
    [
        ("com.docker.compose.project", "--file=/tmp/evil"),
        ("com.docker.compose.project", ""),
        ("com.docker.compose.service", "-x"),
        ("com.docker.compose.service", "a b"),
        ("com.docker.compose.project.working_dir", ""),
        ("com.docker.compose.project.working_dir", "relative"),
        ("com.docker.compose.project.working_dir", "/a\n/b"),
        ("com.docker.compose.project.config_files", ""),
        ("com.docker.compose.project.config_files", "/a\x1b[2J"),
        ("com.docker.compose.project.config_files", "/" + "a" * 5000),
    ],
)
def test_what_can_not_be_used_is_refused(label: str, value: str) -> None:
    with pytest.raises(NetshareError) as refusal:
        compose.service_of(container("shop-web-1", labels=LABELS | {label: value}))
    assert label in refusal.value.message
    assert refusal.value.hint
    assert refusal.value.message.isprintable()


def test_podman_compose_is_told_apart() -> None:
    with pytest.raises(NetshareError, match="podman-compose"):
        compose.service_of(container("x", labels=LABELS | {"io.podman.compose.service": "web"}))
    with pytest.raises(NetshareError, match="podman-compose"):
        compose.service_of(container("x", labels={"io.podman.compose.service": "web"}))
