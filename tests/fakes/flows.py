"""A kernel that tracks the flows it is told of."""

from netshare.core.flows import Expectation, Flow
from netshare.errors import NetshareError


class FakeFlows:
    """``tracked`` are the flows under way, ``looks`` what was expected of them; ``failure`` is raised once."""

    def __init__(self) -> None:
        self.tracked: list[Flow] = []
        self.looks: list[Expectation] = []
        self.failure: NetshareError | None = None

    def end(self, expected: Expectation) -> int:
        self.looks.append(expected)
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        left = [flow for flow in self.tracked if not self._is_seen(flow, expected) or not expected.ends(flow)]
        ended = len(self.tracked) - len(left)
        self.tracked = left
        return ended

    def _is_seen(self, flow: Flow, expected: Expectation) -> bool:
        return flow.is_ours or (flow.protocol, flow.listener.port) in expected.ports
