"""The application's factory: settings in, a WSGI application out."""

from flask import Flask, Response

from app.web import problems, services
from app.web.client_address import ClientAddress
from app.web.database import Database
from app.web.settings import Settings
from app.web.status import status
from app.web.upstream import Upstream
from app.web.work import work


def create_app(settings: Settings) -> Flask:
    """Put the application together; nothing is connected to before a request needs it, so a server may fork after."""
    flask = Flask(__name__)
    database = Database(
        settings.database_url,
        connections=settings.database_connections,
        wait=settings.database_wait,
        longest_delay=settings.longest_delay,
    )
    services.register(flask.extensions, services.Services(settings, Upstream(settings.upstream_url), database))
    problems.register(flask)
    flask.register_blueprint(work)
    flask.register_blueprint(status)
    flask.after_request(_careful)
    flask.wsgi_app = ClientAddress(flask.wsgi_app, settings.trusted_proxies)  # type: ignore[method-assign]
    return flask


def _careful(response: Response) -> Response:
    """Answers are nobody's to keep, and a page loads nothing from elsewhere."""
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["Content-Security-Policy"] = "default-src 'self'; frame-ancestors 'none'"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
