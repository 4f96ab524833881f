import pytest
from werkzeug.datastructures import MultiDict

from app.web.inputs import parse_delay
from app.web.problems import BadInputError
from app.web.settings import Settings, SettingsError

pytestmark = pytest.mark.app


@pytest.mark.parametrize(("text", "delay"), [("0", 0.0), ("1", 1.0), ("0.25", 0.25), ("10", 10.0), ("007", 7.0)])
def test_a_delay_is_a_number_of_seconds(text: str, delay: float) -> None:
    assert parse_delay(MultiDict([("delay", text)]), 10) == delay


@pytest.mark.parametrize(("longest", "delay"), [(10.0, 1.0), (0.5, 0.5)])
def test_without_one_it_is_a_second_or_the_longest_allowed(longest: float, delay: float) -> None:
    assert parse_delay(MultiDict(), longest) == delay


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", "nan", "inf", "1e0", "0x1", "1,5", " 1", "1 ", "1s", "\u0661", "1.", ".5", "1.2345"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(BadInputError, match="is not a number of seconds"):
        parse_delay(MultiDict([("delay", text)]), 10)


def test_a_long_one_is_not_repeated_in_full() -> None:
    with pytest.raises(BadInputError) as caught:
        parse_delay(MultiDict([("delay", "x" * 10_000)]), 10)
    assert len(str(caught.value)) < 200


def test_too_long_a_delay_and_two_of_them_are_refused() -> None:
    with pytest.raises(BadInputError, match=r"10\.001 is more than the 10 seconds allowed"):
        parse_delay(MultiDict([("delay", "10.001")]), 10)
    with pytest.raises(BadInputError, match="more than once"):
        parse_delay(MultiDict([("delay", "1"), ("delay", "1")]), 10)


def test_settings_come_from_the_environment() -> None:
    settings = Settings.from_environment(
        {
            "UPSTREAM_URL": "http://api:8081/",
            "DATABASE_URL": "postgresql://app:secret@db/app",
            "DATABASE_CONNECTIONS": "7",
            "LONGEST_DELAY": "2.5",
            "TRUSTED_PROXIES": "10.0.0.0/8, 192.0.2.1 fd00::/8",
            "APP_REPLICA": "web-1",
            "APP_SERVER": "pywsgi",
        }
    )
    assert settings.upstream_url == "http://api:8081/"
    assert (settings.database_connections, settings.longest_delay) == (7, 2.5)
    assert [str(network) for network in settings.trusted_proxies] == ["10.0.0.0/8", "192.0.2.1/32", "fd00::/8"]
    assert (settings.replica, settings.server) == ("web-1", "pywsgi")


def test_without_any_there_are_defaults_and_a_name() -> None:
    settings = Settings.from_environment({"APP_SERVER": ""})
    assert settings.replica
    assert settings == Settings(replica=settings.replica)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("UPSTREAM_URL", "api:8081"),
        ("UPSTREAM_URL", "http://"),
        ("DATABASE_URL", "mysql://app:secret@db/app"),
        ("DATABASE_CONNECTIONS", "0"),
        ("DATABASE_CONNECTIONS", "1.5"),
        ("DATABASE_CONNECTIONS", "many"),
        ("DATABASE_WAIT", "-1"),
        ("LONGEST_DELAY", "nan"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("TRUSTED_PROXIES", "nginx"),
    ],
)
def test_a_wrong_setting_is_named_and_no_password_shown(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name) as caught:
        Settings.from_environment({name: value})
    assert "secret" not in str(caught.value)
