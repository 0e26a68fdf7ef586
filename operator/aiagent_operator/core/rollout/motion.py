"""Which pods and traffic a weight means by each strategy, and the next move towards it.

Whoever is to get more has its pods ready first. Whoever gets less loses traffic first, and pods when that is seen to
have happened.
"""

from __future__ import annotations

from datetime import timedelta

from aiagent_operator.api.rollout import SCALE_DOWN_DELAY, RolloutSpec, Strategy
from aiagent_operator.core.rollout import beside, beside_routed, clock, partition, traffic
from aiagent_operator.core.rollout.decision import RolloutStatus, Traffic
from aiagent_operator.core.rollout.facts import Facts
from aiagent_operator.core.rollout.move import Motion
from aiagent_operator.core.rollout.replicas import missing, part, split, towards


def forward(f: Facts, status: RolloutStatus, weight: int) -> Motion:
    """Towards a weight of the candidate, in percent."""
    if f.stable is None:
        return _alone(f)
    if f.landed is not None and f.spec.traffic_routing is not None:
        return beside_routed.forward(f, f.stable, status, weight)
    if f.landed is not None:
        return partition.forward(f, f.stable, weight) if f.within else beside.forward(f, f.stable, weight)
    if f.spec.strategy is Strategy.BLUE_GREEN:
        return _switched(f, status, weight)
    if f.spec.strategy is Strategy.RECREATE:
        return _recreated(f)
    if f.spec.traffic_routing is not None:
        return _routed(f, status, weight)
    return _by_pods(f, weight)


def back(f: Facts, status: RolloutStatus) -> Motion:
    """Everything to the stable revision, then the candidate's pods away."""
    if f.stable is None:
        return Motion(0, f.candidate.wanted, Traffic())
    if f.landed is not None and f.spec.traffic_routing is not None:
        return beside_routed.back(f, f.stable, status)
    if f.landed is not None:
        return partition.back(f, f.stable) if f.within else beside.back(f, f.stable)
    if f.spec.strategy is Strategy.RECREATE:
        return _recreated_back(f)
    if not routed(f.spec):
        return _by_pods(f, 0)
    wanted = _traffic(f, 0)
    moved = f.traffic == wanted
    delay = timedelta()
    if status.aborted_at is not None and f.candidate.present:
        seconds = f.spec.abort_scale_down_delay_seconds
        seconds = SCALE_DOWN_DELAY if seconds is None else seconds
        delay = max(delay, clock.left(status.aborted_at, timedelta(seconds=seconds), f.now))
    kept = f.candidate.wanted if not moved or delay else 0
    lacking = abs(f.stable.wanted - f.replicas) + (f.candidate.present if moved and not delay else 0)
    return Motion(f.replicas, kept, wanted, lacking, moved, delay)


def hold(f: Facts, status: RolloutStatus) -> Motion:
    """As it is, whatever was under way; only the stable revision makes up for what is wanted and does not serve."""
    if f.stable is None:
        return _alone(f)
    if f.landed is not None and f.spec.traffic_routing is not None:
        return beside_routed.hold(f, f.stable, status)
    if f.landed is not None:
        return partition.hold(f) if f.within else beside.hold(f)
    candidate = min(f.candidate.wanted, f.replicas)
    if routed(f.spec):
        wanted = _traffic(f, status.weight)
        return Motion(f.replicas, candidate, wanted, moved=f.traffic == wanted)
    needed = f.replicas - min(f.candidate.serving, candidate)
    return Motion(max(needed, min(f.stable.wanted, f.replicas)), candidate, Traffic())


def stopped(f: Facts) -> Motion:
    """No pods at all, as of a suspended agent."""
    # A target that has the candidate's work would come back to where nothing else answers.
    to = _traffic(f, 100 if f.landed else 0) if f.stable is not None else traffic.steady(f.spec, f.candidate.revision)
    return Motion(0, 0, to, lands=bool(f.landed))


def routed(spec: RolloutSpec) -> bool:
    """Whether the named Services decide who gets requests."""
    return spec.blue_green is not None or spec.traffic_routing is not None


def _traffic(f: Facts, weight: int) -> Traffic:
    stable = f.candidate.revision if f.stable is None else f.stable.revision
    if f.spec.blue_green is None:
        return traffic.weighted(f.spec, stable, f.candidate.revision, weight)
    return traffic.blue_green(f.spec, f.candidate.revision if weight == 100 else stable, f.candidate.revision)


def _alone(f: Facts) -> Motion:
    """The first revision of all: nothing has to be kept serving."""
    wanted = traffic.steady(f.spec, f.candidate.revision)
    target, candidate = f.replicas, f.candidate
    lacking = abs(candidate.wanted - target) + max(0, target - candidate.serving) + candidate.unsettled
    return Motion(0, target, wanted, lacking + (not candidate.observed), not wanted.selectors or f.traffic == wanted)


def _by_pods(f: Facts, weight: int) -> Motion:
    assert f.stable is not None  # noqa: S101 - callers ask for it only beside a stable revision
    target = split(f.replicas, weight)
    following = towards(target, f.replicas, f.stable, f.candidate)
    return Motion(following.stable, following.candidate, Traffic(), missing(target, f.stable, f.candidate))


def _routed(f: Facts, status: RolloutStatus, weight: int) -> Motion:
    """The stable revision keeps all its pods until the end: it can take everything back at once."""
    target = part(f.replicas, weight)
    lacking = _lacking(f, target)
    wanted = _traffic(f, weight if f.candidate.serving >= target else min(status.weight, weight))
    moved = wanted == f.traffic == _traffic(f, weight)
    keep = f.candidate.wanted if f.candidate.wanted > target and not moved else target
    return Motion(f.replicas, keep, wanted, lacking, moved)


def _switched(f: Facts, status: RolloutStatus, weight: int) -> Motion:
    """All pods of both; the active Service selects the candidate when every one of its pods is ready."""
    ready = f.candidate.serving >= f.replicas
    wanted = _traffic(f, 100 if weight == 100 and (ready or status.weight == 100) else 0)
    moved = wanted == f.traffic == _traffic(f, weight)
    return Motion(f.replicas, f.replicas, wanted, _lacking(f, f.replicas), moved)


def _lacking(f: Facts, target: int) -> int:
    candidate = f.candidate
    return max(0, target - candidate.serving) + candidate.unsettled + (not candidate.observed)


def _recreated(f: Facts) -> Motion:
    """A candidate's pod starts when no pod of the stable revision is left."""
    assert f.stable is not None  # noqa: S101 - callers ask for it only beside a stable revision
    candidate = f.replicas if f.stable.gone else min(f.candidate.wanted, f.replicas)
    lacking = f.stable.present + f.stable.terminating + abs(f.candidate.wanted - f.replicas)
    return Motion(0, candidate, Traffic(), lacking + _lacking(f, f.replicas))


def _recreated_back(f: Facts) -> Motion:
    assert f.stable is not None  # noqa: S101 - callers ask for it only beside a stable revision
    stable = f.replicas if f.candidate.gone else min(f.stable.wanted, f.replicas)
    lacking = f.candidate.present + f.candidate.terminating + abs(f.stable.wanted - f.replicas)
    return Motion(stable, 0, Traffic(), lacking)
