"""The work of an agent that adopts a target, where the spec says how a revision takes over: spec.retraining.rollout.

core/rollout decides, as it does for work of a template; here the stable revision's pods are the target's. A candidate's
pods come as a Deployment beside it, made from the target's own pod template, and the target gets the candidate's work
when all steps are done; in a StatefulSet they are its own last ones, by its partition. What a decision has to remember
stands in the agent's status before anything of it is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from aiagent_operator.api import meta
from aiagent_operator.api.conditions import Reason, Verdict
from aiagent_operator.api.rollout import RolloutSpec, Strategy
from aiagent_operator.api.workload import TargetRef
from aiagent_operator.core import injection as injections
from aiagent_operator.core.children import deployment, observe
from aiagent_operator.core.evaluation import analysing
from aiagent_operator.core.objects import Child, ChildKind, Manifest, ObjectKey, RevisionFacts, TrafficKind
from aiagent_operator.core.plan import Observed
from aiagent_operator.core.rollout import partition as partitions
from aiagent_operator.core.rollout import standing
from aiagent_operator.core.rollout.decision import Decision, Transition
from aiagent_operator.core.rollout.facts import Facts
from aiagent_operator.core.rollout.standing import Standing
from aiagent_operator.core.rollout.stored import StoredRolloutError
from aiagent_operator.core.targets import partition, release, target_image
from aiagent_operator.core.targets.seen import template_of
from aiagent_operator.core.targets.target_image import Image
from aiagent_operator.core.versions import revisions
from aiagent_operator.core.versions.revisions import Choice, facts, image_of
from aiagent_operator.core.workload import landing_routed, measured, stepwise, telling, template, uncounted
from aiagent_operator.core.workload import target as targets
from aiagent_operator.core.workload import traffic as requests
from aiagent_operator.core.workload.landing_routed import Routed
from aiagent_operator.core.workload.result import WorkloadPlan, not_ready

# Seconds between two looks at autoscalers while pods are beside a target.
_LOOK = 60.0
_ON_ITS_WAY = (Reason.PROGRESSING, Reason.PODS_FAILING, Reason.AVAILABLE)


@dataclass(frozen=True, slots=True)
class _Case:
    """One revision takes over from another in a target. `live` and `child` are the target, `image` the candidate's.

    `within`: the candidate's pods are among the target's. `hindered`: what to say of what came after the candidate.
    `routed` is None where all pods answer alike.
    """

    target: TargetRef
    child: Child
    live: Manifest
    stable: Child
    candidate: Child
    image: Image
    spec: RolloutSpec
    within: bool
    down: bool
    hindered: str = ""
    routed: Routed | None = None


def canary_key(o: Observed, target: TargetRef) -> ObjectKey:
    """Where the Deployment with a candidate's pods is."""
    return ObjectKey(ChildKind.DEPLOYMENT, o.identity.namespace, meta.canary_name(target.name))


def plan(
    o: Observed, choice: Choice, record: Child, target: TargetRef, spec: RolloutSpec, *, down: bool
) -> WorkloadPlan:
    """Writes for the target, and the Deployment beside it. `record` is what is to serve; `down` asks for no pods."""
    try:
        kept = standing.read(o.agent.status)
    except StoredRolloutError as error:
        return WorkloadPlan(verdict=not_ready(Reason.ROLLOUT_STOPPED, f"status.rollout: {error}"))
    key, released = targets.key_of(o, target), requests.release(o, requests.named(spec))
    pair = _pair(o, choice)
    # Who goes back by an order needs no pods beside the target; and of those that only named Services select, no
    # autoscaler knows.
    stepped = pair is not None and spec.strategy is Strategy.CANARY
    within = stepped and key.kind is ChildKind.STATEFUL_SET
    aside = stepped and not within and choice.order is None and spec.traffic_routing is None
    needed = {*released.needs, *((key,) if pair else ()), *((_autoscalers(o),) if aside else ())}
    needed |= landing_routed.keys(o, spec, key, canary_key(o, target))
    if unread := needed - o.live.keys():
        return WorkloadPlan(needs=frozenset(unread))
    routed = landing_routed.look(o, spec, kept, key, canary_key(o, target), down=down)
    child, live = o.children.get(key), o.live.get(key)
    hindrance = _counted_by(o, target) if aside else None
    if within and live is not None and choice.order is None:
        hindrance = _undivided(live)
    if routed and live and pair and (text := uncounted.hindrance(o.identity, live)):
        hindrance = not_ready(Reason.NO_CANARY, text)
    if pair is None and routed and (first := landing_routed.unturned(o, routed, facts(record).number)):
        return first
    if pair is None:
        found = _alone(o, choice, kept, targets.of_revision(o, target, facts(record), down=down), routed, record)
    elif (
        (hindrance and (routed or kept.revision != facts(pair[1]).number))
        or live is None
        or child is None
        or child.claimed_by != o.identity.uid
    ):
        found = _stays(o, choice, kept, targets.of_revision(o, target, facts(pair[0]), down=down), hindrance)
    else:
        hindered = hindrance.message if hindrance and not within else ""
        found = _rolling(o, choice, _Case(target, child, live, *pair, spec, within, down, hindered, routed), kept)
        # Nobody tells of an autoscaler that comes or goes, nor of a Service that changes.
        look = landing_routed.look_again(routed) if routed else _LOOK if aside else None
        times = [each for each in (found.requeue_after, look) if each is not None]
        found = replace(found, requeue_after=min(times, default=None))
    return replace(
        found,
        writes=(*found.writes, *released.writes),
        status={**found.status, "services": list(released.services) or None},
    )


