"""Arithmetic of pods: what a weight means in pods, and the next move towards it that loses no capacity.

The shares are those of Argo Rollouts without traffic routing (its documentation, "Canary: Overview"): of the agent's
number of pods, or one more, the split that comes nearest to the weight, with at least one pod of each revision while
the weight is neither 0 nor 100. What requests the candidate gets is what the pods give, not what the weight says.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from aiagent_operator.core.rollout.facts import Pods


@dataclass(frozen=True, slots=True)
class Counts:
    """Pods of the two revisions."""

    stable: int
    candidate: int


def surge(replicas: int) -> int:
    """How many pods more than wanted may be there meanwhile: a quarter, rounded up, as a Deployment's default."""
    return -(-replicas // 4)


def part(replicas: int, weight: int) -> int:
    """The candidate's pods beside a stable revision that keeps all of its own: the share, rounded up."""
    return -(-replicas * weight // 100)


def split(replicas: int, weight: int) -> Counts:
    """Pods of each revision whose numbers make the weight. Of equally near ones, fewest pods, then most candidates."""
    if replicas == 0:
        return Counts(0, 0)
    if weight in {0, 100}:
        candidate = replicas * weight // 100
        return Counts(replicas - candidate, candidate)
    up, down = part(replicas, weight), replicas * weight // 100
    options = [
        Counts(total - candidate, candidate)
        for total in (replicas, replicas + 1)
        for candidate in (up, down)
        if 0 < candidate < total
    ]
    return min(options, key=lambda counts: abs(share(counts) - weight))


def share(counts: Counts) -> Fraction:
    """The candidate's share of the pods, in percent."""
    return Fraction(counts.candidate * 100, max(1, counts.stable + counts.candidate))


def towards(target: Counts, replicas: int, stable: Pods, candidate: Pods) -> Counts:
    """The next numbers to ask for.

    The stable revision has as many pods as the candidate's ready ones leave to do, also when some of these fail later.
    The candidate's pods that serve go only when the stable one's ready pods have taken over. Both grow only as far as
    `surge` leaves room beside what is there, the stable one first.
    """
    room = replicas + surge(replicas)
    needed = max(target.stable, replicas - candidate.serving)
    new_stable = needed if stable.wanted > needed else _grown(needed, stable, room - candidate.present)
    left = room - max(stable.present, new_stable)
    if candidate.wanted <= target.candidate:
        return Counts(new_stable, _grown(target.candidate, candidate, left))
    # Pods that are not ready are the first to go (Kubernetes: ReplicaSet, "Scaling a ReplicaSet"), and are no loss.
    needed = min(candidate.serving, replicas - stable.serving)
    return Counts(new_stable, max(target.candidate, needed))


def _grown(target: int, pods: Pods, room: int) -> int:
    return min(target, max(pods.wanted, room))


def missing(target: Counts, stable: Pods, candidate: Pods) -> int:
    """Pods that have to come, go or be renewed until the target is reached. 0: it is.

    Whether the stable revision's own pods are ready is not asked: a candidate may be what mends them.
    """
    return (
        abs(stable.wanted - target.stable)
        + max(0, stable.replicas - target.stable)
        + abs(candidate.wanted - target.candidate)
        + max(0, target.candidate - candidate.serving)
        + max(0, candidate.replicas - target.candidate)
        + candidate.unsettled
        + (not candidate.observed)
    )
