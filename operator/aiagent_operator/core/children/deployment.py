"""The agent's pods where it brings a template: a Deployment for each revision that runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiagent_operator.api import meta
from aiagent_operator.core import injection as injections
from aiagent_operator.core.children import common, revision
from aiagent_operator.core.injection import Injection
from aiagent_operator.core.objects import AgentIdentity, ChildKind, Desired, Manifest, digest


def build(
    agent: AgentIdentity, number: int, template: Mapping[str, Any], replicas: int, injection: Injection
) -> Desired:
    """The Deployment of one revision. `template` is the author's, as written.

    The API server fills in some hundred defaults, so the live spec is not compared: the annotation holds the hash of
    the spec that was asked for, and an edit of the live one shows in its generation.
    """
    labels = {meta.LABEL_REVISION: str(number)}
    manifest = common.header(ChildKind.DEPLOYMENT, agent, agent.namespace, revision.name_of(agent, number))
    return _whole(manifest, template, replicas, injection, labels, {meta.LABEL_AGENT_UID: agent.uid} | labels)


def canary(  # noqa: PLR0917 - what it is made from, each thing of its own type
    agent: AgentIdentity, number: int, target: str, template: Mapping[str, Any], replicas: int, injection: Injection
) -> Desired:
    """The Deployment of a candidate beside an adopted one. `template` is that of the target with the candidate's image,
    and without what the operator puts in; its labels stay, so that the target's Services select these pods too.

    One candidate follows another in it: its selector, which nobody can change, names the agent and not the revision.
    """
    own = {meta.LABEL_CANARY: "true"}
    manifest = common.header(ChildKind.DEPLOYMENT, agent, agent.namespace, meta.canary_name(target))
    manifest["metadata"]["annotations"] = {meta.ANNOTATION_CANARY_OF: target}
    labels = {meta.LABEL_REVISION: str(number)} | own
    return _whole(manifest, template, replicas, injection, labels, {meta.LABEL_AGENT_UID: agent.uid} | own)


def _whole(  # noqa: PLR0917 - what it is made from, each thing of its own type
    manifest: Manifest,
    template: Mapping[str, Any],
    replicas: int,
    injection: Injection,
    labels: Mapping[str, str],
    selector: Mapping[str, str],
) -> Desired:
    manifest["metadata"]["labels"] |= labels
    spec: Manifest = {
        "replicas": replicas,
        "selector": {"matchLabels": dict(selector)},
        "template": {
            "metadata": _pod_metadata(template.get("metadata") or {}, {**injection.labels, **labels}),
            "spec": injections.into(template["spec"], injection),
        },
    }
    annotations = manifest["metadata"].get("annotations") or {}
    manifest["metadata"]["annotations"] = annotations | {meta.ANNOTATION_SPEC_HASH: digest(spec)}
    manifest["spec"] = spec
    return common.desired(manifest, owned(manifest))


def owned(live: Mapping[str, Any]) -> str:
    """Digest of our labels and the hash of the spec that was asked for."""
    return common.owned_digest(live, (live["metadata"].get("annotations") or {}).get(meta.ANNOTATION_SPEC_HASH))


def _pod_metadata(author: Mapping[str, Any], labels: Mapping[str, str]) -> Manifest:
    """The author's labels and annotations; ours win, since network and selector hang on them."""
    metadata: Manifest = {"labels": {**(author.get("labels") or {}), **labels}}
    if author.get("annotations"):
        metadata["annotations"] = dict(author["annotations"])
    return metadata
