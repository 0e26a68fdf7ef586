"""A small client for tests: plain objects in, plain objects out, and errors with the API server's own words."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import orjson

from support.kubetransport import Access, ApiError, Transport

__all__ = ["ApiError", "Kube", "Object", "WaitTimeout", "wait_for"]

Object = dict[str, Any]
T = TypeVar("T")
MANAGER = "aiagent-tests"
PATCHES = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}
POLL_SECONDS = 0.05


class WaitTimeout(AssertionError):
    """What was waited for did not come; the text says what, and the last state."""


def wait_for(
    predicate: Callable[[], T], *, what: str, timeout: float = 60.0, state: Callable[[], Any] | None = None
) -> T:
    """Poll until the predicate gives something true, and return that.

    A 404 counts as not yet; every other error is raised at once. After `timeout` seconds WaitTimeout says what was
    waited for, with the predicate's last answer, or with `state()` where that tells more.
    """
    deadline = time.monotonic() + timeout
    last: Any
    while True:
        try:
            answer = predicate()
            if answer:
                return answer
            last = answer
        except ApiError as error:
            if error.status != 404:
                raise
            last = str(error)
        if time.monotonic() > deadline:
            break
        time.sleep(POLL_SECONDS)
    shown = state() if state is not None else last
    text = shown if isinstance(shown, str) else orjson.dumps(shown, option=orjson.OPT_INDENT_2, default=str).decode()
    raise WaitTimeout(f"waited {timeout:.0f} s for {what}; last state:\n{text[:6000]}")


class Kube:
    """One identity at one API server."""

    def __init__(self, transport: Transport, *, sign: Callable[[str, tuple[str, ...]], Path] | None = None) -> None:
        """`sign` makes a kubeconfig with a certificate for a user; without it, as_user() impersonates."""
        self._transport, self._sign = transport, sign
        self._resources: dict[tuple[str, str], tuple[str, bool]] = {}

    @classmethod
    def from_kubeconfig(cls, path: Path, *, sign: Callable[[str, tuple[str, ...]], Path] | None = None) -> "Kube":
        """The identity that the file's current context names."""
        return cls(Transport(Access.read(path)), sign=sign)

    @property
    def server(self) -> str:
        """The API server's URL."""
        return self._transport.access.server

    # Identities -----------------------------------------------------------------------------------------------------

    def as_user(self, user: str, groups: Iterable[str] = ()) -> "Kube":
        """The same server as another user."""
        if self._sign is not None:
            return Kube.from_kubeconfig(self._sign(user, tuple(groups)))
        return Kube(self._transport.impersonating(user, (*groups, "system:authenticated"), None))

    def as_serviceaccount(self, namespace: str, name: str, uid: str | None = None) -> "Kube":
        """The same server as a ServiceAccount, by a fresh token; with `uid`, impersonated, so it need not exist."""
        if uid is None:
            return Kube(Transport(self._transport.access.with_token(self.token(namespace, name))))
        user = f"system:serviceaccount:{namespace}:{name}"
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
        return Kube(self._transport.impersonating(user, groups, uid))

    def token(self, namespace: str, name: str, *, seconds: int = 3600, audiences: Iterable[str] = ()) -> str:
        """A fresh token of a ServiceAccount."""
        spec: Object = {"expirationSeconds": seconds}
        if audiences:
            spec["audiences"] = list(audiences)
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        answer = self.raw("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token", body)
        return str(answer["status"]["token"])

    def whoami(self) -> str:
        """The user name under which the API server knows this client."""
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        answer = self.raw("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body)
        return str(answer["status"]["userInfo"]["username"])

    def allowed(
        self,
        user: str,
        verb: str,
        resource: str,
        *,
        groups: Iterable[str] = (),
        group: str = "",
        namespace: str = "",
        name: str = "",
        subresource: str = "",
    ) -> bool:
        """Whether the API server would let that user do it (SubjectAccessReview)."""
        attributes = {
            "verb": verb,
            "group": group,
            "resource": resource,
            "subresource": subresource,
            "namespace": namespace,
            "name": name,
        }
        spec = {"user": user, "groups": list(groups), "resourceAttributes": attributes}
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        answer = self.raw("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", body)
        return bool(answer["status"]["allowed"])

    # Objects --------------------------------------------------------------------------------------------------------

    def get(self, api_version: str, resource: str, name: str, *, namespace: str | None = None) -> Object:
        """One object; `resource` is the plural or the kind."""
        answer: Object = self.raw("GET", self.path(api_version, resource, namespace, name))
        return answer

    def find(self, api_version: str, resource: str, name: str, *, namespace: str | None = None) -> Object | None:
        """One object, None where there is none."""
        try:
            return self.get(api_version, resource, name, namespace=namespace)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def list(
        self,
        api_version: str,
        resource: str,
        *,
        namespace: str | None = None,
        labels: str | None = None,
        fields: str | None = None,
    ) -> list[Object]:
        """All objects, of one namespace or of all."""
        params = {"labelSelector": labels, "fieldSelector": fields}
        path = self.path(api_version, resource, namespace, None)
        answer = self.raw("GET", path, params={key: value for key, value in params.items() if value})
        return [{"apiVersion": api_version, "kind": answer["kind"].removesuffix("List"), **i} for i in answer["items"]]

    def create(self, obj: Object, *, dry_run: bool = False) -> Object:
        """Create an object as given."""
        answer: Object = self.raw("POST", self._path_of(obj, named=False), obj, params=_params(dry_run=dry_run))
        return answer

    def replace(self, obj: Object, *, subresource: str = "") -> Object:
        """Replace an object, or its subresource such as `status`."""
        answer: Object = self.raw("PUT", self._path_of(obj, subresource=subresource), obj, params=_params())
        return answer

    def patch(
        self,
        api_version: str,
        resource: str,
        name: str,
        patch: Any,
        *,
        namespace: str | None = None,
        kind: str = "merge",
        subresource: str = "",
    ) -> Object:
        """Patch an object; `kind` is merge, json or strategic."""
        path = self.path(api_version, resource, namespace, name, subresource)
        answer: Object = self.raw("PATCH", path, patch, params=_params(), content_type=PATCHES[kind])
        return answer

    def apply(self, obj: Object, *, manager: str = MANAGER, force: bool = False, dry_run: bool = False) -> Object:
        """Server-side apply."""
        params = _params(manager=manager, dry_run=dry_run) | {"force": str(force).lower()}
        answer: Object = self.raw("PATCH", self._path_of(obj), obj, params=params, content_type=PATCHES["apply"])
        return answer

    def delete(
        self,
        api_version: str,
        resource: str,
        name: str,
        *,
        namespace: str | None = None,
        propagation: str | None = None,
        grace_seconds: int | None = None,
    ) -> Object:
        """Delete an object; `propagation` is Background, Foreground or Orphan."""
        body: Object = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if propagation is not None:
            body["propagationPolicy"] = propagation
        if grace_seconds is not None:
            body["gracePeriodSeconds"] = grace_seconds
        answer: Object = self.raw("DELETE", self.path(api_version, resource, namespace, name), body)
        return answer

    def delete_if_there(self, api_version: str, resource: str, name: str, *, namespace: str | None = None) -> None:
        """Delete an object; nothing where it is gone."""
        try:
            self.delete(api_version, resource, name, namespace=namespace)
        except ApiError as error:
            if error.status != 404:
                raise

    wait_for = staticmethod(wait_for)

    def wait_object(
        self,
        api_version: str,
        resource: str,
        name: str,
        until: Callable[[Object], Any],
        *,
        what: str,
        namespace: str | None = None,
        timeout: float = 60.0,
    ) -> Object:
        """Wait until an object exists and satisfies `until`; return it as it was then."""

        def probe() -> Object | None:
            obj = self.get(api_version, resource, name, namespace=namespace)
            return obj if until(obj) else None

        def state() -> Any:
            return self.find(api_version, resource, name, namespace=namespace) or f"no {resource} {name}"

        found = wait_for(probe, what=what, timeout=timeout, state=state)
        if found is None:
            raise TypeError("wait_for returned without a result")
        return found

    def wait_gone(
        self, api_version: str, resource: str, name: str, *, namespace: str | None = None, timeout: float = 60.0
    ) -> None:
        """Wait until an object no longer exists."""
        what = f"{resource} {namespace or ''}/{name} to be gone"

        def find() -> Object | None:
            return self.find(api_version, resource, name, namespace=namespace)

        wait_for(lambda: find() is None, what=what, timeout=timeout, state=find)

    # Requests -------------------------------------------------------------------------------------------------------

    def raw(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: dict[str, str] | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Any:
        """Any request; the decoded answer, or ApiError."""
        return self._transport.request(method, path, body=body, params=params, content_type=content_type, accept=accept)

    def path(
        self, api_version: str, resource: str, namespace: str | None, name: str | None, subresource: str = ""
    ) -> str:
        """The URL path of an object or, without a name, of its collection."""
        plural, namespaced = self._lookup(api_version, resource)
        parts = ["", "api" if "/" not in api_version else "apis", api_version]
        if namespaced and namespace:
            parts += ["namespaces", namespace]
        parts.append(plural)
        if name is not None:
            if namespaced and not namespace:
                raise ValueError(f"{api_version} {resource} {name}: namespaced, but no namespace is given")
            parts.append(quote(name, safe=""))
        return "/".join([*parts, subresource] if subresource else parts)

    def _path_of(self, obj: Object, *, named: bool = True, subresource: str = "") -> str:
        meta = obj["metadata"]
        namespace = meta.get("namespace")
        return self.path(obj["apiVersion"], obj["kind"], namespace, meta["name"] if named else None, subresource)

    def _lookup(self, api_version: str, resource: str) -> tuple[str, bool]:
        key = (api_version, resource)
        if key not in self._resources:
            prefix = "api" if "/" not in api_version else "apis"
            for item in self.raw("GET", f"/{prefix}/{api_version}")["resources"]:
                if "/" not in item["name"]:
                    entry = (item["name"], item["namespaced"])
                    self._resources[api_version, item["name"]] = self._resources[api_version, item["kind"]] = entry
        if key not in self._resources:
            raise LookupError(f"The API server has no {resource!r} in {api_version}: is its CRD installed?")
        return self._resources[key]

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()


def _params(*, manager: str = MANAGER, dry_run: bool = False) -> dict[str, str]:
    return {"fieldManager": manager} | ({"dryRun": "All"} if dry_run else {})
