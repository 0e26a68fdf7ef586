"""Curricula: the version of what a policy has agents taught, and which of them a training was about."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import StringConstraints

from aiagent_operator.api.fields import Model, ObjectName, described

MOST_CURRICULA: Final = 32
"""Curricula that a training is about: of the agent's policies that have one, the first by name."""

CurriculumVersion = Annotated[
    str, StringConstraints(min_length=1, max_length=63, pattern=r"^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$")
]


class Curriculum(Model):
    """What a policy had the agent taught."""

    policy: Annotated[ObjectName, described("Name of the AgentPolicy.")]
    version: Annotated[CurriculumVersion, described("Its spec.curriculum when the training began.")]
