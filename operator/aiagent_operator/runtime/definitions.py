"""Whether the API server serves the kinds of the group, without which nothing can be known and so nothing decided.

Definitions come late (the operator was started before they were applied), are removed, or are made anew by a restored
backup. Asked is discovery, which every account may read, so that no right over definitions is needed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from aiagent_operator.api import meta
from aiagent_operator.api.kinds import KINDS
from aiagent_operator.runtime.client import Api, ApiError

log = logging.getLogger(__name__)

NEEDED: Final = frozenset(kind.plural for kind in KINDS)

_PATH: Final = f"/apis/{meta.API_VERSION}"
# Seconds between two looks, as long as a definition takes to be served after it was applied.
_LOOK_EVERY: Final = 1.0


class DefinitionsGoneError(RuntimeError):
    """A kind of the group that was listened to is no longer served."""


async def missing(api: Api) -> frozenset[str]:
    """Plural names of the kinds that are not served. Raises ApiError where the API server does not say."""
    found = await api.find(_PATH) or {}
    return NEEDED - {resource["name"] for resource in found.get("resources") or ()}


async def until_served(api: Api, waits_for: Callable[[str], None]) -> None:
    """Returns once all are served; tells `waits_for` what is missed, and the log each time that this changes."""
    said = ""
    while True:
        try:
            absent = await missing(api)
        except ApiError as error:
            trouble = f"the API server to say which kinds of {meta.API_VERSION} it serves ({error})"
        else:
            if not absent:
                return
            names = ", ".join(f"{plural}.{meta.GROUP}" for plural in sorted(absent))
            trouble = f"the CustomResourceDefinitions {names} to be served; apply those of this version"
        waits_for(trouble)
        if trouble != said:
            log.warning("waits for %s", trouble)
            said = trouble
        await asyncio.sleep(_LOOK_EVERY)
