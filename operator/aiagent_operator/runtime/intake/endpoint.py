"""The endpoint to which Jobs send volumes: TLS, a token for each request, and a stream into the archive store.

What is asked by whom, in this order: a token that may be meant; the account of a Job that is waited for; what the API
server says of the token; that no other request sends the same. Only then is anything of the body read.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

from aiohttp import ClientError, web

from aiagent_operator.core.archive import sending
from aiagent_operator.core.archive.errors import ArchiveError, PayloadError
from aiagent_operator.core.archive.sending import Received, Receiving
from aiagent_operator.runtime.archive.errors import DisputedError, StoreError
from aiagent_operator.runtime.archive.store import Store, Uploaded
from aiagent_operator.runtime.client import ApiError
from aiagent_operator.runtime.intake import callers
from aiagent_operator.runtime.intake.callers import Account, Caller

log = logging.getLogger(__name__)
# Where aiohttp says what strangers send that is no HTTP, with pieces of it, tokens among them: nobody needs to read it.
_STRANGERS = logging.getLogger(f"{__name__}.strangers")
_STRANGERS.disabled = True

AT_ONCE: Final = 2
"""Volumes that are taken in at the same time: a store may have 80 MiB of each in memory. Others wait for their turn."""

_REVIEWS: Final = 4
_SILENCE: Final = 300.0
# Seconds for which more is read, and dropped, after a refusal: else the connection breaks before its reason is heard.
_LINGER: Final = 2.0
# Bytes that are read ahead of what the store has taken.
_AHEAD: Final = 256 * 1024


class RefusedError(Exception):
    """What is sent is not taken; the message is for whoever sends it. `status` is the HTTP code."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Place:
    """Where what is sent goes to: a folder of a store, and the file's name. `what` is the same for the same volume."""

    what: str
    store: Store
    folder: str
    leaf: str


@dataclass(frozen=True, slots=True)
class Gift:
    """What a caller gets: pieces of it, to be closed by whoever does not take all. `what`: as in Place."""

    what: str
    pieces: AsyncGenerator[bytes, None]


class Giver(Protocol):
    """Who knows which inheritances are waited for."""

    def waits(self, account: Account) -> bool:
        """Whether anything is fetched by an account of this name."""

    async def gift(self, caller: Caller) -> Gift:
        """What it gets. Raises RefusedError, StoreError, DisputedError, ArchiveError and ApiError; so do its pieces."""


class Desk(Protocol):
    """Who knows which volumes are waited for."""

    def waits(self, account: Account) -> bool:
        """Whether anything is waited for from an account of this name."""

    async def place(self, caller: Caller) -> Place:
        """Where it goes. Raises RefusedError, StoreError and ApiError."""

    async def took(self, caller: Caller, place: Place, uploaded: Uploaded, received: Received) -> None:
        """It is in the store, whole. Raises RefusedError where it came too late, StoreError and ApiError."""

    def failed(self, place: Place, error: StoreError) -> None:
        """The store did not take it."""


Review = Callable[[str], Awaitable[Caller | None]]