def _alone(  # noqa: PLR0917 - what is known of it, each thing of its own type
    o: Observed,
    choice: Choice,
    kept: Standing,
    what: WorkloadPlan,
    routed: Routed | None = None,
    record: Child | None = None,
) -> WorkloadPlan:
    """One revision, which the target's own rolling update brings in: the one that serves, or the first of all."""
    moved = None
    if routed and record:
        what, moved = landing_routed.alone(o, routed, what, record)
    status = {"rollout": stepwise.over(o, choice, kept, stepwise.NO_ROLLOUT, moved)}
    return replace(what, status=status, step=analysing.leave(o, stepwise.OVER))


def _stays(o: Observed, choice: Choice, kept: Standing, what: WorkloadPlan, hindrance: Verdict | None) -> WorkloadPlan:
    """What serves, while the one that is to take over from it cannot begin: the target is to be adopted first, or
    something is in the way."""
    alone = _alone(o, choice, kept, what)
    if hindrance:
        alone = replace(alone, status={"rollout": stepwise.over(o, choice, kept, hindrance.message)})
    if hindrance and what.verdict and what.verdict.reason in _ON_ITS_WAY and not o.suspended:
        alone = replace(alone, verdict=hindrance)
    return replace(alone, complete=False, settled=False)


def _autoscalers(o: Observed) -> ObjectKey:
    return ObjectKey(TrafficKind.AUTOSCALER, o.identity.namespace, "")


def _undivided(live: Manifest) -> Verdict | None:
    """What to say where no part of a StatefulSet's pods can be the candidate's."""
    text = partition.unfit(live)
    return not_ready(Reason.NO_CANARY, text) if text else None


def _counted_by(o: Observed, target: TargetRef) -> Verdict | None:
    """What to say where an autoscaler of the target would take the pods beside it for the target's own."""
    for each in (o.live[_autoscalers(o)] or {}).get("items") or ():
        ref = each["spec"]["scaleTargetRef"]
        if (ref.get("kind"), ref.get("name")) == (target.kind.value, target.name):
            return not_ready(
                Reason.AUTOSCALED,
                f"HorizontalPodAutoscaler {each['metadata']['name']} scales {target.kind.value} {target.name}, and "
                "would count a candidate's pods beside it as its own: name trafficRouting, use strategy Recreate, "
                "leave spec.retraining.rollout out, or take the autoscaler away; what serves goes on serving",
            )
    return None


def _pair(o: Observed, choice: Choice) -> tuple[Child, Child, Image] | None:
    """The stable revision, the candidate and its image; None where none takes over from another in a target."""
    stable, candidate = choice.stable, choice.target
    if stable is None or candidate is None or not choice.rolling:
        return None
    before, image = _image(o, facts(stable)), _image(o, facts(candidate))
    if before is None or image is None or before[0] != image[0]:
        return None
    return stable, candidate, image


def _image(o: Observed, its: RevisionFacts) -> Image | None:
    container = o.agent.spec.workload.container
    return image_of(its, container.name if container else "") if its.adopted else None


