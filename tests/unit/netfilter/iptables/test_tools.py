"""What is said where the tools of legacy xtables fail."""

import pytest

from netshare.core.model import Family
from netshare.errors import NetfilterError
from netshare.netfilter import command
from netshare.netfilter.iptables import tools


@pytest.mark.parametrize(
    ("said", "mend"),
    [
        # Debian 12 and 13, from within the agent's unit, and where no module has the table.
        ("modprobe: FATAL: Module ip6_tables not found in directory /lib/modules/6.12.118", "modprobe --all ip_tables"),
        ("can't initialize ip6tables table `nat': Table does not exist (do you need to insmod?)", "modules-load.d"),
        ("line 3 failed", "netshare doctor"),
    ],
)
def test_a_tool_that_fails_is_told_with_the_mend(monkeypatch: pytest.MonkeyPatch, said: str, mend: str) -> None:
    def fail(*_words: str, **_given: str) -> str:
        raise NetfilterError(f"ip6tables-legacy-restore: {said}")

    monkeypatch.setattr(command, "find", lambda name: f"/usr/sbin/{name}")
    monkeypatch.setattr(command, "run", fail)
    with pytest.raises(NetfilterError) as caught:
        tools.restore(Family.IP6, "*nat\n:NETSHARE - [0:0]\n-A NETSHARE -j ACCEPT\nCOMMIT\n")
    assert said in caught.value.message
    assert caught.value.hint is not None
    assert mend in caught.value.hint
