"""Trainings on a real API server: Jobs whose pods end as a test says, and the revisions that come of them."""

from __future__ import annotations

import json
from typing import Any

from support.kube import Object
from support.versions import states
from support.workplace import Workplace

ARTIFACT = "s3://models/triage/1"


def trains(message: Any = None, *, exit_code: int = 0, hold: bool = False, **job: Any) -> Object:
    """A spec.retraining without a plan, whose Job leaves a message, fails, or does not end."""
    left = message if isinstance(message, str) else json.dumps(message or {"artifact": ARTIFACT})
    annotations = {"localcluster/message": left}
    if exit_code:
        annotations["localcluster/exit-code"] = str(exit_code)
    if hold:
        annotations["localcluster/hold"] = "true"
    container = {"name": "train", "image": "registry.example/train:1"}
    pods = {"metadata": {"annotations": annotations}, "spec": {"containers": [container]}}
    return {"jobTemplate": {"spec": {"template": pods, "backoffLimit": 0, **job}}}


def jobs(place: Workplace) -> list[Object]:
    """The Jobs that exist."""
    return place.admin.list("batch/v1", "jobs", namespace=place.namespace)


def until_states(place: Workplace, agent: str = "triage", **wanted: str) -> None:
    """Wait until the revisions have these states: `r1="Stable"`."""
    expected = {int(key[1:]): value for key, value in wanted.items()}
    place.admin.wait_for(lambda: states(place, agent) == expected, what=f"revisions {expected}")
