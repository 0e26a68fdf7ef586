"""Puts the AgentArchive of an archive on record: the index in the cluster of what is in a store."""

from __future__ import annotations

from typing import Any

from aiagent_operator.api.conditions import Type
from aiagent_operator.core.archive import upkeep
from aiagent_operator.core.objects import Manifest
from aiagent_operator.runtime import paths, report
from aiagent_operator.runtime.archive.errors import DisputedError
from aiagent_operator.runtime.client import Api, ApiError


async def on_record(api: Api, body: Manifest, status: Manifest) -> Manifest:
    """The AgentArchive with its status, made where there is none; nothing is written where all is as it should be.

    Where it says already what is known of it, but for when that was read back, it stays: the next look at it will say
    so. Else each try of an end that is cut off after this would begin with the same write.

    Raises DisputedError where one of that name is of another archive, and ApiError.
    """
    name = body["metadata"]["name"]
    there = await api.find(paths.archive(name)) or await _made(api, body)
    check_same(there, body)
    before = there.get("status") or {}
    if "abandoned" in body["spec"] and is_judged(there):
        # Where the record of that is by now, the next look at it has said, and says again.
        return there
    if not _says(before, status) and (patch := report.differences(before, status)):
        there = await report.write(api, paths.archive(name), there["metadata"]["uid"], patch) or there
    return there


def _says(there: Manifest, status: Manifest) -> bool:
    """Whether it was said before, apart from times, and whatever else is said of it."""

    def timeless(found: Manifest) -> tuple[Any, ...]:
        verification = {key: value for key, value in found.get("verification", {}).items() if key != "lastTime"}
        return found.get("phase"), found.get("certificate"), verification

    def conditions(found: Manifest) -> set[tuple[str, ...]]:
        return {(c["type"], c["status"], c["reason"], c["message"]) for c in found.get("conditions") or ()}

    return timeless(there) == timeless(status) and conditions(status) <= conditions(there)


def is_judged(there: Manifest) -> bool:
    """Whether its status says how it is with it: where a writer was cut off before that, it is made good."""
    return upkeep.condition(there.get("status") or {}, Type.VERIFIED) is not None


def check_same(there: Manifest, body: Manifest) -> None:
    """Raises DisputedError where the AgentArchive that is there is of another manifest."""
    found, wanted = _of(there), _of(body)
    if found != wanted:
        raise DisputedError(
            f"AgentArchive {body['metadata']['name']} is of {found}, and not of {wanted}: "
            "find out who has made it, and remove it"
        )


def _of(record: Manifest) -> str:
    spec = record["spec"]
    if "manifest" in spec:
        return f"the manifest {spec['manifest']['digest']}"
    return f"an agent that was abandoned by the AgentAction with the UID {spec['abandoned']['uid']}"


async def _made(api: Api, body: Manifest) -> Manifest:
    try:
        return await api.request("POST", paths.ARCHIVES, body=body)
    except ApiError as error:
        # Somebody else made it meanwhile, a leader say.
        there = await api.find(paths.archive(body["metadata"]["name"])) if error.status == 409 else None
        if there is None:
            raise
        return there
