"""Which results of a training may come into force: its Job must not choose what runs under the agent's identity.

Whoever can write the output of a training Job (its image, its data, anybody who may exec into its pod) could else name
any image at all. So an image comes from the repository of the one that it replaces, or from one that the agent's
author lists in `spec.retraining.imageRepositories`. Of artifacts, which are data but may be unpickled, the author may
say in `spec.retraining.artifactLocations` where they are to be.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote

from aiagent_operator.core import texts, untrusted
from aiagent_operator.core.runs import images
from aiagent_operator.core.runs.result import TrainingResult

REPOSITORIES: Final = "spec.retraining.imageRepositories"
LOCATIONS: Final = "spec.retraining.artifactLocations"
_SHOWN: Final = 200


def refusal(
    result: TrainingResult, replaced: str | None, repositories: Sequence[str] = (), locations: Sequence[str] = ()
) -> str:
    """Why a result may not come into force; empty where it may.

    `replaced` is the image that the result's would replace; None where the agent's work has none of that container.
    """
    return _image(result.image, replaced, repositories) or _artifact(result.artifact, locations)


def _image(image: str | None, replaced: str | None, repositories: Sequence[str]) -> str:
    if image is None:
        return ""
    found = images.parse(image).repository
    allowed = [known for text in (replaced, *repositories) if text and (known := _repository(text))]
    if found in allowed:
        return ""
    listed = texts.some(dict.fromkeys(allowed)) or "nothing"
    return (
        f"image is of the repository {untrusted.shown(found, _SHOWN)}, and the agent's image may be replaced only from "
        f"{listed}: push it there, or list its repository in {REPOSITORIES}"
    )


def _repository(text: str) -> str:
    """The repository of a reference in a spec; empty where it is none, so that it allows nothing."""
    try:
        return images.parse(text).repository
    except images.ImageError:
        return ""


def _artifact(artifact: str | None, locations: Sequence[str]) -> str:
    if artifact is None or not locations:
        return ""
    beneath = any(artifact.startswith(location) for location in locations)
    # A client that tidies paths would leave the location again.
    if beneath and not _climbs(artifact):
        return ""
    return (
        f"artifact {untrusted.shown(artifact, _SHOWN)} is not below {texts.some(locations)}: store it there, or list "
        f"its location in {LOCATIONS}"
    )


def _climbs(uri: str) -> bool:
    decoded = uri
    while (further := unquote(decoded)) != decoded:
        decoded = further
    return any(part in {".", ".."} for part in re.split(r"[/\\?#]", decoded))
