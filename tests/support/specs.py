"""Hypothesis strategies for manifests of all kinds that the API server accepts.

Every optional field appears and is missing, every enum value comes up, and the boundaries of lengths and numbers are
drawn far more often than chance would have it. `support.edges` turns these into ones that are nearly right.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

from hypothesis import strategies as st

from aiagent_operator.api import meta
from aiagent_operator.api.agentaction import Action
from aiagent_operator.api.agentpolicy import OverdueAction, WindowKind
from aiagent_operator.api.agentrole import Isolation, RoleState
from aiagent_operator.api.connections import Protocol
from aiagent_operator.api.handbook import AboveLimit, DataCategory, Decision
from aiagent_operator.api.owners import Function, Responsibility, SubjectKind
from aiagent_operator.api.permissions import Grant
from aiagent_operator.api.retraining import RetrainingTrigger
from aiagent_operator.api.selectors import SelectorOperator
from aiagent_operator.api.workload import OnConflict, TargetKind
from support.evaluationspecs import evaluations

Manifest = dict[str, Any]
Strategy = st.SearchStrategy[Any]

# Letters beyond ASCII, beyond the BMP, composed and decomposed, right to left, and spaces that ASCII does not know.
LETTERS = "aZ09 .-_'\"\\{}$é漢\u0301\u00a0\u2003\u200b\u202e😀\n\t"

CIDRS = ("203.0.113.0/24", "198.51.100.7/32", "0.0.0.0/0", "2001:db8::/32", "2001:DB8:0:0::/64", "::/0", "::1/128")


def _values(enum: type[StrEnum]) -> Strategy:
    return st.sampled_from([member.value for member in enum])


def _obj(required: dict[str, Strategy], **optional: Strategy) -> Strategy:
    return st.fixed_dictionaries(required, optional=optional)


def _many(entry: Strategy, low: int, high: int, key: str | None = None) -> Strategy:
    unique: Callable[[Any], Any] | None = (lambda e: e[key]) if key else None
    return st.lists(entry, min_size=low, max_size=high, unique_by=unique)


def text(longest: int) -> Strategy:
    """Free text of 1 to `longest` characters; the longest itself is drawn often."""
    return st.one_of(
        st.text(LETTERS, min_size=1, max_size=min(12, longest)),
        st.sampled_from("x漢😀").map(lambda letter: letter * longest),
    )


def label(longest: int = 63) -> Strategy:
    """A DNS label (RFC 1123)."""
    return st.one_of(
        st.sampled_from(["a", "0", "a-b", "a--b", "9z", "x" * longest, "x" + "-" * (longest - 2) + "0"]),
        st.text("abcxyz019", min_size=1, max_size=8),
    )


def subdomain() -> Strategy:
    """A DNS subdomain (RFC 1123), as most object names are."""
    long = ".".join(["x" * 63] * 3) + "." + "y" * 61
    return st.one_of(label(), st.sampled_from(["a.b", "crm.example", "0.1.2", long]))


def _subjects() -> Strategy:
    names = st.sampled_from(["product-owner@corp.example", "oidc:ünïcode", "cn=a,o=b", "x" * 253, "team\u00a0a"])
    return _obj({"kind": _values(SubjectKind), "name": names})


@st.composite
def _owners(draw: st.DrawFn) -> list[Any]:
    owner = _obj(
        {
            "name": label(),
            "function": _values(Function),
            "responsibility": st.sampled_from([r.value for r in Responsibility if r != Responsibility.ACCOUNTABLE]),
            "subject": _subjects(),
        },
        backup=_subjects(),
    )
    owners: list[Any] = draw(_many(owner, 1, 4, "name"))
    owners[draw(st.integers(0, len(owners) - 1))]["responsibility"] = Responsibility.ACCOUNTABLE.value
    return owners


def _policy_rules(low: int, high: int) -> Strategy:
    groups = _many(st.sampled_from(["", "apps", "crm.example"]), 1, 3)
    resources = _many(st.sampled_from(["configmaps", "tickets", "deployments/scale", "x" * 127]), 1, 3)
    unnamed = st.sampled_from(["get", "list", "watch", "update", "patch", "delete", "use", "x" * 63])
    plain = _obj({"apiGroups": groups, "resources": resources, "verbs": _many(unnamed, 1, 3)})
    named = _obj(
        {"apiGroups": groups, "resources": resources, "verbs": _many(unnamed, 1, 3)},
        resourceNames=_many(st.sampled_from(["catalog", "a:b", "Ü", "x" * 253]), 0, 3),
    )
    creating = _obj({"apiGroups": groups, "resources": resources, "verbs": st.just(["create", "deletecollection"])})
    return _many(st.one_of(plain, named, creating), low, high)


def _permissions() -> Strategy:
    permission = _obj(
        {"name": label()},
        namespaces=st.lists(label(), max_size=3, unique=True),
        rules=_policy_rules(0, 2),
        grant=_values(Grant),
    )
    return _many(permission, 0, 3, "name")


def _connections() -> Strategy:
    egress = _obj(
        {"cidr": st.sampled_from(CIDRS), "port": st.sampled_from([1, 443, 65535])}, protocol=_values(Protocol)
    )
    secret = _obj({"name": subdomain()})
    name, audience = label(40), text(256)
    connection = st.one_of(
        _obj({"name": name, "egress": egress}, secretRef=secret, audience=audience),
        _obj({"name": name, "secretRef": secret}, audience=audience),
        _obj({"name": name, "audience": audience}),
    )
    return _many(connection, 0, 3, "name")


def handbooks() -> Strategy:
    """Handbooks with all kinds of decision rules, sources and prohibitions."""
    key_ref = _obj({"name": subdomain(), "key": st.sampled_from(["handbook.md", "_", "..", "K" * 253])})
    instructions = st.one_of(_obj({"inline": text(1000)}), _obj({"configMapKeyRef": key_ref}))
    limit = st.sampled_from(["50", "-0.5", "0", "9" * 32])
    rule = st.one_of(
        _obj({"name": label(), "action": text(253), "decide": _values(Decision)}),
        _obj(
            {
                "name": label(),
                "action": text(253),
                "decide": st.just(Decision.AUTONOMOUS.value),
                "limit": limit,
                "above": _values(AboveLimit),
            }
        ),
    )
    source = _obj({"name": label(), "uri": text(2048)}, consentRef=text(253))
    categorized = _obj(
        {
            "name": label(),
            "uri": text(2048),
            "consentRef": text(253),
            "dataCategories": st.lists(_values(DataCategory), max_size=5, unique=True),
        }
    )
    return _obj(
        {},
        instructions=instructions,
        rules=_many(rule, 0, 3, "name"),
        knowledgeSources=_many(st.one_of(source, categorized), 0, 3, "name"),
        prohibited=st.lists(text(512), max_size=3, unique=True),
    )


def _workloads() -> Strategy:
    target = _obj(
        {"apiVersion": st.just("apps/v1"), "kind": _values(TargetKind), "name": subdomain()},
        onConflict=_values(OnConflict),
    )
    # What the schema does not spell out passes through as it is.
    container = _obj(
        {"name": label(), "image": st.just("registry.example/app:1")},
        env=st.just([{"name": "A", "value": None}]),
        securityContext=st.just({"runAsNonRoot": True}),
    )
    volume = _obj({"name": label()}, emptyDir=st.just({}))
    pod = _obj(
        {"containers": _many(container, 1, 2, "name")},
        volumes=_many(volume, 0, 2, "name"),
        hostNetwork=st.just(False),
        terminationGracePeriodSeconds=st.integers(0, 60),
    )
    metadata = _obj(
        {},
        labels=st.dictionaries(st.sampled_from(["app", "a.example/b"]), st.sampled_from(["", "A_b.c", "x" * 63])),
        annotations=st.dictionaries(st.sampled_from(["a", "b"]), text(300)),
    )
    template = _obj({"spec": pod}, metadata=metadata)
    own = _obj({"name": label(), "image": st.sampled_from(["registry.example/app:1", "x" * 1024])})
    adopted = _obj({"targetRef": target}, container=own)
    return st.one_of(adopted, _obj({"template": template}, replicas=st.sampled_from([0, 1, 1000])))


def _models() -> Strategy:
    return _obj({"provider": text(128), "name": text(128)}, version=text(128))


def _volumes() -> Strategy:
    return _many(_obj({"name": label()}, emptyDir=st.just({})), 0, 2, "name")


def job_templates() -> Strategy:
    """Jobs of runs, with what rules read and what they do not."""
    variable = _obj({"name": st.sampled_from(["A", "WORKFORCE", "a.b-c", "x" * 253])}, value=text(20))
    container = _obj({"name": label()}, image=st.just("registry.example/train:1"), env=_many(variable, 0, 3, "name"))
    pod = _obj(
        {"containers": _many(container, 1, 2, "name")},
        initContainers=_many(container, 0, 2, "name"),
        volumes=_volumes(),
        restartPolicy=st.just("Never"),
        hostNetwork=st.just(False),
        priorityClassName=st.just("low"),
    )
    metadata = _obj(
        {},
        labels=st.dictionaries(st.sampled_from(["app", "kueue.x-k8s.io/queue-name"]), st.sampled_from(["", "x" * 63])),
        annotations=st.dictionaries(st.sampled_from(["a", "workforce.example/b"]), text(300)),
    )
    job = _obj(
        {"template": _obj({"spec": pod}, metadata=metadata)},
        backoffLimit=st.sampled_from([0, 10]),
        activeDeadlineSeconds=st.sampled_from([1, 604_800]),
        parallelism=st.just(1),
        completions=st.just(1),
        completionMode=st.just("NonIndexed"),
        suspend=st.booleans(),
    )
    return _obj({"spec": job}, metadata=metadata)


def _retraining() -> Strategy:
    durations = st.sampled_from(["1s", "720h", "1h30m", "1.5h"])
    plan: Strategy = st.one_of(
        _obj({"schedule": text(128)}, timeZone=text(64)), _obj({"every": durations}), st.just({})
    )
    promise: Strategy = st.one_of(_obj({"maxAge": durations}, grace=st.one_of(st.just("0s"), durations)), st.just({}))
    repositories = st.sampled_from(["registry.example/a", "localhost/b/c-d", "registry:5000/e__f"])
    step: Strategy = st.one_of(_obj({"pause": _obj({}, duration=durations)}), st.just({"pause": {}}))
    steps = st.lists(step, max_size=3).map(lambda found: [{"weight": 20}, *found, {"weight": 50}])
    rest = _obj(
        {"jobTemplate": job_templates()},
        rollout=st.one_of(
            _obj(
                {"strategy": st.just("Canary")},
                steps=steps,
                onFailure=st.sampled_from(["Rollback", "Freeze"]),
                trafficRouting=_obj(
                    {
                        "httpRoute": _obj({"name": subdomain()}),
                        "stableService": st.just("stable"),
                        "canaryService": st.just("canary"),
                    }
                ),
                progressDeadlineSeconds=st.sampled_from([1, 86_400]),
            ),
            st.just({"strategy": "Recreate"}),
            _obj(
                {
                    "strategy": st.just("BlueGreen"),
                    "blueGreen": _obj({"activeService": st.just("a")}, previewService=st.just("b")),
                },
                scaleDownDelaySeconds=st.sampled_from([0, 86_400]),
                abortScaleDownDelaySeconds=st.sampled_from([1, 86_400]),
            ),
        ),
        evaluations=evaluations(job_templates()),
        connections=st.lists(label(40), max_size=3, unique=True),
        imageRepositories=st.lists(repositories, max_size=3, unique=True),
        artifactLocations=st.lists(st.sampled_from(["s3://models/a/", "file:///store/"]), max_size=2, unique=True),
        spread=st.one_of(st.just("0s"), durations),
        suspend=st.booleans(),
        triggers=st.lists(_values(RetrainingTrigger), max_size=3, unique=True),
    )
    return st.builds(lambda *parts: {key: value for part in parts for key, value in part.items()}, plan, promise, rest)


def _supervision() -> Strategy:
    lasting = {"for": st.sampled_from(["0s", "30m", "8760h"]), "interval": st.sampled_from(["10s", "1h"])}
    query = st.sampled_from(["up", "wrong{revision={{revision}}}", "x" * 4096])
    server = _obj({}, address=st.sampled_from(["http://prometheus:9090", "https://metrics.example/p"]))
    more = {"prometheus": server, **lasting}
    above = _obj({"query": query, "max": st.just("0.25")}, recovery=st.sampled_from(["0.25", "-1"]), **more)
    below = _obj({"query": query, "min": st.just("-0.5")}, recovery=st.sampled_from(["-0.5", "1"]), **more)
    return _obj({}, drift=st.one_of(above, below))


def agents() -> st.SearchStrategy[Manifest]:
    """AIAgents in namespace `default`."""
    spec = _obj(
        {
            "roleRef": _obj({"name": subdomain()}),
            "purpose": text(1024),
            "owners": _owners(),
            "workload": _workloads(),
        },
        permissions=_permissions(),
        connections=_connections(),
        handbook=handbooks(),
        model=_models(),
        suspended=st.booleans(),
        retraining=_retraining(),
        supervision=_supervision(),
        revisionHistoryLimit=st.sampled_from([0, 10, 50]),
    )
    declared = spec.map(_fitting)
    return _manifests("AIAgent", _obj({"name": label(40), "namespace": st.just("default")}), declared)


def _fitting(spec: Manifest) -> Manifest:
    """Trainings get files of connections that the agent declares: as many of these as it named of others. The pods of
    a target are not rolled out, and its images gated only where one is the agent's. The first evaluation is of the
    rollout, where this has steps."""
    retraining = dict(spec.get("retraining", {}))
    if "connections" in retraining:
        declared = [connection["name"] for connection in spec.get("connections", [])]
        retraining["connections"] = declared[: len(retraining["connections"])]
    if "targetRef" in spec["workload"]:
        rollout = retraining.pop("rollout", {})
        if "container" not in spec["workload"]:
            retraining.pop("evaluations", None)
        elif rollout.get("strategy") == "Recreate":
            retraining["rollout"] = rollout
    if retraining.get("evaluations") and "steps" in retraining.get("rollout", {}):
        rollout, (first, *_) = retraining["rollout"], retraining["evaluations"]
        named = {"name": first["name"]}
        retraining["rollout"] = rollout | {"steps": [*rollout["steps"], {"evaluation": named}], "analysis": [named]}
    if "drift" not in spec.get("supervision", {}) and "triggers" in retraining:
        retraining["triggers"] = [each for each in retraining["triggers"] if each != RetrainingTrigger.DRIFT]
    return spec | {"retraining": retraining} if "retraining" in spec else spec


def roles() -> st.SearchStrategy[Manifest]:
    """AgentRoles."""
    lifecycle = st.one_of(
        _obj({"state": _values(RoleState)}),
        _obj({"state": st.just(RoleState.DEPRECATED.value), "successor": subdomain()}),
    )
    permission_set = _obj({"name": label(), "description": text(1024), "rules": _policy_rules(1, 2)})
    duty = _obj({"name": label(), "rules": _policy_rules(1, 2)})
    combination = _obj({"name": label(), "description": text(1024), "duties": _many(duty, 2, 4, "name")})
    selector = st.dictionaries(st.sampled_from(["team", "a.example/b"]), st.sampled_from(["", "x" * 63]))
    spec = _obj(
        {"description": text(1024), "lifecycle": lifecycle},
        namespaces=_obj({}, names=st.lists(label(), max_size=3, unique=True), matchLabels=selector, own=st.booleans()),
        permissionSets=_many(permission_set, 0, 2, "name"),
        ceiling=_policy_rules(0, 2),
        forbiddenCombinations=_many(combination, 0, 2, "name"),
        requiredOwnerFunctions=st.lists(_values(Function), max_size=10, unique=True),
        identityIsolation=_values(Isolation),
        hiringEvaluations=evaluations(job_templates()),
        defaults=_obj({}, permissions=_permissions(), handbook=handbooks(), model=_models()),
    )
    return _manifests("AgentRole", _obj({"name": subdomain()}), spec)


def _label_selectors() -> Strategy:
    key = st.sampled_from(["tier", "a.example/b", "kubernetes.io/metadata.name", "K" * 63])
    value = st.sampled_from(["", "gold", "A_b.c", "x" * 63])
    compares = _obj(
        {
            "key": key,
            "operator": st.sampled_from([SelectorOperator.IN.value, SelectorOperator.NOT_IN.value]),
            "values": st.lists(value, min_size=1, max_size=3, unique=True),
        }
    )
    exists = _obj(
        {
            "key": key,
            "operator": st.sampled_from([SelectorOperator.EXISTS.value, SelectorOperator.DOES_NOT_EXIST.value]),
        }
    )
    return _obj({}, matchLabels=st.dictionaries(key, value), matchExpressions=_many(st.one_of(compares, exists), 0, 3))


def policies() -> st.SearchStrategy[Manifest]:
    """AgentPolicies, each of which can be read whole."""
    ages = st.sampled_from(["1s", "24h", "1h30m", "1.5h", "87600h"])
    window = _obj(
        {
            "name": label(),
            "kind": _values(WindowKind),
            "schedule": st.sampled_from(["0 22 * * *", "@weekly", "*/15 0-5 1,15 JAN-MAR MON#1", "0 0 L * *"]),
            "duration": st.sampled_from(["1m", "6h", "8784h"]),
        },
        timeZone=st.sampled_from(["UTC", "Europe/Zurich", "America/Argentina/Buenos_Aires"]),
    )
    overdue = _obj({"grace": st.one_of(st.just("0s"), ages)}, action=_values(OverdueAction))
    selector = _obj(
        {},
        namespaceSelector=_label_selectors(),
        agentSelector=_label_selectors(),
        roles=st.lists(subdomain(), max_size=3, unique=True),
    )
    said = {"description": text(1024), "selector": selector}
    rest: dict[str, Strategy] = {
        "windows": _many(window, 0, 3, "name"),
        "maxConcurrent": st.sampled_from([1, 5, 10_000]),
        "requiredEvaluations": _many(_obj({"name": label(40)}), 0, 3, "name"),
        "revisionHistoryLimit": st.sampled_from([0, 20, 100]),
        "curriculum": st.sampled_from(["1", "2026-2", "a.b_c", "x" * 63]),
    }
    spec = st.one_of(_obj({**said, "maxAge": ages}, overdue=overdue, **rest), _obj(said, **rest))
    return _manifests("AgentPolicy", _obj({"name": subdomain()}), spec)


def actions() -> st.SearchStrategy[Manifest]:
    """AgentActions in namespace `default`."""
    labels = st.dictionaries(
        st.sampled_from(["team", "a.example/b"]), st.sampled_from(["", "x" * 63]), min_size=1, max_size=2
    )
    about = st.one_of(_obj({"agentRef": _obj({"name": label(40)})}), _obj({"selector": _obj({"matchLabels": labels})}))
    said = {"requestedBy": text(253), "reason": text(1024)}
    seconds = st.sampled_from([1, 60, 31_536_000])
    suspend = _obj({"action": st.just(Action.SUSPEND.value), **said})
    resume = _obj(
        {"action": st.just(Action.RESUME.value), **said},
        activeDeadlineSeconds=seconds,
        ttlSecondsAfterFinished=st.one_of(st.just(0), seconds),
    )
    back = _obj(
        {"action": st.just(Action.ROLLBACK.value), "agentRef": _obj({"name": label(40)}), **said},
        revision=st.sampled_from([1, 2**31 - 1]),
        activeDeadlineSeconds=seconds,
    )
    steer = _obj({"action": st.just(Action.ABORT.value), "agentRef": _obj({"name": label(40)}), **said})
    promote = _obj(
        {"action": st.just(Action.PROMOTE.value), "agentRef": _obj({"name": label(40)}), **said}, full=st.booleans()
    )
    spec = st.one_of(
        st.builds(lambda order, whom: order | whom, st.one_of(suspend, resume), about), back, steer, promote
    )
    return _manifests("AgentAction", _obj({"name": label(), "namespace": st.just("default")}), spec)


def _manifests(kind: str, metadata: Strategy, spec: Strategy) -> st.SearchStrategy[Manifest]:
    return st.fixed_dictionaries(
        {"apiVersion": st.just(meta.API_VERSION), "kind": st.just(kind), "metadata": metadata, "spec": spec}
    )
