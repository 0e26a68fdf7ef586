"""Who asks to send something: what the API server says of the token that was shown."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Final

import orjson

from aiagent_operator.core.archive.sending import AUDIENCE
from aiagent_operator.runtime.client import Api

_PATH: Final = "/apis/authentication.k8s.io/v1/tokenreviews"
_PREFIX: Final = "system:serviceaccount:"
# Kubernetes: "Bound service account tokens": what the API server says of the pod to which a token is bound.
_POD, _POD_UID = "authentication.kubernetes.io/pod-name", "authentication.kubernetes.io/pod-uid"
_LONGEST: Final = 4096


@dataclass(frozen=True, slots=True)
class Account:
    """A ServiceAccount."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Caller:
    """A pod, and the account as which it runs, both vouched for by the API server."""

    account: Account
    pod: str
    pod_uid: str


def claimed(token: str) -> Account | None:
    """The account that a token says it is of; nobody has vouched for that. None where it says none, or is for others.

    It spares the API server tokens that could not be meant.
    """
    parts = token.split(".")
    if len(parts) != 3 or len(token) > _LONGEST:
        return None
    try:
        claims = orjson.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return None
    if not isinstance(claims, dict) or claims.get("aud") != [AUDIENCE]:
        return None
    return _account(claims.get("sub"))


async def review(api: Api, token: str) -> Caller | None:
    """Whose the token is, if it is meant for this operator's archive and nothing else, and its pod is there still.

    Raises ApiError.
    """
    spec = {"token": token, "audiences": [AUDIENCE]}
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}
    status: dict[str, Any] = (await api.request("POST", _PATH, body=body)).get("status") or {}
    if not status.get("authenticated") or status.get("audiences") != [AUDIENCE]:
        return None
    user = status.get("user") or {}
    extra = user.get("extra") or {}
    account, pods, uids = _account(user.get("username")), extra.get(_POD), extra.get(_POD_UID)
    # A token that is bound to no pod outlives the Job for which it was made.
    return Caller(account, pods[0], uids[0]) if account and pods and uids else None


def _account(user: object) -> Account | None:
    if not isinstance(user, str) or not user.startswith(_PREFIX):
        return None
    namespace, _, name = user.removeprefix(_PREFIX).partition(":")
    return Account(namespace, name)
