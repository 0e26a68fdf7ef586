"""What delivers an inheritance: a Job that mounts the successor's volume, with an account that holds no right and a
network in which there is nothing but the operator, from which it fetches the predecessor's archive.

The Job's name ends in a hash of all that it is: one that another leader has made, who listens elsewhere, is another.
"""

from __future__ import annotations

from typing import Final

from aiagent_operator.api import capture, handover, runs
from aiagent_operator.api.succession import Volume
from aiagent_operator.core.children import common, memory, network_policy, service_account
from aiagent_operator.core.children.memory import Intake, Owner
from aiagent_operator.core.objects import AgentIdentity, ChildKind, Desired, Manifest, digest

_VOLUME: Final = "memory"


def account(agent: AgentIdentity) -> Desired:
    """The ServiceAccount of the Job."""
    return service_account.named(agent, handover.account_name(agent.name))


def network(agent: AgentIdentity, outlet: Intake) -> Desired:
    """The NetworkPolicy of the Job: the operator, and nothing else, not even DNS."""
    name = handover.account_name(agent.name)
    manifest = common.header(ChildKind.NETWORK_POLICY, agent, agent.namespace, name)
    manifest["spec"] = {**memory.only(outlet), "podSelector": {"matchLabels": _labels(agent)}}
    return common.desired(manifest, network_policy.owned(manifest))


def job(agent: AgentIdentity, asked: Volume, whose: Owner, outlet: Intake, manifest_digest: str) -> Desired:
    """The Job. `manifest_digest`: of the archive that it fetches. Its own digest is of the whole."""
    spec = _spec(agent, asked, whose, outlet, manifest_digest)
    made = common.header(
        ChildKind.JOB, agent, agent.namespace, f"{agent.name}-{handover.RUN}-{digest([asked.claim_name, spec])[:8]}"
    )
    made["metadata"]["labels"] |= _labels(agent)
    made["spec"] = spec
    return common.desired(made, digest(made))


def _labels(agent: AgentIdentity) -> dict[str, str]:
    return {runs.LABEL_RUN: handover.RUN, runs.LABEL_RUN_OF: agent.uid}


def _spec(agent: AgentIdentity, asked: Volume, whose: Owner, outlet: Intake, manifest_digest: str) -> Manifest:
    told = {
        handover.ENV_DIGEST: manifest_digest,
        capture.ENV_URL: outlet.url,
        capture.ENV_CERTIFICATE: outlet.certificate,
    }
    spec = memory.spec(_labels(agent), handover.account_name(agent.name), asked.claim_name, whose, outlet)
    pod = spec["template"]["spec"]
    # A volume that was just made is root's: nobody else could write to it.
    pod["securityContext"] |= {"fsGroup": whose.group, "fsGroupChangePolicy": "OnRootMismatch"}
    (container,) = pod["containers"]
    container |= {
        "name": handover.RUN,
        "command": list(handover.COMMAND),
        "env": [{"name": key, "value": value} for key, value in told.items()],
    }
    for mount in container["volumeMounts"]:
        if mount["name"] == _VOLUME:
            mount["readOnly"] = False
    return spec
