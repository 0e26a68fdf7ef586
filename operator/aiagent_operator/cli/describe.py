"""`describe`: one agent as a person wants to know it, with what is wrong and whose turn it is first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aiagent_operator.api import meta
from aiagent_operator.api.agentstatus import PermissionState
from aiagent_operator.api.conditions import TRANSIENT, Reason, Type
from aiagent_operator.api.owners import Responsibility
from aiagent_operator.api.succession import Acceptance
from aiagent_operator.cli import authorizer, evaluations, options, output, steps, view
from aiagent_operator.cli.authorizer import Question
from aiagent_operator.cli.errors import CliError, ExitCode
from aiagent_operator.cli.kube import Cluster, Object, read_agent
from aiagent_operator.cli.output import Format, plain
from aiagent_operator.cli.revisions import Standing
from aiagent_operator.cli.rights import Right, Step
from aiagent_operator.cli.sections import details, heading
from aiagent_operator.core import succession

Said = Mapping[str, Any]
_WAITS = {reason.value for reason in TRANSIENT | steps.WAITED_FOR}


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that keeps the agent from being ready: what it is about, why, and in which words."""

    subject: str
    reason: str
    message: str

    @property
    def waits(self) -> bool:
        """Whether the operator goes on by itself once time passes or something comes into being."""
        return self.reason in _WAITS