class Endpoint:
    """The server; `url` and `certificate` are for those who may send."""

    def __init__(
        self,
        desk: Desk,
        review: Review,
        *,
        address: str,
        port: int,
        silence: float = _SILENCE,
        giver: Giver | None = None,
    ) -> None:
        """`address`: the IP address at which others reach it. `silence`: seconds without a byte after which a request
        is given up. Raises ValueError for what is no IP address."""
        self._desk, self._review, self._silence, self._giver = desk, review, silence, giver
        # The library that makes it takes 8 MB, which an operator that never listens does without.
        from aiagent_operator.runtime.intake import certificate  # noqa: PLC0415

        self._address, self._port = ipaddress.ip_address(address), port
        self._context, self.certificate = certificate.make(address)
        self._reviews, self._slots = asyncio.Semaphore(_REVIEWS), asyncio.Semaphore(AT_ONCE)
        self._sending: set[str] = set()
        self._runner: web.AppRunner | None = None

    @property
    def port(self) -> int:
        """Where it listens; with port 0, what was free once it has started."""
        return self._port

    @property
    def url(self) -> str:
        """Where to send to."""
        host = f"[{self._address}]" if self._address.version == 6 else str(self._address)
        return f"https://{host}:{self._port}{sending.PATH}"

    @property
    def gives(self) -> str:
        """Where to fetch from."""
        return f"{self.url.removesuffix(sending.PATH)}{sending.INHERITANCE}"

    async def start(self) -> None:
        """Listens; OSError where the port is taken."""
        app = web.Application(client_max_size=_AHEAD)
        app.router.add_put(sending.PATH, self._put)
        if self._giver is not None:
            app.router.add_get(sending.INHERITANCE, self._get)
        runner = web.AppRunner(
            app,
            access_log=None,
            logger=_STRANGERS,
            handle_signals=False,
            shutdown_timeout=1.0,
            read_bufsize=_AHEAD,
            lingering_time=_LINGER,
        )
        await runner.setup()
        self._runner = runner
        everywhere = "::" if self._address.version == 6 else "0.0.0.0"  # noqa: S104 - others have to reach it
        await web.TCPSite(runner, everywhere, self._port, ssl_context=self._context).start()
        self._port = runner.addresses[0][1]
        log.info("takes volumes of agents that leave on port %d", self._port)

    async def stop(self) -> None:
        """Stops listening, and breaks off what is under way: nothing of it was taken."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _put(self, request: web.Request) -> web.Response:
        place: Place | None = None
        try:
            caller = await self._caller(request, self._desk.waits)
            place = await self._desk.place(caller)
            received = await self._taken(request, caller, place)
        except RefusedError as error:
            return _refused(error.status, str(error))
        except PayloadError as error:
            return _refused(422, str(error))
        except StoreError as error:
            log.warning("%s", error)
            if place is not None:
                self._desk.failed(place, error)
            return _refused(503, f"the archive store does not take it now ({error.kind.value})")
        except ApiError as error:
            log.warning("a volume was not taken: %s", error)
            return _refused(503, "the API server does not answer as it should: send it again")
        except TimeoutError:
            return _refused(408, f"nothing came for {self._silence:.0f} s")
        except (ClientError, ConnectionError, web.RequestPayloadError) as error:
            log.info("a volume broke off: %s", type(error).__name__)
            return _refused(400, "it broke off")
        except Exception:
            # A bug: whoever sends may try again, and the operator goes on.
            log.exception("a volume was not taken")
            return _refused(500, "the operator failed: see its log")
        log.info("%s: took %d bytes, %d files", place.what, received.size, received.packed.files)
        return web.Response(text="taken\n")

    async def _get(self, request: web.Request) -> web.StreamResponse:
        if self._giver is None:
            return _refused(404, "nothing is given here")
        try:
            caller = await self._caller(request, self._giver.waits)
            gift = await self._giver.gift(caller)
        except RefusedError as error:
            return _refused(error.status, str(error))
        except (ApiError, StoreError, DisputedError, ArchiveError) as error:
            log.warning("an inheritance was not given: %s", error)
            return _refused(503, "it cannot be read now: see the operator's log")
        if gift.what in self._sending:
            return _refused(409, "another pod fetches it already")
        self._sending.add(gift.what)
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        try:
            async with self._slots, contextlib.aclosing(gift.pieces):
                await response.prepare(request)
                async for piece in gift.pieces:
                    async with asyncio.timeout(self._silence):
                        await response.write(piece)
                await response.write_eof()
        except (StoreError, DisputedError, ArchiveError, TimeoutError, ClientError, ConnectionError) as error:
            log.warning("%s: an inheritance broke off: %s", gift.what, error)
            _break_off(request)
        except Exception:
            # A bug: whoever fetches it may try again, and the operator goes on.
            log.exception("%s: an inheritance broke off", gift.what)
            _break_off(request)
        finally:
            self._sending.discard(gift.what)
        return response

    async def _caller(self, request: web.Request, waits: Callable[[Account], bool]) -> Caller:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        account = callers.claimed(token) if scheme == "Bearer" else None
        if account is None:
            raise RefusedError(401, f"show a token of a ServiceAccount for the audience {sending.AUDIENCE}")
        if not waits(account):
            raise RefusedError(403, "nothing is waited for from this account")
        async with self._reviews:
            caller = await self._review(token)
        if caller is None or caller.account != account:
            raise RefusedError(401, "the API server does not know this token, or its pod is gone")
        return caller

    async def _taken(self, request: web.Request, caller: Caller, place: Place) -> Received:
        if place.what in self._sending:
            raise RefusedError(409, "another pod sends it already")
        self._sending.add(place.what)
        try:
            async with self._slots:
                receiving = Receiving()
                whole: list[Received] = []
                body = self._body(request, receiving, whole)
                uploaded = await place.store.upload(place.folder, place.leaf, body)
                (received,) = whole
                if (uploaded.size, uploaded.sha256) != (received.size, received.sha256):
                    raise RefusedError(503, "the store has something else than what was sent: send it again")
                await self._desk.took(caller, place, uploaded, received)
                return received
        finally:
            self._sending.discard(place.what)

    async def _body(self, request: web.Request, receiving: Receiving, whole: list[Received]) -> AsyncIterator[bytes]:
        """The payload. What is not whole raises, before the store could take it for a blob that is complete."""
        while True:
            async with asyncio.timeout(self._silence):
                piece = await request.content.readany()
            if not piece:
                break
            if known := receiving.take(piece):
                yield known
        whole.append(receiving.end())


def _break_off(request: web.Request) -> None:
    """Whoever fetches something learns from the missing end that it is not whole."""
    if request.transport is not None:
        request.transport.abort()


def _refused(status: int, text: str) -> web.Response:
    response = web.Response(status=status, text=f"{text}\n")
    # The rest of the body is not waited for.
    response.force_close()
    return response
