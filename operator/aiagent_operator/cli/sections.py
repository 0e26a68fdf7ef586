"""The lower part of `describe`: owners, permissions, handbook, work, training, connections, inventory, conditions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rich.text import Text

from aiagent_operator.api import meta
from aiagent_operator.cli import output, view
from aiagent_operator.cli.kube import Object
from aiagent_operator.cli.output import plain
from aiagent_operator.cli.revisions import Standing

# An inventory may have a thousand objects; -o wide shows all.
_SHOWN: Final = 20


def heading(title: str) -> None:
    """The title of a section."""
    output.say(Text(f"\n{title}:", style="bold"))


def details(agent: Object, *, wide: bool) -> None:
    """All sections; `wide` adds messages, the rules of each permission and the whole inventory."""
    spec, status = agent["spec"], agent.get("status") or {}
    _owners(spec)
    _permissions(spec, status, wide=wide)
    _handbook(spec, status)
    _work(agent)
    _training(status)
    _reviews(status)
    _connections(spec)
    _inventory(status, wide=wide)
    _conditions(status, wide=wide)


def _owners(spec: Mapping[str, Any]) -> None:
    heading("Owners")
    rows = []
    for owner in spec.get("owners") or ():
        subject, backup = owner["subject"], owner.get("backup")
        stands_in = f"{backup['kind']} {backup['name']}" if backup else ""
        who = f"{subject['kind']} {subject['name']}"
        rows.append((owner["responsibility"], owner["function"], who, stands_in))
    output.table(("PART", "FUNCTION", "WHO", "STANDS IN"), rows, indent=2)


def _permissions(spec: Mapping[str, Any], status: Mapping[str, Any], *, wide: bool) -> None:
    heading("Permissions")
    entries = status.get("permissions") or ()
    if not entries:
        asked = ", ".join(permission["name"] for permission in spec.get("permissions") or ())
        output.say(f"  {f'asked for, not decided yet: {plain(asked)}' if asked else 'none asked for'}")
        return
    rows = [
        (e["name"], e["state"], e["reason"], ",".join(e.get("namespaces") or ()), *([e["message"]] if wide else []))
        for e in entries
    ]
    output.table(("NAME", "STATE", "REASON", "IN", *_message(wide=wide)), rows, indent=2)
    if wide:
        rules = [(e["name"], _words(rule)) for e in entries for rule in e.get("rules") or ()]
        if rules:
            output.say()
            output.table(("NAME", "ALLOWS"), rules, indent=2)


def _message(*, wide: bool) -> tuple[str, ...]:
    """The column of messages: what is wrong stands above with its message already."""
    return ("MESSAGE",) if wide else ()


def _words(rule: Mapping[str, Any]) -> str:
    groups = ", ".join(group or "the core group" for group in rule["apiGroups"])
    names = f" named {', '.join(rule['resourceNames'])}" if rule.get("resourceNames") else ""
    return f"{', '.join(rule['verbs'])} {', '.join(rule['resources'])} ({groups}){names}"


def _handbook(spec: Mapping[str, Any], status: Mapping[str, Any]) -> None:
    heading("Handbook")
    book, force = spec.get("handbook") or {}, status.get("handbook") or {}
    source = (book.get("instructions") or {}).get("configMapKeyRef")
    if source:
        said = f"from ConfigMap {source['name']}, key {source['key']}"
    else:
        said = "in the spec" if book.get("instructions") else "those of the role, if any"
    inside = f"ConfigMap {force['configMap']} ({force['digest']})" if force else "none yet"
    output.say(f"  In force:      {plain(inside)}")
    output.say(f"  Instructions:  {plain(said)}")
    counts = (
        f"{len(book.get('rules') or ())} decision rules, {len(book.get('knowledgeSources') or ())} knowledge sources, "
        f"{len(book.get('prohibited') or ())} prohibitions, and those of the role"
    )
    output.say(f"  Own content:   {counts}")


def _work(agent: Object) -> None:
    heading("Workload")
    metadata, spec, status = agent["metadata"], agent["spec"], agent.get("status") or {}
    target = (spec.get("workload") or {}).get("targetRef")
    what = f"adopted {target['kind']} {target['name']}" if target else _deployments(agent)
    if container := (spec.get("workload") or {}).get("container"):
        what += f", container {container['name']}"
    pods = (
        f"{status['readyReplicas']} of {status['replicas']} ready" if status.get("replicas") is not None else "none yet"
    )
    account = status.get("serviceAccount")
    output.say(f"  Runs as:       {plain(what)}")
    output.say(f"  Pods:          {pods}")
    output.say(f"  Selector:      {plain(status.get('selector')) or 'none yet'}")
    identity = meta.username(metadata["namespace"], metadata["name"]) if account else "none yet"
    output.say(f"  Identity:      {plain(identity)}")
    by = ["spec.suspended"] if spec.get("suspended") else []
    by += [f"AgentPolicy {name}" for name in (status.get("training") or {}).get("suspendedBy") or ()]
    if by:
        output.say(f"  Suspended:     yes, by {plain(', '.join(by))}")


def _training(status: Mapping[str, Any]) -> None:
    """Only where something is planned, or a policy is about the agent."""
    found = status.get("training")
    if not found:
        return
    heading("Training")
    age, wait = found.get("maxAge") or {}, found.get("waitsFor") or {}
    whose = ", ".join(age.get("policies") or ("spec.retraining",))
    until = f", until {wait['until']}" if wait.get("until") else ""
    lines = {
        "Due": found.get("due"),
        "Triggered by": "; ".join(f"{t['trigger']}: {t['message']}" for t in found.get("triggeredBy") or ()),
        "At most": f"{age['value']} old, says {whose}" if age else None,
        "Waits for": f"{wait['reason']}{until}: {wait['message']}" if wait else None,
        "Policies": ", ".join(found.get("policies") or ()),
    }
    for key, value in lines.items():
        if value:
            output.say(f"  {key + ':':15}{plain(value)}")


def _reviews(status: Mapping[str, Any]) -> None:
    """Reviews and bias audits, where there are any: how the last run ended, and when the next one begins."""
    every = status.get("reviews") or ()
    if not every:
        return
    heading("Reviews")
    rows = []
    for each in every:
        last, finding = each.get("last") or {}, each.get("finding") or {}
        ended = f"{last['phase']}, revision {last['revision']}" if last else "none yet"
        upcoming = f"runs: {each['active']}" if each.get("active") else each.get("nextScheduleTime", "")
        found = "" if not finding else "released" if finding.get("releasedBy") else "holds other revisions"
        rows.append((each["name"], each["purpose"], ended, last.get("completionTime", ""), upcoming, found))
    output.table(("NAME", "PURPOSE", "LAST", "AT", "NEXT", "FINDING"), rows, indent=2)


def _deployments(agent: Object) -> str:
    """Each revision has one of its own."""
    now = Standing.of(agent)
    names = [f"{agent['metadata']['name']}-{number}" for number in (now.serves, now.takes_over) if number]
    return f"Deployment{'s' * (len(names) > 1)} {' and '.join(names)}, from the template" if names else "nothing yet"


def _connections(spec: Mapping[str, Any]) -> None:
    rows = []
    for connection in spec.get("connections") or ():
        egress = connection.get("egress") or {}
        to = f"{egress['cidr']} port {egress['port']}/{egress.get('protocol', 'TCP')}" if egress else ""
        rows.append(
            (connection["name"], to, (connection.get("secretRef") or {}).get("name"), connection.get("audience"))
        )
    if rows:
        heading("Connections")
        output.table(("NAME", "TO", "SECRET", "TOKEN FOR"), rows, indent=2)


def _inventory(status: Mapping[str, Any], *, wide: bool) -> None:
    heading("Inventory")
    every = status.get("inventory") or ()
    shown = every if wide else every[:_SHOWN]
    if not shown:
        output.say("  nothing exists yet")
        return
    output.table(("KIND", "NAMESPACE", "NAME"), [(e["kind"], e["namespace"], e["name"]) for e in shown], indent=2)
    if len(shown) < len(every):
        output.say(f"  and {len(every) - len(shown)} more (-o wide shows all)")


def _conditions(status: Mapping[str, Any], *, wide: bool) -> None:
    heading("Conditions")
    rows = [
        (c["type"], c["status"], c["reason"], view.age(c.get("lastTransitionTime")), *([c["message"]] if wide else []))
        for c in status.get("conditions") or ()
    ]
    output.table(("TYPE", "STATUS", "REASON", "SINCE", *_message(wide=wide)), rows, indent=2)
