"""Canaries within an adopted StatefulSet: its last pods get the candidate's work, the others keep what they have.

Its pods are as many as its owner wants, and the candidate's are among them, from an ordinal on (Kubernetes:
"StatefulSets", partitioned rolling updates). A lower share cannot be had by that ordinal alone, since its controller
takes the work back from no pod that is before it: then all get the stable revision's again, and the candidate begins
anew.
"""

from __future__ import annotations

from fractions import Fraction

from aiagent_operator.core.rollout import beside
from aiagent_operator.core.rollout.decision import Traffic
from aiagent_operator.core.rollout.facts import Facts, Pods
from aiagent_operator.core.rollout.move import Motion


def part(replicas: int, weight: int) -> int:
    """The candidate's pods among so many: the number whose share comes nearest to the weight, the smaller one of two;
    at least one of each revision while the weight is neither 0 nor 100, and none of the candidate's in a single pod."""
    if weight <= 0 or weight >= 100:
        return replicas * max(0, min(100, weight)) // 100
    exact = Fraction(replicas * weight, 100)
    nearest = -int((Fraction(1, 2) - exact) // 1)
    return min(max(1, nearest), max(0, replicas - 1))


def candidate(target: Pods, staged: int, number: int, name: str, *, landed: bool) -> Pods:
    """The candidate's pods, of a target as it is. Pods have the work that the target's template says, or another one;
    of those that are ready as many are taken for the stable revision's as there are."""
    others = max(0, target.replicas - target.updated)
    mine = target.replicas - others if landed else others
    return Pods(
        number,
        name,
        wanted=max(0, target.wanted - staged) if landed else 0,
        replicas=mine,
        updated=mine,
        ready=max(0, target.ready - (target.replicas - mine)),
        observed=target.observed,
        kind="AgentRevision",
    )


def forward(f: Facts, target: Pods, weight: int) -> Motion:
    """Towards a weight of the candidate, in percent."""
    if weight == 100:
        return Motion(f.replicas, f.replicas, Traffic(), _whole(f, target), lands=True)
    asked = part(f.replicas, weight)
    if f.landed and target.observed and f.candidate.replicas > asked and not f.contested:
        return _out(f, target)
    if not f.landed and (asked == 0 or beside.off(f, target, lands=False)):
        # An update of the target's that is not done yet would stop where the candidate begins.
        return _out(f, target)
    off = (
        abs(f.candidate.wanted - asked)
        + abs(asked - f.candidate.replicas)
        + max(0, asked - f.candidate.serving)
        + max(0, target.replicas - target.wanted)
        + (not target.observed)
    )
    return Motion(f.replicas, asked, Traffic(), off if f.landed else _begin(target), lands=True)


def back(f: Facts, target: Pods) -> Motion:
    """All pods have the stable revision's work again."""
    return _out(f, target)


def hold(f: Facts) -> Motion:
    """As it is, whatever was under way."""
    return Motion(f.replicas, min(f.candidate.wanted, f.replicas), Traffic(), lands=bool(f.landed))


def _out(f: Facts, target: Pods) -> Motion:
    return Motion(f.replicas, 0, Traffic(), beside.off(f, target, lands=False), lands=False)


def _whole(f: Facts, target: Pods) -> int:
    """What is missing until all pods have the candidate's work and are ready."""
    return (
        beside.off(f, target, lands=True) + abs(f.candidate.wanted - f.replicas) + max(0, target.wanted - target.ready)
    )


def _begin(target: Pods) -> int:
    """More than any state after it: that is progress."""
    return 3 * max(target.present, 1) + 3
