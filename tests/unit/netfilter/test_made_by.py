"""Whose tables these are is read from a comment, by whomever it was written."""

import pytest

from netshare.errors import EngineUnreachableError
from netshare.netfilter.made_by import made_by, newer, refusal


@pytest.mark.parametrize(
    ("comments", "schema"),
    [
        ([], None),
        ([made_by(1)], None),
        ([made_by(2)], None),
        ([made_by(3)], 3),
        ([made_by(3), "-j", made_by(12), "netshare"], 12),
        (["netshare 3"], None),
        (["my netshare 3: made by netshare"], None),
        ([f"netshare {'9' * 5000}: made by netshare"], None),
        (["netshare -3: made by netshare", "", "\0"], None),
    ],
)
def test_only_a_higher_number_in_its_words_is_newer(comments: list[str], schema: int | None) -> None:
    assert newer(comments, 2) == schema


SILENT = EngineUnreachableError("docker does not answer")
ABSENT = EngineUnreachableError("there is no Podman", absent=True)


def test_what_is_refused_names_what_would_be_lost() -> None:
    assert refusal(None, {"web"}, {"docker": SILENT}) is None
    assert refusal(2, set(), {"podman": ABSENT}) is None
    refused = refusal(2, {"web", "api"}, {"docker": SILENT, "podman": ABSENT})
    assert refused is not None
    assert "schema 2" in refused.message
    assert refused.message.endswith("while nothing is known of api, the labels of docker's containers, web")
    assert "use it again" in (refused.hint or "")
    many = refusal(2, {f"web{number}" for number in range(9)}, {})
    assert many is not None
    assert many.message.endswith("web3, web4 and 4 more")
