"""A ruleset in nft's own words: what ``nft -f`` would load to get what the driver programs."""

from collections.abc import Iterable, Iterator

from netshare.core.ruleset import Dispatch, Match, Ruleset
from netshare.netfilter.nftables.chains import REFUSE, TABLE, TABLE_COMMENT, Chain, Hook, fixed_chains
from netshare.netfilter.nftables.maps import (
    CONNECTION_SETS,
    HAIRPIN_SETS,
    SERVICE_MAPS,
    ConnectionSet,
    HairpinSet,
    ServiceMap,
    SetSpec,
)
from netshare.netfilter.nftables.transaction import chain_of, chains_in


def render(ruleset: Ruleset, mark: int) -> str:
    """Write the whole table down, in the order and the form of ``nft list table``."""
    chains = sorted(chains_in(ruleset), key=lambda chain: chain.name)
    blocks = [_set(services.spec, _services(services, ruleset)) for services in SERVICE_MAPS]
    blocks += [_set(counted.spec, _targets(counted, ruleset)) for counted in CONNECTION_SETS]
    blocks += [_set(place.spec, _subnets(place, ruleset)) for place in HAIRPIN_SETS]
    for endpoints in sorted({chain.map for chain in chains}, key=lambda m: m.name):
        slots = [
            endpoints.words(match, slot, endpoint)
            for match, dispatch in _ordered(ruleset)
            if (chain := chain_of(match, dispatch)) is not None and chain.map == endpoints
            for slot, endpoint in enumerate(dispatch.slots)
        ]
        blocks.append(_set(endpoints.spec, slots))
    blocks += [_chain(chain) for chain in fixed_chains(mark)]
    blocks += [_chain(chain.chain(mark)) for chain in chains]
    body = "\n\n".join(blocks)
    return f'table inet {TABLE} {{\n\tcomment "{TABLE_COMMENT}"\n\n{body}\n}}\n'


def _ordered(ruleset: Ruleset) -> list[tuple[Match, Dispatch]]:
    return sorted(ruleset.dispatches.items(), key=lambda item: _order(item[0]))


def _order(match: Match) -> tuple[str, int, int, str]:
    return match.family, 0 if match.address is None else int(match.address), match.port, match.protocol


def _services(place: ServiceMap, ruleset: Ruleset) -> Iterator[str]:
    for match, dispatch in _ordered(ruleset):
        if ServiceMap.of(match) == place:
            chain = chain_of(match, dispatch)
            goes_to = REFUSE if chain is None else chain.name
            yield f'{place.words(match)} comment "{dispatch.service}" : goto {goes_to}'


def _targets(counted: ConnectionSet, ruleset: Ruleset) -> list[str]:
    return sorted(counted.words(target) for target in ruleset.targets if ConnectionSet.of(target) == counted)


def _subnets(place: HairpinSet, ruleset: Ruleset) -> list[str]:
    return [place.words(network) for network in sorted(ruleset.hairpins, key=str) if HairpinSet.of(network) == place]


def _set(spec: SetSpec, elements: Iterable[str]) -> str:
    lines = [
        f"\t{'set' if spec.data_type is None else 'map'} {spec.name} {{",
        f"\t\t{spec.declaration}",
        *(["\t\tflags interval"] if spec.interval_fields else []),
        *(["\t\tcounter"] if spec.counted else []),
        f'\t\tcomment "{spec.comment}"',
    ]
    listed = ",\n\t\t\t     ".join(elements)
    if listed:
        lines.append(f"\t\telements = {{ {listed} }}")
    return "\n".join((*lines, "\t}"))


def _chain(chain: Chain) -> str:
    lines = [f"\tchain {chain.name} {{", *_base(chain.hook)]
    lines += [f'\t\t{rule.words} comment "{rule.comment}"' for rule in chain.rules]
    return "\n".join((*lines, "\t}"))


def _base(hook: Hook | None) -> list[str]:
    if hook is None:
        return []
    return [f"\t\ttype {hook.kind} hook {hook.name} priority {hook.priority}; policy accept;"]
