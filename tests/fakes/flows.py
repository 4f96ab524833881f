"""A kernel that tracks the flows it is told of."""

from collections.abc import Sequence

from netshare.core.flows import Expectation, Flow, Phase
from netshare.errors import NetshareError


class FakeFlows:
    """``tracked`` are the flows under way, ``looks`` what was expected of them; ``failure`` is raised once."""

    def __init__(self) -> None:
        self.tracked: list[Flow] = []
        self.looks: list[Expectation] = []
        self.failure: NetshareError | None = None

    def end(self, expected: Expectation) -> Sequence[Flow]:
        self.looks.append(expected)
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        ended = [flow for flow in self.tracked if self._is_seen(flow, expected) and expected.ends(flow)]
        self.tracked = [flow for flow in self.tracked if flow not in ended]
        return [flow for flow in ended if flow.phase is not Phase.OVER]

    def _is_seen(self, flow: Flow, expected: Expectation) -> bool:
        return flow.is_ours or (flow.protocol, flow.listener.port) in expected.ports
