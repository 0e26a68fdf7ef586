"""What a run's template may not name when whoever wrote it is not who employs the agent, but wrote the agent's role.

Such a run is in a namespace of somebody else's, where anything that it names would be handed to its author's code:
Secrets, ConfigMaps, claims, tokens. So only volumes that begin empty, or hold what is the pod's own, are let through.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from aiagent_operator.api.evaluation import EvaluationTemplate
from aiagent_operator.core import texts

VOLUMES: Final = ("emptyDir", "downwardAPI", "image")
"""Kinds of volume that name nothing of the namespace; one that is ephemeral may be a copy of any claim there."""

FIELDS: Final = ("imagePullSecrets", "resourceClaims")
"""Fields of a pod that name what is in the namespace."""

SOURCES: Final = ("fieldRef", "resourceFieldRef")
"""What a variable may have its value from."""


def of(template: EvaluationTemplate) -> str:
    """What is wrong with an evaluation of a role; empty where nothing is."""
    if template.job is None:
        return ""
    content = template.job.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return texts.some(problems(content["spec"]["template"]["spec"]), 4, "; ")


def problems(pod: Mapping[str, Any]) -> tuple[str, ...]:
    """What is wrong with the pod spec of a role's run, each with the remedy."""
    return tuple(_problems(pod))


def _problems(pod: Mapping[str, Any]) -> Iterator[str]:
    for name in FIELDS:
        if pod.get(name):
            yield f"{name} names what is in the agent's namespace: leave it out"
    for volume in pod.get("volumes") or ():
        for kind in sorted(volume.keys() - {"name", *VOLUMES}):
            yield (
                f'volume "{volume["name"]}" ({kind}) names what is in the agent\'s namespace: use {", ".join(VOLUMES)}'
            )
    for container in (*(pod.get("initContainers") or ()), *pod["containers"]):
        where = f'container "{container["name"]}"'
        if container.get("envFrom"):
            yield f"{where} has envFrom, which names what is in the agent's namespace: write the variables out"
        for variable in container.get("env") or ():
            for source in sorted((variable.get("valueFrom") or {}).keys() - set(SOURCES)):
                yield (
                    f"{where} has variable {variable['name']} from {source}, which names what is in the agent's "
                    "namespace: write its value out"
                )