def _rolling(o: Observed, choice: Choice, case: _Case, kept: Standing) -> WorkloadPlan:
    order = choice.order.uid if choice.order else ""
    since = standing.began(kept, facts(case.candidate).number, order, o.moment)
    f = _facts(o, choice, case, kept, order)
    f, decision, step = measured.decided(o, f, case.candidate, case.stable, since)
    routed = case.routed
    to = decision.traffic
    if routed and case.spec.traffic_routing and not case.down:
        to = landing_routed.learned(routed, to, case.spec.traffic_routing.canary_service, o.moment)
    moved = routed.moved(to, o.moment) if routed else None
    status: dict[str, Any] = {"rollout": standing.under_way(f, order, since, decision, moved)}
    unfit = routed.seen.verdict if routed else None
    verdict = telling.rolling(o, f, decision, unfit, invalid=bool(step.trouble))
    if decision.transition is Transition.PROMOTE:
        return WorkloadPlan(verdict=verdict, complete=True, status=status)
    if decision.transition is Transition.ROLL_BACK:
        return WorkloadPlan(verdict=verdict, rejected=decision.status.reason or "Aborted", status=status)
    its = facts(case.candidate if decision.lands else case.stable)
    empty = case.down or (decision.stable == 0 and f.replicas > 0)
    # The last pods of so many are the candidate's.
    staged = f.replicas - decision.candidate if case.within and decision.lands else 0
    what = targets.of_revision(o, case.target, its, staged or None, down=empty)
    if what.verdict and (case.down or what.verdict.reason not in _ON_ITS_WAY):
        # A claim, a conflict, or a container that is gone: nothing goes on before it is settled.
        verdict = what.verdict
    aside = None if case.within else _aside(o, case, decision)
    write = aside.write(o) if aside and (decision.candidate or aside.live) else None
    turn = requests.writes(o, routed.seen, to) if routed and routed.seen.traffic else []
    if routed and f.former:
        write, said = landing_routed.former(o, routed, to)
        verdict = said or verdict
    return WorkloadPlan(
        (*what.writes, *((write,) if write else ()), *turn),
        needs=what.needs,
        verdict=verdict,
        rollout=template.together(child for child in (case.child, aside.live if aside else None) if child),
        status=status,
        requeue_after=decision.requeue_after,
        step=step,
    )


def _aside(o: Observed, case: _Case, decision: Decision) -> template.Run:
    """The Deployment with the candidate's pods, as it is and as it should be."""
    its = facts(case.candidate)
    given = injections.build(o.identity, its.handbook, o.agent.spec.connections)
    own = uncounted.template_beside(case.live) if case.routed else template_of(case.live)
    pods = target_image.with_image(own, case.image)
    desired = deployment.canary(o.identity, its.number, case.target.name, pods, decision.candidate, given)
    return template.Run(case.candidate, o.children.get(desired.key), desired, decision.candidate)


def _facts(o: Observed, choice: Choice, case: _Case, kept: Standing, order: str) -> Facts:
    number, name = facts(case.candidate).number, case.candidate.key.name
    landed = _work_of(case.live, case.image[0]) == (case.image[1], facts(case.candidate).handbook)
    child = observe(ChildKind.STATEFUL_SET, case.live) if case.within else case.child
    stable = template.counted(child, facts(case.stable).number, case.target.name)
    if case.within:
        pods = partitions.candidate(stable, partition.current(case.live), number, name, landed=landed)
    else:
        aside = o.children.get(canary_key(o, case.target))
        pods = template.counted(aside, number, meta.canary_name(case.target.name))
    if case.spec.strategy is Strategy.RECREATE:
        pods = replace(pods, kind="AgentRevision", name=name)
    begun = standing.begun(kept, number, order)
    f = Facts(
        case.spec,
        stable.wanted or release.prior_replicas(case.live) or 0,
        replace(stable, kind=case.target.kind.value),
        pods,
        standing.acknowledged(begun, o.steering, revisions.ordered(choice, o.of(ChildKind.AGENT_REVISION))),
        o.moment,
        orders=o.steering,
        suspended=case.down,
        held="" if order else o.held or case.hindered,
        landed=landed,
        within=case.within,
        contested=case.within and partition.contested(case.live),
    )
    return landing_routed.told(case.routed, f, o.moment) if case.routed else f


def _work_of(live: Mapping[str, Any], container: str) -> tuple[str | None, str]:
    """The image of the container, and the handbook that is mounted: what tells revisions apart in a target."""
    volumes = live["spec"]["template"]["spec"].get("volumes") or ()
    book: Manifest = next((each for each in volumes if each["name"] == injections.HANDBOOK_VOLUME), {})
    return target_image.current(live, container), (book.get("configMap") or {}).get("name", "")
