"""An agent whose work is the image of one container of a target, for tests of decisions: the target as it is read back.

Server-side apply is played as far as adoption goes by it: who owns the image of a container, and what an apply that
leaves something out takes away. What the API server truly does is tried in tests/cluster.
"""

from __future__ import annotations

import copy
import json
from typing import Any

from aiagent_operator.api import meta
from aiagent_operator.core.children import belongs
from aiagent_operator.core.objects import Child, ChildKind, Manifest, ObjectKey
from aiagent_operator.core.plan import Verb, Write
from aiagent_operator.core.rollout.facts import OrderKind, RolloutOrder
from support import agents
from support.decisions import HOME
from support.gates import Desk
from support.statefulset import running

OWNER = "argocd-controller"
# Set by another operation than apply, so that an apply leaves it.
REPLICAS = meta.ANNOTATION_PRIOR_REPLICAS
KEY = ObjectKey(ChildKind.DEPLOYMENT, HOME, "router")


class ConflictError(AssertionError):
    """The API server would answer 409: another manager sets the image."""


class TargetDesk(Desk):
    """The agent, and the Deployment or StatefulSet `router` of somebody else with the containers `app` and `log`."""

    def __init__(
        self,
        *permissions: Manifest,
        image: str = agents.IMAGE,
        take_over: bool = False,
        kind: str = "Deployment",
        **spec: Any,
    ) -> None:
        workload = agents.target("router", kind=kind, take_over=take_over, image=image)
        super().__init__(*permissions, workload=workload, **spec)
        self.key = KEY if kind == "Deployment" else ObjectKey(ChildKind(kind), HOME, "router")
        self.set = running(1, "")
        """Its controller, where it is a StatefulSet."""
        self.fails = ""
        """Image of which no pod of a StatefulSet becomes ready."""
        self.broken: set[str] = set()
        """Deployments whose pods never become ready."""
        body = agents.workload(HOME, "router", kind=kind)
        body["spec"]["template"]["spec"]["containers"].append({"name": "log", "image": "registry.example/log:1"})
        body["metadata"] |= {"uid": "uid-router", "resourceVersion": "0", "generation": 1}
        body["metadata"]["managedFields"] = [_entry(OWNER, {"app": {"f:image": {}}, "log": {"f:image": {}}})]
        if kind == "StatefulSet":
            body["spec"]["updateStrategy"] = {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
            self.set = running(1, _work(body))
        self.bodies[self.key] = body
        self._run(body)

    @property
    def body(self) -> Manifest:
        """The target as it is."""
        return self.bodies[self.key]

    @property
    def images(self) -> dict[str, str]:
        """Images of the target's containers."""
        return {c["name"]: c["image"] for c in self.body["spec"]["template"]["spec"]["containers"]}

    @property
    def adopted(self) -> bool:
        """Whether the target runs as the agent."""
        return bool(self.body["spec"]["template"]["spec"].get("serviceAccountName"))

    def order(self, kind: OrderKind) -> None:
        """Somebody orders something about the rollout."""
        uid = f"uid-{len(self.facts.get('steering', ()))}"
        self.facts["steering"] = (*self.facts.get("steering", ()), RolloutOrder(uid, kind, f"AgentAction {uid} by ann"))

    def counts(self, name: str = "router") -> tuple[int, int]:
        """Pods of a Deployment: asked for, and ready; none where it is not there."""
        body = self.of(ChildKind.DEPLOYMENT).get(name)
        return (body["spec"]["replicas"], body["status"]["readyReplicas"]) if body else (0, 0)

    def children(self) -> dict[ObjectKey, Child]:
        """As decisions see them: the target only where it bears the agent's labels."""
        found = super().children()
        kind = ChildKind(self.key.kind.value)
        return found if belongs(kind, self.body) else {k: c for k, c in found.items() if k != self.key}

    def want(self, image: str, container: str = "app") -> None:
        """The author's edit."""
        self.spec["workload"] = self.spec["workload"] | {"container": {"name": container, "image": image}}

    def owners(self, container: str = "app") -> list[str]:
        """Managers that own the image of a container."""
        found = self.body["metadata"]["managedFields"]
        return [e["manager"] for e in found if "f:image" in _containers(e).get(_key(container), {})]

    def owner_lets_go(self) -> None:
        """The owner takes the images out of its manifests."""
        metadata = self.body["metadata"]
        metadata["managedFields"] = [each for each in metadata["managedFields"] if each["manager"] != OWNER]

    def owner_sets(self, image: str, container: str = "app") -> None:
        """The owner applies another image, by force."""
        self._set(container, image, OWNER)
        self.controlled()

    @property
    def partition(self) -> int:
        """That of a StatefulSet."""
        found: int = self.body["spec"]["updateStrategy"].get("rollingUpdate", {}).get("partition", 0)
        return found

    def owner_stages(self, partition: int) -> None:
        """The owner applies a partition of its own, by force."""
        self._stage(partition, OWNER)
        self.controlled()

    def controlled(self) -> None:
        """The spec is another one, and its controller has done what it says."""
        self.body["metadata"]["generation"] += 1
        self._run(self.body)

    def write(self, write: Write) -> None:
        """The write takes effect."""
        if write.key != self.key:
            super().write(write)
            return
        before = copy.deepcopy(self.body["spec"])
        self._version += 1
        body = dict(write.body or {})
        if write.verb is Verb.APPLY:
            self._apply(body, force=write.force)
        else:
            assert write.verb is Verb.MERGE, write.verb
            self._merge(body, write.manager or meta.MANAGER)
        metadata = self.body["metadata"]
        metadata["resourceVersion"] = str(self._version)
        metadata["generation"] += self.body["spec"] != before
        self._run(self.body)

    def _apply(self, body: Manifest, *, force: bool) -> None:
        pod, given = self.body["spec"]["template"]["spec"], (body.get("spec") or {}).get("template", {}).get("spec", {})
        wanted = {c["name"]: c for c in given.get("containers", [])}
        for name, container in wanted.items():
            others = [each for each in self.owners(name) if each != meta.MANAGER]
            if "image" in container and container["image"] != self.images[name]:
                if others and not force:
                    raise ConflictError(name)
                self._set(name, container["image"], meta.MANAGER)
        alone = [n for n in self.images if self.owners(n) == [meta.MANAGER] and "image" not in wanted.get(n, {})]
        assert not alone, f"the images of {alone} would go, and be refused (422)"
        for container in pod["containers"]:
            if container["name"] in wanted:
                mounts = [m for m in container.get("volumeMounts", []) if not m["name"].startswith(meta.VOLUME_PREFIX)]
                container["volumeMounts"] = mounts + copy.deepcopy(list(wanted[container["name"]]["volumeMounts"]))
        self._staged(body, force=force)
        pod |= {name: given[name] for name in ("serviceAccountName", "serviceAccount") if name in given}
        kept = [v for v in pod.get("volumes", []) if not v["name"].startswith(meta.VOLUME_PREFIX)]
        pod["volumes"] = kept + copy.deepcopy(given.get("volumes", []))
        metadata = self.body["metadata"]
        for field in ("labels", "annotations"):
            theirs = {k: v for k, v in metadata.get(field, {}).items() if not k.startswith(meta.GROUP) or k == REPLICAS}
            metadata[field] = theirs | body["metadata"].get(field, {})
        template = self.body["spec"]["template"]["metadata"]
        template["labels"] = {k: v for k, v in template["labels"].items() if not k.startswith(meta.GROUP)} | body.get(
            "spec", {}
        ).get("template", {}).get("metadata", {}).get("labels", {})
        owned: dict[str, Manifest] = {
            name: {"f:name": {}, "f:volumeMounts": {}} | ({"f:image": {}} if "image" in c else {})
            for name, c in wanted.items()
        }
        self._entries(meta.MANAGER, owned)
        labels: Manifest = {f"f:{label}": {} for label in template["labels"] if label.startswith(meta.GROUP)}
        for entry in metadata["managedFields"]:
            if entry["manager"] == meta.MANAGER:
                entry["fieldsV1"]["f:spec"]["f:template"]["f:metadata"] = {"f:labels": labels}
        if "updateStrategy" in (body.get("spec") or {}):
            _spec(self.body["metadata"]["managedFields"][-1])["f:updateStrategy"] = copy.deepcopy(_STAGED)

    def _staged(self, body: Manifest, *, force: bool) -> None:
        """The partition of an apply, or what becomes of one that is left out."""
        holders = [e["manager"] for e in self.body["metadata"]["managedFields"] if "f:updateStrategy" in _spec(e)]
        strategy = (body.get("spec") or {}).get("updateStrategy")
        if strategy is not None:
            wanted = strategy["rollingUpdate"]["partition"]
            if wanted != self.partition and set(holders) - {meta.MANAGER} and not force:
                raise ConflictError("partition")
            if wanted != self.partition:
                self._stage(wanted, meta.MANAGER)
        elif holders == [meta.MANAGER]:
            # The API server puts the default back only where the type is left out too; nothing is 0 to the controller.
            del self.body["spec"]["updateStrategy"]["rollingUpdate"]

    def _stage(self, partition: int, manager: str) -> None:
        """The manager sets another partition, and owns it alone then."""
        self.body["spec"]["updateStrategy"]["rollingUpdate"] = {"partition": partition}
        for entry in self.body["metadata"]["managedFields"]:
            _spec(entry).pop("f:updateStrategy", None)
            if entry["manager"] == manager:
                _spec(entry)["f:updateStrategy"] = copy.deepcopy(_STAGED)

    def _merge(self, body: Manifest, manager: str) -> None:
        fields = body["metadata"].pop("managedFields", None)
        before = self.images
        _merged(self.body, body)
        if fields is not None:
            self.body["metadata"]["managedFields"] = fields
        for name, image in self.images.items():
            if image != before.get(name):
                self._set(name, image, manager)

    def _set(self, container: str, image: str, manager: str) -> None:
        """The manager sets another image, and owns it alone then."""
        for each in self.body["spec"]["template"]["spec"]["containers"]:
            if each["name"] == container:
                each["image"] = image
        for entry in self.body["metadata"]["managedFields"]:
            _containers(entry).get(_key(container), {}).pop("f:image", None)
        own = next((e for e in self.body["metadata"]["managedFields"] if e["manager"] == manager), None)
        if own is None:
            own = _entry(manager, {})
            self.body["metadata"]["managedFields"].append(own)
        _containers(own).setdefault(_key(container), {".": {}})["f:image"] = {}

    def _entries(self, manager: str, owned: dict[str, Manifest]) -> None:
        others = [e for e in self.body["metadata"]["managedFields"] if e["manager"] != manager]
        self.body["metadata"]["managedFields"] = [*others, *([_entry(manager, owned)] if owned else [])]

    def _run(self, body: Manifest) -> None:
        ready, self.ready = self.ready, self.ready and body["metadata"]["name"] not in self.broken
        super()._run(body)
        self.ready = ready
        if body.get("kind") == "StatefulSet":
            work = _work(body)
            self.set.broken |= {work} if self.fails and self.fails in work else set()
            self.set.change(body["spec"]["replicas"], work, self.partition)
            self.set.run()
            its = self.set.facts(0, "")
            body["status"] |= {"replicas": its.replicas, "updatedReplicas": its.updated, "readyReplicas": its.ready}
        body["status"]["observedGeneration"] = body["metadata"]["generation"]


_STAGED: Manifest = {"f:rollingUpdate": {"f:partition": {}}}


def _work(body: Manifest) -> str:
    """What tells pods of a StatefulSet apart: its pod template."""
    return json.dumps(body["spec"]["template"], sort_keys=True)


def _spec(entry: Manifest) -> Manifest:
    found: Manifest = entry["fieldsV1"]["f:spec"]
    return found


def _key(container: str) -> str:
    return f'k:{{"name":"{container}"}}'


def _entry(manager: str, owned: dict[str, Manifest]) -> Manifest:
    containers: Manifest = {_key(name): {".": {}} | fields for name, fields in owned.items()}
    fields = {"f:spec": {"f:template": {"f:spec": {"f:containers": containers}}}}
    return {"manager": manager, "operation": "Apply", "fieldsV1": fields}


def _containers(entry: Manifest) -> dict[str, Any]:
    found: dict[str, Any] = entry["fieldsV1"]["f:spec"]["f:template"]["f:spec"].setdefault("f:containers", {})
    return found


def _merged(live: Manifest, patch: Manifest) -> None:
    """RFC 7386, in place."""
    for name, value in patch.items():
        if value is None:
            live.pop(name, None)
        elif isinstance(value, dict):
            _merged(live.setdefault(name, {}), value)
        else:
            live[name] = copy.deepcopy(value)