def describe(
    name: options.AgentName,
    namespace: options.Namespace = None,
    form: options.Output = Format.TABLE,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> None:
    """Show one agent: why it is not ready, what it waits for, who can do what next; then all that is known of it."""
    if form is Format.NAME:
        raise CliError("-o name has no meaning for describe: use table, wide, json or yaml", ExitCode.USAGE)
    cluster = Cluster.connect(kubeconfig, context)
    agent = read_agent(cluster, namespace or cluster.namespace, name)
    troubles = list(_troubles(agent))
    todo = _todo(agent, troubles)
    mine = _mine(cluster, agent, todo)
    measured = evaluations.of(cluster, agent)
    if form.structured:
        output.dump(_report(agent, troubles, todo, mine) | {"evaluations": evaluations.report(measured)}, form)
        return
    _head(agent)
    _print_troubles("Why not ready", [trouble for trouble in troubles if not trouble.waits])
    _print_troubles("What it waits for", [trouble for trouble in troubles if trouble.waits])
    _print_warnings(agent)
    _print_todo(agent, todo, mine)
    evaluations.section(measured)
    details(agent, wide=form is Format.WIDE)


def _head(agent: Object) -> None:
    metadata, spec, status = agent["metadata"], agent["spec"], agent.get("status") or {}
    ready = view.condition(agent, Type.READY)
    fields = {
        "Agent": f"{metadata['namespace']}/{metadata['name']}",
        "Purpose": spec.get("purpose"),
        "Accountable": _accountable(spec) or status.get("accountable"),
        "Role": _role(spec, status),
        "Ready": f"{ready.get('status', 'Unknown')} ({ready.get('reason', 'not seen by the operator yet')})",
        "Phase": f"{status.get('phase') or 'none yet'}, age {view.age(metadata.get('creationTimestamp'))}",
        "Revision": _revision(agent),
        "Granted": f"{status['granted']} permissions" if status.get("granted") else "nothing yet",
    }
    for key, value in (fields | kin(spec, status)).items():
        output.say(f"{key + ':':14}{plain(value)}")
    if view.stale(agent):
        seen = "what follows is about the one before" if status.get("observedGeneration") else "nothing is decided yet"
        output.say(f"The operator has not acted on the present spec yet: {seen}.")


def kin(spec: Said, status: Said) -> dict[str, str]:
    """Whom it comes after, and who comes after it, as far as they are named."""
    before, after = succession.named(spec)
    taken, handed = status.get("succession") or {}, (status.get("offboarding") or {}).get("handover") or {}
    found = {}
    if before or taken:
        known = taken.get("predecessor") or {}
        same = known.get("name") == before or not before
        found["Predecessor"] = (
            f"{known.get('name')}, archived as {taken.get('archive')} ({taken.get('digest')}){_accepted(spec, status)}"
            if known and same
            else f"{before}, which has not handed over"
        )
    if after or handed:
        known = handed.get("successor") or {}
        found["Successor"] = f"{known['name']} ({handed.get('digest')})" if known else f"{after}, has not taken over"
    return found


def _accepted(spec: Said, status: Said) -> str:
    """By which order what it took over was accepted, or that this is still to be."""
    if order := (status.get("succession") or {}).get("acceptance"):
        return f", accepted by AgentAction {order.get('name')} for revision {order.get('revision')}"
    required = (spec.get("succession") or {}).get("acceptance") == Acceptance.REQUIRED
    return ", not accepted yet" if required and not status.get("hiredAs") else ""


def _role(spec: Said, status: Said) -> str:
    """The role, and where the agent is not hired for it what it is hired as."""
    name, hired = (spec.get("roleRef") or {}).get("name") or "", status.get("hiredAs") or ""
    if hired == name:
        return name
    return f"{name}, not hired yet{f'; hired as {hired}' if hired else ''}"


def _revision(agent: Object) -> str:
    now = Standing.of(agent)
    held = ", though the spec asks for it" if now.held_back or now.rejected else ""
    return f"{now}{held}" if str(now) else "none yet"


def _accountable(spec: Said) -> str:
    for owner in spec.get("owners") or ():
        if owner.get("responsibility") == Responsibility.ACCOUNTABLE.value:
            backup = f", stands in: {owner['backup']['name']}" if owner.get("backup") else ""
            return f"{owner['subject']['name']} ({owner.get('function')}{backup})"
    return ""


def _troubles(agent: Object) -> Iterator[Trouble]:
    """What keeps the agent from being ready, each thing once and at its source."""
    if _is_ready(agent):
        return
    ready = view.condition(agent, Type.READY)
    role = view.condition(agent, Type.ROLE_ACCEPTED)
    work, revision = view.condition(agent, Type.WORKLOAD_READY), view.condition(agent, Type.REVISION_ACCEPTED)
    found = [_trouble("role", role)] if role.get("status") == "False" else []
    if not found:
        # Without a role nothing is granted and nothing runs, which says nothing more.
        found += [
            Trouble(f'permission "{entry["name"]}"', entry.get("reason", ""), entry.get("message", ""))
            for entry in (agent.get("status") or {}).get("permissions") or ()
            if entry.get("state") != PermissionState.GRANTED.value
        ]
        found += [_trouble("workload", work)] if work.get("status") == "False" else []
        found += [_trouble("revision", revision)] if revision.get("status", "True") != "True" else []
    if ready.get("reason") not in {trouble.reason for trouble in found}:
        yield _trouble("agent", ready)
    yield from found


def _is_ready(agent: Object) -> bool:
    return view.condition(agent, Type.READY).get("status") == "True"


def _trouble(subject: str, condition: Said) -> Trouble:
    return Trouble(subject, condition.get("reason", ""), condition.get("message", ""))


def _print_troubles(title: str, troubles: list[Trouble]) -> None:
    if troubles:
        heading(title)
        for trouble in troubles:
            output.say(f"  {plain(trouble.subject)} ({plain(trouble.reason)}): {plain(trouble.message)}")


def _print_warnings(agent: Object) -> None:
    exposed = view.condition(agent, Type.IDENTITY_EXPOSED)
    role = view.condition(agent, Type.ROLE_ACCEPTED)
    training = view.condition(agent, Type.TRAINING_CURRENT)
    # Where it keeps the agent from being ready, it stands above.
    revision = view.condition(agent, Type.REVISION_ACCEPTED) if _is_ready(agent) else {}
    warnings = [each for each in (exposed, revision) if each]
    warnings += [
        each for each in (training, view.condition(agent, Type.REVIEWS_PASSED)) if each.get("status") == "False"
    ]
    if failed := view.condition(agent, Type.HANDOVER_FAILED):
        warnings.append(failed)
    if drift := view.condition(agent, Type.DRIFT_DETECTED):
        warnings.append(drift)
    if role.get("reason") == Reason.ROLE_DEPRECATED.value:
        warnings.append(role)
    if warnings:
        heading("Warnings")
        for warning in warnings:
            output.say(
                f"  {plain(warning.get('type'))} ({plain(warning.get('reason'))}): {plain(warning.get('message'))}"
            )


def _todo(agent: Object, troubles: list[Trouble]) -> dict[Step, list[str]]:
    """The steps for all that is wrong, each once, with what it is for."""
    causes = [(trouble.subject, trouble.reason) for trouble in troubles]
    about = (
        ("identity", Type.IDENTITY_EXPOSED),
        ("role", Type.ROLE_ACCEPTED),
        ("training", Type.TRAINING_CURRENT),
        ("revision", Type.REVISION_ACCEPTED),
        ("drift", Type.DRIFT_DETECTED),
        ("reviews", Type.REVIEWS_PASSED),
        ("succession", Type.HANDOVER_FAILED),
    )
    for subject, kind in about:
        causes.append((subject, view.condition(agent, kind).get("reason", "")))
    todo: dict[Step, list[str]] = {}
    for subject, reason in dict.fromkeys(causes):
        for step in steps.of(reason):
            todo.setdefault(step, []).append(subject)
    if held := Standing.of(agent).held_back:
        for step in steps.HELD_BACK:
            todo.setdefault(step, []).append(f"revision {held}")
    return todo


def _mine(cluster: Cluster, agent: Object, todo: Mapping[Step, Any]) -> dict[Question, bool | None]:
    """What the one who asks may do: the steps' rights, and to edit and delete the agent."""
    ask = _asker(agent)
    rights = {ask(step.right) for step in todo} | {ask(Right.EDIT_AGENT), _delete(agent)}
    return {question: authorizer.of_myself(cluster, question) for question in sorted(rights, key=str)}


def _asker(agent: Object) -> Callable[[Right], Question]:
    metadata = agent["metadata"]
    role = (agent["spec"].get("roleRef") or {}).get("name", "")
    return lambda right: right.question(metadata["namespace"], metadata["name"], role)


def _delete(agent: Object) -> Question:
    return Question("delete", "aiagents", meta.GROUP, agent["metadata"]["namespace"], agent["metadata"]["name"])


_WORDS = {True: "you", False: "not you", None: "unknown"}


def _print_todo(agent: Object, todo: Mapping[Step, list[str]], mine: Mapping[Question, bool | None]) -> None:
    ask = _asker(agent)
    heading("Who can do what next")
    rows = [
        (_WORDS[mine[ask(step.right)]], step.text, ", ".join(subjects), ask(step.right))
        for step, subjects in todo.items()
    ]
    if rows:
        output.table(("WHO", "WHAT", "FOR", "NEEDS"), rows, indent=2)
    edit, delete = (_WORDS[mine[q]] for q in (ask(Right.EDIT_AGENT), _delete(agent)))
    output.say(f"  May edit the agent: {edit}. May delete it, which ends its employment: {delete}.")


def _report(
    agent: Object, troubles: list[Trouble], todo: Mapping[Step, list[str]], mine: Mapping[Question, bool | None]
) -> Object:
    """The same for programs, with the object itself."""
    ask = _asker(agent)

    def said(trouble: Trouble) -> Object:
        return {"subject": trouble.subject, "reason": trouble.reason, "message": trouble.message}

    return {
        "agent": output.without_managed_fields(agent),
        "notReady": [said(trouble) for trouble in troubles if not trouble.waits],
        "waitsFor": [said(trouble) for trouble in troubles if trouble.waits],
        "next": [
            {
                "step": step.text,
                "for": subjects,
                "needs": ask(step.right).attributes(),
                "youMay": mine[ask(step.right)],
            }
            for step, subjects in todo.items()
        ],
        "youMay": {"edit": mine[ask(Right.EDIT_AGENT)], "delete": mine[_delete(agent)]},
    }
