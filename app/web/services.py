"""What the routes need, made once a process and found through the application they belong to."""

from dataclasses import dataclass
from typing import Final, cast

from flask import current_app

from app.web.database import Database
from app.web.settings import Settings
from app.web.upstream import Upstream

_KEY: Final = "workload"


@dataclass(frozen=True, slots=True)
class Services:
    """The settings, and a client for each server that is waited for."""

    settings: Settings
    upstream: Upstream
    database: Database


def services() -> Services:
    """Give those of the application that answers the current request."""
    return cast("Services", current_app.extensions[_KEY])


def register(extensions: dict[str, object], mine: Services) -> None:
    """Make them those of an application."""
    extensions[_KEY] = mine
