"""The application as WSGI servers look for it: unpatched, for those that have a thread for each request."""

import os

from app.web.factory import create_app
from app.web.settings import Settings

application = create_app(Settings.from_environment(os.environ))
