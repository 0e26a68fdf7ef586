"""The API server, as the user of a kubeconfig reaches it.

Credentials come from the official client's loader (certificates, tokens, exec plugins, OIDC); requests are plain JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import urllib3
from kubernetes.client.api_client import ApiClient
from kubernetes.client.exceptions import ApiException
from kubernetes.client.rest import RESTResponse
from urllib3._collections import HTTPHeaderDict

from aiagent_operator import __version__
from aiagent_operator.api import meta
from aiagent_operator.cli.errors import CliError, RefusedError
from aiagent_operator.cli.kubeconfig import Access, access

Object = dict[str, Any]

# Seconds to connect, and to wait for an answer.
_TIMEOUT: Final = (10.0, 60.0)
# Seconds after which a watch ends by itself, and is begun anew where it ended.
_WATCH: Final = 240
_PAGE: Final = 500


class Cluster:
    """Requests to one API server, with the rights of one user."""

    def __init__(self, found: Access) -> None:
        found.configuration.retries = False  # an error is said at once, not after minutes
        self._client = ApiClient(configuration=found.configuration)
        self._impersonation = found.impersonation
        self.namespace = found.namespace
        self.server: str = found.configuration.host

    @classmethod
    def connect(cls, kubeconfig: Path | None, context: str | None) -> Cluster:
        """The cluster of the kubeconfig, found in kubectl's order; CliError where there is none."""
        return cls(access(kubeconfig, context))

    def get(self, path: str, *, what: str, accept: str = "application/json") -> Object:
        """One object, or any other answer to a GET; `what` names it in errors."""
        return self._request("GET", path, what=what, accept=accept)

    def list(self, path: str, *, what: str, selector: str = "") -> Iterator[Object]:
        """All objects of a collection, page by page."""
        params = {"limit": str(_PAGE)} | ({"labelSelector": selector} if selector else {})
        while True:
            answer = self._request("GET", path, what=what, params=params)
            yield from answer["items"]
            token = answer.get("metadata", {}).get("continue")
            if not token:
                return
            params["continue"] = token

    def create(self, path: str, body: Object, *, what: str) -> Object:
        """The answer to a POST."""
        return self._request("POST", path, what=what, body=body)

    def watch(self, path: str, name: str, version: str, *, what: str) -> Iterator[Object]:
        """What becomes of one object of a collection after `version`: the events of a watch, as they come, until the
        server ends it or the connection breaks. Takes the verb `watch` on that object."""
        params = {
            "watch": "1",
            "fieldSelector": f"metadata.name={name}",
            "resourceVersion": version,
            "timeoutSeconds": str(_WATCH),
        }
        response = self._send("GET", path, what=what, params=params, patience=_WATCH + _TIMEOUT[1])
        rest = b""
        try:
            for piece in response.response.stream(65_536):
                *lines, rest = (rest + piece).split(b"\n")
                yield from map(json.loads, lines)
        except (urllib3.exceptions.HTTPError, OSError):
            return  # whoever watches begins anew, and is told then if nobody answers any more
        finally:
            response.response.close()

    def _request(
        self,
        method: str,
        path: str,
        *,
        what: str,
        body: Object | None = None,
        params: Mapping[str, str] | None = None,
        accept: str = "application/json",
    ) -> Object:
        response = self._send(method, path, what=what, body=body, params=params, accept=accept)
        try:
            text: bytes = response.read()  # type: ignore[no-untyped-call]
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._silent(error, what) from error
        answer: Object = json.loads(text)
        return answer

    def _send(
        self,
        method: str,
        path: str,
        *,
        what: str,
        body: Object | None = None,
        params: Mapping[str, str] | None = None,
        accept: str = "application/json",
        patience: float = _TIMEOUT[1],
    ) -> RESTResponse:
        """An answer that is not read yet; CliError where there is none, RefusedError where the server refuses."""
        headers = {
            "Accept": accept,
            "Content-Type": "application/json",
            "User-Agent": f"kubectl-aiagent/{__version__}",
        }
        try:
            method, url, headers, payload, _ = self._client.param_serialize(
                method,
                path,
                query_params=list((params or {}).items()),
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
            )
            several = HTTPHeaderDict(headers)
            for name, value in self._impersonation:
                several.add(name, value)
            timeout = (_TIMEOUT[0], patience)
            response = self._client.call_api(method, url, several, payload, _request_timeout=timeout)
            refused: bytes = response.read() if response.status >= 400 else b""  # type: ignore[no-untyped-call]
        except (ApiException, urllib3.exceptions.HTTPError, OSError) as error:
            raise self._silent(error, what) from error
        if response.status >= 400:
            raise _refusal(self.server, response.status, refused, what)
        return response

    def _silent(self, error: Exception, what: str) -> CliError:
        return CliError(
            f"no answer from the API server {self.server} about {what} ({_cause(error)}): check that it runs, and "
            "that the context is the right one (--context, --kubeconfig, KUBECONFIG)"
        )


def _cause(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    return " ".join(str(reason).split())[:300]


def _refusal(server: str, status: int, text: bytes, what: str) -> RefusedError:
    try:
        message = json.loads(text).get("message", "")
        known = True
    except ValueError:
        message, known = text.decode(errors="replace").strip()[:300], False
    if status == 401:
        remedy = f"the API server {server} does not accept the credentials: log in again, or choose another --context"
    elif status == 403:
        remedy = (
            f"{message}; ask an administrator for this right (ClusterRole workforce-agents-view lets you read agents)"
        )
    elif status == 404 and not known:
        remedy = (
            f"the API server {server} does not serve {meta.API_VERSION}: install aiagent-operator there, or choose "
            "another --context"
        )
    elif status == 404:
        remedy = "it does not exist there: `kubectl aiagent get -A` lists all agents; -n chooses the namespace"
    else:
        remedy = f"the API server answered {status}: {message}"
    return RefusedError(f"{what}: {remedy}", status)


def path(plural: str, namespace: str | None, name: str | None = None) -> str:
    """Path of an object of our kinds, of those in a namespace, or, without a namespace, of all."""
    where = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
    which = f"/{quote(name, safe='')}" if name else ""
    return f"/apis/{meta.API_VERSION}{where}/{plural}{which}"


def agents_path(namespace: str | None, name: str | None = None) -> str:
    """Path of an agent, of a namespace's agents, or, without a namespace, of all agents."""
    return path("aiagents", namespace, name)


def read_agent(cluster: Cluster, namespace: str, name: str) -> Object:
    """One agent; RefusedError where it does not exist or may not be read."""
    return cluster.get(agents_path(namespace, name), what=f"AIAgent {namespace}/{name}")
