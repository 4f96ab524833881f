"""``netshare list``."""

from netshare.cli import documents, output
from netshare.cli.options import Output
from netshare.cli.problems import finish
from netshare.core.model import Service, Source
from netshare.operations.listing import list_services


def list_(form: Output = output.Format.TABLE) -> None:
    """List the services, one a line."""
    from netshare import wiring

    host = wiring.host()
    listing = list_services(host, wiring.agent_control())
    if form is output.Format.JSON:
        output.document(documents.of_listing(listing, host.driver.place))
    elif listing.services:
        output.table(("SERVICE", "LISTENERS", "REPLICAS FROM", "STRATEGY"), [_row(s) for s in listing.services])
    elif not listing.problems:
        output.note("nothing is attached; `netshare attach NAME PORT` attaches a service")
    if form is not output.Format.JSON:
        for message in (*listing.notices, *listing.remarks):
            output.note(str(message))
    finish(listing.problems)


def _row(service: Service) -> tuple[str, str, str, str]:
    return service.name, ", ".join(map(str, service.listeners)), _source(service), service.strategy


def _source(service: Service) -> str:
    if service.is_static:
        return ", ".join(map(str, service.endpoints))
    where = "labels" if service.source is Source.LABELS else service.engine or "any engine"
    return f"{where}, {' '.join(f'{key}={value}' for key, value in service.select)}" if service.select else where
