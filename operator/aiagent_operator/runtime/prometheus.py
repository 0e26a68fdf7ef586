"""Asking a Prometheus: one query, one bounded answer.

Nothing is tried again here: whoever judges counts what could not be measured. What the answer means is decided in
core/evaluation/answer.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import math
import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Self

import aiohttp
import orjson

from aiagent_operator import __version__
from aiagent_operator.api.agentevaluation import Measurement
from aiagent_operator.api.evaluation import Metric
from aiagent_operator.core.evaluation import answer, measure
from aiagent_operator.core.evaluation.address import AddressError, chosen, normal
from aiagent_operator.core.evaluation.answer import Answer, AnswerError, Point
from aiagent_operator.core.evaluation.query import Names, QueryError, asked
from aiagent_operator.core.kpis import Period
from aiagent_operator.core.untrusted import line as shown

MOST_BYTES: Final = 1_048_576
"""Bytes of an answer. One number takes 150; more are many series, which are no measurement."""

TIMEOUT: Final = 30.0
"""Seconds, as in Argo Rollouts."""

_CHUNK: Final = 65_536
_LONGEST: Final = 200
_PATH: Final = "/api/v1/query"
_RANGE: Final = "/api/v1/query_range"


class PrometheusError(Exception):
    """No answer; the message says why and what to do about it, fit for a status. `again`: there may be one later."""

    def __init__(self, message: str, *, again: bool = False) -> None:
        super().__init__(message)
        self.again = again


class Prometheus:
    """Questions to the Prometheus servers that the settings allow. To be used in the event loop that made it."""

    def __init__(
        self,
        addresses: Iterable[str],
        *,
        timeout: float = TIMEOUT,
        ca_file: Path | None = None,
        token_file: Path | None = None,
    ) -> None:
        """`addresses` are all that may be asked, the first by default. AddressError where one of them is none.

        `timeout` is in seconds, for a whole answer. `ca_file` holds certificates to trust instead of the system's. The
        bearer token in `token_file` is sent over https only, and read anew for each question, since it is rotated.
        """
        self._addresses = tuple(normal(address) for address in addresses)
        self._timeout = timeout
        self._token_file = token_file
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=16, ssl=ssl.create_default_context(cafile=ca_file)),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={
                "User-Agent": f"aiagent-operator/{__version__}",
                "Accept": "application/json",
                # What is compressed has no bound before it is unpacked.
                "Accept-Encoding": "identity",
            },
            auto_decompress=False,
            trust_env=False,
        )

    async def close(self) -> None:
        """Closes the connections."""
        await self._session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def measure(self, metric: Metric, names: Names, *, address: str | None = None) -> Measurement:
        """One measurement of a metric; where it is compared, both revisions are asked about at the same time.

        Raises nothing: that there is no answer is what the measurement says.
        """
        began = dt.datetime.now(dt.UTC)
        wanted, compared = measure.questions(metric, compared=names.stable_revision is not None)

        async def about(asking: bool, who: Names) -> measure.Answered | None:
            if not asking:
                return None
            try:
                return await self.query(asked(metric.query or "", who), namespace=names.namespace, address=address)
            except (PrometheusError, QueryError) as error:
                return str(error)

        stable = names.of_stable if compared else names
        candidate, other = await asyncio.gather(about(wanted, names), about(compared, stable))
        return measure.of_answers(metric, candidate, other, began=began, ended=dt.datetime.now(dt.UTC))

    async def query(self, query: str, *, namespace: str, address: str | None = None) -> Answer:
        """The answer to a PromQL query as of now, by the clock of Prometheus.

        `address` is the author's choice among those that may be asked. `namespace`, the agent's, is sent along for
        proxies that hold authors to the series of their namespace (prom-label-proxy); Prometheus ignores it. Raises
        PrometheusError where there is no answer of its API within the time.
        """
        return await self._asked(_PATH, {"query": query}, namespace, address)

    async def series(
        self, query: str, when: Period, *, namespace: str, address: str | None = None
    ) -> tuple[Point, ...]:
        """The points of the one series that a PromQL query gives over a time. Otherwise as `query`."""
        asked_for = {
            "query": query,
            "start": f"{when.since.timestamp():.0f}",
            "end": f"{when.until.timestamp():.0f}",
            "step": f"{when.step.total_seconds():g}s",
        }
        try:
            return answer.points(await self._asked(_RANGE, asked_for, namespace, address))
        except AnswerError as error:
            raise PrometheusError(str(error)) from error

    async def _asked(self, path: str, params: Mapping[str, str], namespace: str, address: str | None) -> Answer:
        try:
            base = chosen(address, self._addresses)
        except AddressError as error:
            raise PrometheusError(str(error)) from error
        try:
            async with self._session.get(
                base + path,
                params={**params, "namespace": namespace, "timeout": f"{math.ceil(self._timeout)}s"},
                headers=self._authorization(base),
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=self._timeout),
            ) as response:
                return _decoded(base, response, await _body(base, response))
        except TimeoutError as error:
            raise PrometheusError(f"{base} did not answer within {self._timeout:g} s", again=True) from error
        except (aiohttp.ClientError, OSError) as error:
            said = shown(str(error), _LONGEST)
            raise PrometheusError(f"{base} cannot be asked: {type(error).__name__}: {said}", again=True) from error

    def _authorization(self, base: str) -> dict[str, str]:
        if self._token_file is None or not base.startswith("https://"):
            return {}
        return {"Authorization": f"Bearer {self._token_file.read_text(encoding='utf-8').strip()}"}


async def _body(base: str, response: aiohttp.ClientResponse) -> bytes:
    """The body, never more than the bound and a chunk of it in memory."""
    large = PrometheusError(
        f"{base} answers with more than {MOST_BYTES} bytes: aggregate in the query, so that one number is left"
    )
    if (response.content_length or 0) > MOST_BYTES:
        raise large
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        body += chunk
        if len(body) > MOST_BYTES:
            raise large
    return bytes(body)


def _decoded(base: str, response: aiohttp.ClientResponse, body: bytes) -> Answer:
    """What the API says; its errors have bodies of their own, in the same form (Prometheus, "HTTP API")."""
    status = response.status
    if 300 <= status < 400:
        raise PrometheusError(
            f"{base} answers {status}, a redirect, which is not followed: name the address it leads to"
        )
    encoding = response.headers.get("Content-Encoding", "identity")
    if response.content_type != "application/json" or encoding != "identity":
        said = f"{status} with {shown(response.content_type, 60)}" + (" compressed" if encoding != "identity" else "")
        raise PrometheusError(
            f"{base} answers {said}, not with JSON: is it the address of a Prometheus, with its path?",
            again=status >= 500,
        )
    try:
        content: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise PrometheusError(
            f"{base} answers {status} with what is not JSON: {shown(str(error), _LONGEST)}"
        ) from error
    try:
        found = answer.read(content)
    except AnswerError as error:
        text = f"{error} (HTTP {status})" if status != 200 else str(error)
        raise PrometheusError(text, again=status >= 500) from error
    if status != 200:
        raise PrometheusError(f"{base} answers {status} and success at once: look at what stands before Prometheus")
    return found
