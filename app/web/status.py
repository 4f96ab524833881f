"""The routes that don't wait: who this is, whether it lives, whether it can work."""

import os

from flask import Blueprint, Response, jsonify, request

from app.web.services import services

status = Blueprint("status", __name__)


@status.get("/whoami")
def whoami() -> Response:
    """Tell which replica answers, by which server, and whom it sees asking."""
    settings = services().settings
    return jsonify(replica=settings.replica, client=request.remote_addr, server=settings.server, process=os.getpid())


@status.get("/healthz")
def healthz() -> Response:
    """Tell that this process answers; a database that is down is no reason to restart it."""
    return jsonify(status="ok")


@status.get("/readyz")
def readyz() -> Response:
    """Tell that the database can be reached, else 503."""
    services().database.ping()
    return jsonify(status="ready")
