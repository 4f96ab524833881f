"""``netshare version``."""

from netshare.cli import documents, output
from netshare.cli.options import Output
from netshare.runtime.version import __version__


def version(form: Output = output.Format.TABLE) -> None:
    """Print the version."""
    if form is output.Format.JSON:
        output.document(documents.of_facts(version=__version__))
    else:
        output.line(f"netshare {__version__}")
