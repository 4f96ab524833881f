"""``netshare version``."""

from netshare.cli import documents, output
from netshare.cli.options import Output
from netshare.runtime.revision import Revision, revision
from netshare.runtime.version import __version__

_DIGITS = 12
"""Of a commit's hash: enough to tell it from every other."""


def version(form: Output = output.Format.TABLE) -> None:
    """Print the version, and the revision of the source it was built from."""
    found = revision()
    if form is output.Format.JSON:
        commit, is_modified = (found.commit, found.is_modified) if found else (None, None)
        output.document(documents.of_facts(version=__version__, revision=commit, modified=is_modified))
    else:
        output.line(f"netshare {__version__}{f' ({_words(found)})' if found else ''}")


def _words(found: Revision) -> str:
    return f"git {found.commit[:_DIGITS]}{', with changes' if found.is_modified else ''}"
