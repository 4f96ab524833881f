"""What can go wrong while a request is answered, and how the client is told: a status, and a reason as JSON."""

from typing import Any

from flask import Flask, Response, current_app, jsonify
from werkzeug.exceptions import HTTPException


class ProblemError(Exception):
    """A request that can't be answered; its message is for the client."""

    status = 500
    code = "internal"


class BadInputError(ProblemError):
    """The client asked for something that makes no sense."""

    status = 400
    code = "bad_input"


class UpstreamFailedError(ProblemError):
    """The slow API is down, or answered nonsense."""

    status = 502
    code = "upstream_failed"


class UpstreamTimeoutError(ProblemError):
    """The slow API took too long."""

    status = 504
    code = "upstream_timeout"


class DatabaseUnavailableError(ProblemError):
    """PostgreSQL is down, is starting, or has no connection free: worth another try."""

    status = 503
    code = "database_unavailable"


def register(flask: Flask) -> None:
    """Have every error answered as JSON, Flask's own (404, 405, …) too."""
    flask.register_error_handler(ProblemError, _problem)
    flask.register_error_handler(HTTPException, _http)


def _problem(error: ProblemError) -> Response:
    if error.status >= 500:  # noqa: PLR2004 (the server's side)
        current_app.logger.warning("%s: %s", error.code, error.__cause__ or error)
    response = _answer(error.status, error.code, str(error))
    if isinstance(error, DatabaseUnavailableError):
        response.headers["Retry-After"] = "1"
    return response


def _http(error: HTTPException) -> Response:
    original: Any = error.get_response()
    status = int(original.status_code)
    response = _answer(status, error.name.lower().replace(" ", "_"), error.description or error.name)
    if "Allow" in original.headers:
        response.headers["Allow"] = original.headers["Allow"]
    if "Location" in original.headers:
        response.headers["Location"] = original.headers["Location"]
    return response


def _answer(status: int, code: str, reason: str) -> Response:
    response = jsonify(error=code, reason=reason)
    response.status_code = status
    return response
