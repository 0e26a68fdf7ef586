"""The keys of archives, each made when the first personal item of an archive is to be encrypted."""

from __future__ import annotations

from aiagent_operator.api.archive import Encryption
from aiagent_operator.core.archive import archivekey, payload
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
