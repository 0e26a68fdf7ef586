"""Whether what a training has left may come into force, and what the agent has learned then."""

from __future__ import annotations

from dataclasses import dataclass

from aiagent_operator.api.retraining import Retraining
from aiagent_operator.core.objects import Learned, Manifest, RevisionFacts
from aiagent_operator.core.runs import bounds
from aiagent_operator.core.runs import result as results


@dataclass(frozen=True, slots=True)
class Rejected:
    """What was left does not come into force."""

    message: str


def accept(
    record: RevisionFacts, message: str, how: Retraining, replaced: str, now: str, *, adopted: bool
) -> tuple[Learned, Manifest] | Rejected:
    """What is learned, and the result as the record holds it, from the termination message of a training.

    `replaced` is the image that an image of the result would replace. What the training says nothing of stays as it
    was when it began.
    """
    try:
        found = results.read(message)
    except results.ResultError as error:
        return Rejected(f"its result is refused: {error}")
    if found.image and adopted:
        return Rejected(
            "its result is refused: it names an image, and the images of an adopted workload are its owner's: leave "
            "image out, or say in spec.workload.container which of them is the agent's work"
        )
    if wrong := bounds.refusal(found, replaced or None, how.image_repositories, how.artifact_locations):
        return Rejected(f"its result is refused: {wrong}")
    result, before = found.to_wire(), record.learned
    training = record.training
    learned = Learned(
        by=record.number,
        at=now,
        image=found.image or (before.image if before else ""),
        model=result.get("model") or (before.model if before else None),
        artifact=found.artifact or (before.artifact if before else ""),
        base_image=training.base_image if training else "",
        base_model=training.base_model if training else None,
        knowledge=record.knowledge,
        curricula=training.curricula if training else (),
    )
    return learned, result
