"""The agent's metrics as one thing: what is measured, how things stand, and where both are served."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, ProcessCollector

from netshare.core.model import Endpoint
from netshare.metrics.meter import Meter
from netshare.metrics.serving import MetricsServer
from netshare.metrics.standing import Counting, Followed, Standing


class AgentMetrics(Meter):
    """Measures, and serves what it measured, from when it is made until `close`."""

    def __init__(self, address: Endpoint, counting: Counting, engines: Iterable[Followed]) -> None:
        """Listen.

        Raises:
            NetshareError: nobody can listen there.

        """
        registry = CollectorRegistry()
        super().__init__(registry)
        ProcessCollector(registry=registry)
        registry.register(Standing(lambda: self.prepared, counting, engines))
        self._server = MetricsServer(address, registry)

    def serve(self) -> None:
        """Answer until `close`."""
        self._server.serve()

    def close(self) -> None:
        """Stop answering."""
        self._server.close()
