"""One probe, done: in the way its check says, within its time."""

import asyncio
import errno
from collections.abc import Iterable, Sequence

from netshare.core.health import Probe
from netshare.core.model import CheckKind
from netshare.health import http, tcp
from netshare.health.connecting import in_words

_OWN_TROUBLE = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL, errno.EAGAIN},
)
"""This process or this host is out of files, memory or ports: that says nothing about the endpoint."""


class NotAskedError(Exception):
    """The question could not even be put; the message says why."""


async def probe(wanted: Probe) -> str | None:
    """Ask once. Gives why the endpoint is not well, or nothing if it is.

    Raises:
        NotAskedError: nothing was found out.

    """
    check = wanted.check
    try:
        async with asyncio.timeout(check.timeout) as patience:
            match check.kind:
                case CheckKind.TCP | CheckKind.ENGINE:
                    await tcp.connect(wanted.endpoint)
                case CheckKind.HTTP:
                    await http.get(wanted.endpoint, wanted.host, check.path, patience)
                case CheckKind.NONE:
                    raise ValueError(f"nothing is probed for {check}")
    except http.UnwellError as unwell:
        return str(unwell)
    except TimeoutError:
        return f"no answer within {check.timeout:g} s"
    except OSError as error:
        if error.errno in _OWN_TROUBLE:
            raise NotAskedError(in_words(error)) from error
        return in_words(error)
    return None


def probe_now(wanted: Iterable[Probe]) -> dict[Probe, str | None]:
    """Ask all of these once, at the same time. Gives of each why it is not well, or that it could not be asked."""

    async def ask(one: Probe) -> str | None:
        try:
            return await probe(one)
        except NotAskedError as error:
            return str(error)

    async def ask_all(them: Sequence[Probe]) -> list[str | None]:
        return await asyncio.gather(*map(ask, them))

    them = tuple(wanted)
    return dict(zip(them, asyncio.run(ask_all(them)), strict=True)) if them else {}
