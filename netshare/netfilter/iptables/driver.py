"""The iptables driver: one run of ``iptables-restore`` a family and change, and the kernel itself as its only memory."""

from collections.abc import Mapping
from types import MappingProxyType

from netshare.core.diff import Change
from netshare.core.model import Family, Strategy
from netshare.core.ruleset import Ruleset, Target
from netshare.errors import NetfilterError, NetshareError
from netshare.netfilter.driver import Observation
from netshare.netfilter.iptables import reading, tools, words
from netshare.netfilter.iptables.saved import Reader
from netshare.netfilter.iptables.script import script
from netshare.netfilter.iptables.tables import Tables, tables
from netshare.netfilter.nftables.chains import DEFAULT_MARK


class IptablesDriver:
    """Programs legacy xtables in the network namespace of the calling thread.

    The kernel counts no commits to it and tells of none: what is there is listed each time, and taken apart only where
    it has changed.
    """

    name = "iptables"
    strategies = frozenset({Strategy.RANDOM, Strategy.ROUND_ROBIN})

    def __init__(self, mark: int = DEFAULT_MARK) -> None:
        """``mark`` is the bit of a flow's connection mark that says it is netshare's."""
        self._mark = mark
        self._readers = {family: Reader() for family in Family}

    def observe(self) -> Observation:
        """Read back what is programmed; see `netshare.netfilter.driver.Driver`."""
        return self._observe()[0]

    def apply(self, change: Change) -> None:
        """Commit a change: atomic in each table, one table after the other.

        Where one is refused, those before it are put back. See `netshare.netfilter.driver.Driver`.
        """
        if change.is_empty:
            return
        observation, held = self._observe()
        if not change.rebuild and not (observation.intact and observation.ruleset == change.before):
            raise NetfilterError("iptables' tables hold something else than the change is from")
        self._require_strategies(change.after)
        wanted = {family: tables(change.after, family, self._mark) for family in Family}
        self._commit({f: script(held[f], wanted[f], anew=change.rebuild) for f in Family}, held)

    def remove_all(self) -> None:
        """Remove every chain and rule of netshare's, of whatever version."""
        held = self._observe()[1]
        self._commit({family: script(held[family], {}) for family in Family}, held)

    def render(self, ruleset: Ruleset) -> str:
        """Write a ruleset in iptables' words."""
        return words.render(ruleset, self._mark)

    def _observe(self) -> tuple[Observation, dict[Family, Tables]]:
        held: dict[Family, Tables] = {}
        found: list[Ruleset] = []
        connections: dict[Target, int] = {}
        for family, reader in self._readers.items():
            saved = reader.read(tools.save(family))
            held[family] = saved.tables
            own, counted = reading.ruleset(saved.tables, family, saved.counts)
            found.append(own)
            connections |= counted
        if not any(held.values()):
            return Observation(), held
        ruleset = _together(found)
        return Observation(ruleset, self._is_intact(ruleset, held), connections), held

    def _is_intact(self, ruleset: Ruleset, held: Mapping[Family, Tables]) -> bool:
        """Whether everything is there as it would be written, and nothing more."""
        try:
            self._require_strategies(ruleset)
            return all(held[family] == tables(ruleset, family, self._mark) for family in Family)
        except NetfilterError:
            return False

    def _require_strategies(self, ruleset: Ruleset) -> None:
        for match, dispatch in ruleset.dispatches.items():
            if dispatch.strategy not in (None, *self.strategies):
                raise NetfilterError(f"the driver iptables can't do {dispatch.strategy}, which {match} asks for")

    def _commit(self, scripts: Mapping[Family, str], held: Mapping[Family, Tables]) -> None:
        """Commit what is to be done, or leave everything as it was."""
        begun: list[Family] = []
        try:
            for family, text in scripts.items():
                if text:
                    begun.append(family)
                    tools.restore(family, text)
        except NetshareError:
            for family in begun:
                self._put_back(family, held[family])
            raise

    def _put_back(self, family: Family, before: Tables) -> None:
        now = self._readers[family].read(tools.save(family)).tables
        undo = script(now, before)
        if undo:
            tools.restore(family, undo)


def _together(found: list[Ruleset]) -> Ruleset:
    return Ruleset(
        MappingProxyType({match: each for own in found for match, each in own.dispatches.items()}),
        frozenset(target for own in found for target in own.targets),
        frozenset(subnet for own in found for subnet in own.hairpins),
    )
