"""Traefik with its Docker provider: it follows Docker's events, and reads its routes from containers' labels."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from docker.models.containers import Container

from scripts.benchmarks.processes import Process, missing, until
from scripts.benchmarks.ways.site import PORT, Site
from scripts.benchmarks.ways.supervised import Supervised


class _Running(Supervised):
    def replace(self, old: Container, new: Container) -> None:
        """Nothing is to be said: Docker's events do."""


class TraefikWay:
    """The configuration of its manual's first steps."""

    name = "Traefik (Docker provider)"
    does_all = True

    def lacks(self) -> str | None:
        """Look for it."""
        return missing("traefik")

    @contextmanager
    def run(self, site: Site, replicas: Sequence[Container]) -> Iterator[_Running]:
        """Run it."""
        words = ["traefik", f"--entrypoints.web.address=:{PORT}", "--providers.docker=true"]
        words += [f"--providers.docker.endpoint={site.url}", "--log.level=ERROR"]
        words += ["--global.checknewversion=false", "--global.sendanonymoususage=false"]

        def start() -> Process:
            process = Process(
                site.host, words, site.directory / "traefik.log", environment={"HOME": str(site.directory)}
            )
            process.wait_until(lambda: site.ask() is not None)
            return process

        running = _Running(start)
        try:
            until(
                lambda: len(site.answered()) == len(replicas), f"Traefik to know its replicas: {running.process.said()}"
            )
            yield running
        finally:
            running.stop()
