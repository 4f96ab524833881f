"""Taking a ruleset apart by drivers loses nothing, and a service that moves is never nowhere."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from netshare.core.model import IPTABLES, NFTABLES
from netshare.core.placement import before_leaving, named, parts, together
from netshare.core.ruleset import Ruleset
from tests.property.strategies import rulesets

NAMES = (NFTABLES, IPTABLES)
drivers = st.sampled_from(NAMES)


@st.composite
def placed(draw: st.DrawFn) -> Ruleset:
    """Draw a ruleset whose services are here and there."""
    drawn = draw(rulesets())
    return replace(drawn, dispatches={m: replace(each, driver=draw(drivers)) for m, each in drawn.dispatches.items()})


@given(placed(), drivers, placed())
def test_the_parts_make_the_whole(ruleset: Ruleset, default: str, before: Ruleset) -> None:
    held = parts(before, NAMES, default, {})
    own = parts(ruleset, NAMES, default, held)
    whole = together(own)
    assert whole.dispatches == ruleset.dispatches
    assert whole.targets == ruleset.targets
    assert whole.hairpins <= ruleset.hairpins
    for part in own.values():
        assert named(part.dispatches) <= part.targets
        assert {each.driver for each in part.dispatches.values()} <= {NFTABLES}


@given(placed(), placed(), drivers)
def test_until_the_new_one_has_it_the_old_one_keeps_it(before: Ruleset, after: Ruleset, default: str) -> None:
    held = parts(before, NAMES, default, {})
    wanted = parts(after, NAMES, default, held)
    between = {name: before_leaving(name, wanted, held[name]) for name in NAMES}
    for match in before.dispatches.keys() & after.dispatches.keys():
        assert match in between[before.dispatches[match].driver].dispatches
        assert match in between[after.dispatches[match].driver].dispatches
    for name in NAMES:
        assert wanted[name].dispatches.items() <= between[name].dispatches.items()
        assert named(between[name].dispatches) <= between[name].targets
