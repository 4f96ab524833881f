"""The routes that wait: ``/`` for the slow API, ``/db`` for PostgreSQL as well."""

from flask import Blueprint, Response, jsonify, render_template, request

from app.web.inputs import parse_delay
from app.web.services import services

work = Blueprint("work", __name__)

_JSON, _HTML = "application/json", "text/html"


@work.get("/")
def index() -> Response:
    """Answer after the slow API has; a browser that comes for a page gets the tally."""
    if "delay" not in request.args and request.accept_mimetypes.best_match([_JSON, _HTML]) == _HTML:
        response = Response(render_template("tally.html"))
    else:
        delay = parse_delay(request.args, services().settings.longest_delay)
        said = services().upstream.ask(delay)
        response = jsonify(replica=services().settings.replica, delay=delay, advice=said.advice, number=said.number)
    response.vary.add("Accept")
    return response


@work.get("/db")
def database() -> Response:
    """Answer after the slow API has, and then PostgreSQL."""
    delay = parse_delay(request.args, services().settings.longest_delay)
    said = services().upstream.ask(delay)
    nap = services().database.sleep(delay)
    return jsonify(
        replica=services().settings.replica,
        delay=delay,
        number=said.number,
        now=nap.now.isoformat(),
        awake=nap.awake.isoformat(),
        process=nap.process,
    )
