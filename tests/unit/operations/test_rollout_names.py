import pytest

from netshare.operations.rollout_names import beside, natural


@pytest.mark.parametrize(
    ("name", "taken", "expected"),
    [
        ("web-1", {"web-1", "web-2", "web-3"}, "web-4"),
        ("web_1", {"web_1", "web-7"}, "web_2"),
        ("web", {"web"}, "web-2"),
        ("web", {"web", "web-2", "web-x"}, "web-3"),
        ("my-web-10", {"my-web-9", "my-web-10"}, "my-web-11"),
        ("1", {"1"}, "1-2"),
    ],
)
def test_the_next_number_that_is_free(name: str, taken: set[str], expected: str) -> None:
    assert beside(name, taken) == expected


def test_names_are_ordered_as_people_do() -> None:
    assert sorted(["web-10", "web-9", "db-2", "web"], key=natural) == ["db-2", "web", "web-9", "web-10"]
