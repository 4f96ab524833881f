"""The iptables driver: one run of ``iptables-restore`` a family and change; its only memory is the kernel itself."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from netshare.core.diff import Change
from netshare.core.model import Family, Service, Strategy
from netshare.core.ruleset import Ruleset, Target
from netshare.errors import NetfilterError, NetshareError
from netshare.netfilter.driver import Observation, Offer
from netshare.netfilter.iptables import reading, tools, words
from netshare.netfilter.iptables.saved import Reader
from netshare.netfilter.iptables.script import script
from netshare.netfilter.iptables.tables import SCHEMA, Tables, tables, target_chain
from netshare.netfilter.made_by import newer
from netshare.netfilter.nftables.chains import DEFAULT_MARK

_STRATEGIES = frozenset({Strategy.RANDOM, Strategy.ROUND_ROBIN})
_LIMITS = (
    "a change is atomic in each table, not over all of them",
    "what another hand changes is seen with the next look, not at once",
    "round-robin begins a new turn with every change of the nat table, by whomever",
    f"no {', no '.join(sorted(frozenset(Strategy) - _STRATEGIES))}",
)


class IptablesDriver:
    """Programs legacy xtables in the network namespace of the calling thread.

    The kernel counts no commits to it and tells of none. So what is there is listed each time, and what was known of
    it holds as long as the list is the same.
    """

    name = "iptables"
    offers = MappingProxyType({name: Offer(_STRATEGIES, _LIMITS)})

    def __init__(self, mark: int = DEFAULT_MARK) -> None:
        """``mark`` is the bit of a flow's connection mark that says it is netshare's."""
        self._mark = mark
        self._readers = {family: Reader() for family in Family}
        self._known: tuple[Mapping[Family, Tables], Ruleset] | None = None

    def place(self, service: Service) -> str:
        """Name the driver that a service asks for, else this one."""
        return service.placed(self.name)

    def observe(self) -> Observation:
        """Read back what is programmed; see `netshare.netfilter.driver.Driver`."""
        return self._observe()[0]

    def connections(self) -> Mapping[Target, int]:
        """Read back the counts: they come with everything else."""
        return self._observe()[0].connections

    def apply(self, change: Change) -> None:
        """Commit a change: atomic in each table, one table after the other.

        Where one is refused, those before it are put back. See `netshare.netfilter.driver.Driver`.
        """
        if change.is_empty:
            return
        observation, held = self._observe()
        if not change.rebuild and not (observation.intact and observation.ruleset == change.before):
            raise NetfilterError("iptables' tables hold something else than the change is from")
        _require_strategies(change.after)
        wanted = {family: tables(change.after, family, self._mark) for family in Family}
        self._commit({f: script(held[f], wanted[f], anew=change.rebuild) for f in Family}, held)
        self._known = wanted, change.after

    def remove_all(self) -> None:
        """Remove every chain and rule of netshare's, of whatever version."""
        held = self._observe()[1]
        self._commit({family: script(held[family], {}) for family in Family}, held)

    def render(self, ruleset: Ruleset) -> str:
        """Write a ruleset in iptables' words."""
        return words.render(ruleset, self._mark)

    def _observe(self) -> tuple[Observation, dict[Family, Tables]]:
        saved = {family: reader.read(tools.save(family)) for family, reader in self._readers.items()}
        held = {family: each.tables for family, each in saved.items()}
        if not any(held.values()):
            return Observation(), held
        ruleset = self._recalled(held)
        is_intact = ruleset is not None
        if ruleset is None:
            ruleset = _together([reading.ruleset(each.tables, family) for family, each in saved.items()])
            is_intact = self._is_intact(ruleset, held)
            self._known = (held, ruleset) if is_intact else None
        counted = {t: saved[t.endpoint.family].counts.get(target_chain(t), 0) for t in ruleset.targets}
        return Observation(ruleset, is_intact, counted, newer(_comments(held), SCHEMA)), held

    def _recalled(self, held: Mapping[Family, Tables]) -> Ruleset | None:
        """Give the ruleset that these tables are known to be."""
        if self._known is not None and self._known[0] == held:
            return self._known[1]
        return None

    def _is_intact(self, ruleset: Ruleset, held: Mapping[Family, Tables]) -> bool:
        """Whether everything is there as it would be written, and nothing more."""
        try:
            _require_strategies(ruleset)
        except NetfilterError:
            return False
        return all(held[family] == tables(ruleset, family, self._mark) for family in Family)

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


def _comments(held: Mapping[Family, Tables]) -> Iterator[str]:
    """Give the words of the rules that lead to netshare's chains, the comments among them."""
    return (word for each in held.values() for table in each.values() for _, words in table.hooks for word in words)


def _require_strategies(ruleset: Ruleset) -> None:
    for match, dispatch in ruleset.dispatches.items():
        if dispatch.strategy not in (None, *_STRATEGIES):
            raise NetfilterError(f"the driver iptables can't do {dispatch.strategy}, which {match} asks for")


def _together(found: list[Ruleset]) -> Ruleset:
    return Ruleset(
        MappingProxyType({match: each for own in found for match, each in own.dispatches.items()}),
        frozenset(target for own in found for target in own.targets),
        frozenset(subnet for own in found for subnet in own.hairpins),
    )
