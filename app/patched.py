"""The one entry point of every server with greenlets: the patch before anything else, then the same application."""

import os

from app.patching import patch

patch(psycopg=os.environ.get("APP_PSYCOGREEN", "on") != "off")  # off: to see what it is good for

from app.wsgi import application  # noqa: E402 (after the patch: that is the point)

__all__ = ["application"]
