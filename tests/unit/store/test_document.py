import pytest
import yaml

from netshare.store import document
from netshare.store.document import LARGEST, InvalidDocumentError, read


@pytest.fixture(params=["SafeLoader", "CSafeLoader"], autouse=True)
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both of PyYAML's parsers, whichever it was built with."""
    monkeypatch.setattr(document, "_LOADER", getattr(yaml, request.param, yaml.SafeLoader))


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("a: [1, -2, 0, true, null, ~, ]", {"a": [1, -2, 0, True, None, None]}),
        ("a:", {"a": None}),
        # What YAML 1.1 has for booleans, numbers to the base 60 and 8, dates; and what is no number in JSON.
        ("[no, on, True, 22:22, 0777, 2026-11-22, 1_000, +5, 1.5, .inf, 1e3]", "as words"),
        ("a: '80'\nb: \"no\"\nc: |\n  1\n", {"a": "80", "b": "no", "c": "1\n"}),
        ("80: tcp", {"80": "tcp"}),
        ('{"a": [1, "\\u00fc", {"b": null}]}', {"a": [1, "ü", {"b": None}]}),
        ("", None),
        ("# nothing\n", None),
        ("\ufeffa: ü", {"a": "ü"}),
        (f"a: {'9' * 30}", {"a": "9" * 30}),
    ],
)
def test_what_is_said(text: str, data: object) -> None:
    words = ["no", "on", "True", "22:22", "0777", "2026-11-22", "1_000", "+5", "1.5", ".inf", "1e3"]
    if data == "as words":
        text, data = f"a: {text}", {"a": words}
    assert read(text.encode()).data == data


@pytest.mark.parametrize(
    ("text", "why", "line"),
    [
        ("a: 1\nb: 2\na: 3\n", "'a' is there twice", 3),
        ("a:\n  - &x 1\n  - *x\n", "anchors and aliases", 2),
        ("a:\n  <<: *x\n", "anchors and aliases", 2),
        ("a: 1\nb: !!python/object/apply:os.system [id]\n", "tags are not taken: tag:yaml.org,2002:python", 2),
        ("a: !!str 5", "tags are not taken", 1),
        ("a: ! 5", "tags are not taken", 1),
        ("a:\n\t- 1", "not YAML", 2),
        ("a: [1", "not YAML", None),
        ("a: 1\n---\nb: 2\n", "not YAML: but found another document", 2),
        ("? [a]\n: 1\n", "a key has to be a word", 1),
        (f"a: {'[' * 5000}", "nested too deeply", 1),
        ("a: " * 40, "not YAML", 1),
        ("a: '\0'", "not YAML", None),
        ('{"a": 1, "a": 2}', "'a' is there twice", None),
        ('{"a": 1,\n', "not JSON", 2),
        ('{"a": 1}}', "not JSON", 1),
        ("[" * 200_000, "nested too deeply", None),
        (f'{{"a": {"9" * 5000}}}', "limit", None),
    ],
)
def test_what_is_refused(text: str, why: str, line: int | None) -> None:
    with pytest.raises(InvalidDocumentError, match=why) as raised:
        read(text.encode())
    assert raised.value.line == line or line is None


def test_what_is_no_text() -> None:
    with pytest.raises(InvalidDocumentError, match="not UTF-8") as raised:
        read(b"a: 1\nb: \xff\n")
    assert raised.value.line == 2


def test_what_is_too_large() -> None:
    with pytest.raises(InvalidDocumentError, match="larger than 4 MiB"):
        read(b"#" * (LARGEST + 1))


def test_the_lines_of_its_parts() -> None:
    found = read(b"schema: 1\nservices:\n  - name: web\n    listeners:\n      - port: 80\n")
    assert found.line(("services", 0, "listeners", 0, "port")) == 5
    assert found.line(("services", 0, "listeners", 0, "protocol")) == 5
    assert found.line(("services", 0)) == 3
    assert found.line(("nothing",)) == 1
    assert read(b'{"a": 1}').line(("a",)) is None
