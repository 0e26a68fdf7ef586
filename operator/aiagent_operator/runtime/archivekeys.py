"""The keys of archives, each made when the first personal item of an archive is to be encrypted."""

from __future__ import annotations

from aiagent_operator.api.archive import Encryption
from aiagent_operator.core.archive import archivekey, payload
from aiagent_operator.core.archive.errors import KeyFileError
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.runtime import paths
from aiagent_operator.runtime.client import Api, ApiError


async def encryption(api: Api, namespace: str, agent: AgentIdentity) -> Encryption:
    """How the payload of an agent's archive is encrypted: to the key that is there, else to one that is made.

    `namespace` is the operator's own. Raises ApiError, and KeyFileError for a Secret that is not of the operator's
    making.
    """
    there = paths.secret(namespace, archivekey.name(agent))
    found = await api.find(there)
    if found is None:
        body = archivekey.build(agent, namespace, payload.new_identity())
        try:
            found = await api.request("POST", paths.secrets(namespace), body=body)
        except ApiError as error:
            if error.status != 409:
                raise
            found = await api.request("GET", there)
    return archivekey.read(found, agent)


async def destroy(api: Api, namespace: str, archive: str) -> None:
    """Has the key of the AgentArchive gone, where there is one. Raises ApiError, and KeyFileError where it stays."""
    name = archivekey.of(archive)
    there, where = paths.secret(namespace, name), f"Secret {namespace}/{name}"
    found = await api.find(there)
    if found is None:
        return
    if found.get("type") != archivekey.TYPE:
        raise KeyFileError(
            f"{where} has the type {found.get('type')}, and is no key: find out who made it, and remove it"
        )
    try:
        await api.request("DELETE", there, body={"preconditions": {"uid": found["metadata"]["uid"]}})
    except ApiError as error:
        if error.status not in (404, 409):
            raise
    if await api.find(there) is not None:
        raise KeyFileError(f"{where} is still there: see what its metadata.finalizers are, and have them removed")
