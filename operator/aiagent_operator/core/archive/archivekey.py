"""The key of an archive: a Secret in the operator's own namespace, outside the store, so that destroying it erases."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

from aiagent_operator.api import meta
from aiagent_operator.api.archive import Encryption
from aiagent_operator.core.archive import index, payload
from aiagent_operator.core.archive.errors import KeyFileError, PayloadError
from aiagent_operator.core.objects import AgentIdentity, Manifest

TYPE: Final = f"{meta.GROUP}/archive-key"
"""Type of the Secret; the policy `operator-kinds` lets the operator make no other."""

PREFIX: Final = "archive-key."
FIELD: Final = "identity"
"""Key of the Secret's data with the identity, one line as `age -i` reads it."""

_ARCHIVE: Final = f"{meta.GROUP}/archive"


def name(agent: AgentIdentity) -> str:
    """Name of the Secret: always the same for an agent's archive, at most 125 characters."""
    return of(index.name(agent))


def of(archive: str) -> str:
    """Name of the Secret, by that of the AgentArchive."""
    return f"{PREFIX}{archive}"


def build(agent: AgentIdentity, namespace: str, identity: str) -> Manifest:
    """The Secret, which nobody can change afterwards: another key in it would lock everything out."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": TYPE,
        "immutable": True,
        "metadata": {
            "name": name(agent),
            "namespace": namespace,
            "labels": {
                **meta.child_labels(agent.name, agent.namespace, agent.uid),
                meta.LABEL_MANAGED_BY: meta.MANAGER,
            },
            "annotations": {_ARCHIVE: index.name(agent)},
        },
        "data": {FIELD: base64.b64encode(f"{identity}\n".encode()).decode()},
    }


def read(secret: Mapping[str, Any], agent: AgentIdentity) -> Encryption:
    """How to encrypt to the key in the Secret. Raises KeyFileError, which names the Secret and never shows the key."""
    return payload.encryption(identity(secret, agent))


def identity(secret: Mapping[str, Any], agent: AgentIdentity) -> str:
    """The key in the Secret, one line. Raises KeyFileError, which names the Secret and never shows the key."""
    metadata = secret["metadata"]
    where = f"Secret {metadata['namespace']}/{metadata['name']}"
    remedy = "find out who made it, and remove it: another one is made"
    if secret.get("type") != TYPE:
        raise KeyFileError(f"{where} has the type {secret.get('type')} and not {TYPE}: {remedy}")
    if (metadata.get("labels") or {}).get(meta.LABEL_AGENT_UID) != agent.uid:
        raise KeyFileError(f"{where} is not labelled with the UID of {agent.namespace}/{agent.name}: {remedy}")
    try:
        text = base64.b64decode((secret.get("data") or {}).get(FIELD, ""), validate=True).decode()
        payload.encryption(text)
    except (binascii.Error, UnicodeDecodeError, PayloadError):
        # Without its cause, whose text may quote what stands there.
        raise KeyFileError(f"{where} has no identity of age in data.{FIELD}: {remedy}") from None
    return text.strip()
