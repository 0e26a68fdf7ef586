"""Rollouts in an adopted workload: its pods are the stable revision's, and as many as its owner wants.

By Canary the candidate's pods come beside them, never more than the target has, so at most half of all. At the end the
target itself gets the candidate's work, by its own rolling update, and the pods beside it serve until that is done. By
Recreate the target has no pod while its work changes.
"""

from __future__ import annotations

from fractions import Fraction

from aiagent_operator.api.rollout import Strategy
from aiagent_operator.core.rollout.decision import Traffic
from aiagent_operator.core.rollout.facts import Facts, Pods
from aiagent_operator.core.rollout.move import Motion


def part(replicas: int, weight: int) -> int:
    """The candidate's pods beside so many of the target's: the number whose share comes nearest to the weight, the
    smaller one of two; at least one while there is a weight, and never more than the target has."""
    if replicas == 0 or weight <= 0:
        return 0
    if weight >= 100:
        return replicas
    exact = Fraction(replicas * weight, 100 - weight)
    near = {min(replicas, max(1, count)) for count in (int(exact), int(exact) + 1)}
    return min(sorted(near), key=lambda count: abs(Fraction(count * 100, replicas + count) - weight))


def forward(f: Facts, target: Pods, weight: int) -> Motion:
    """Towards a weight of the candidate, in percent."""
    if f.spec.strategy is Strategy.RECREATE:
        return _recreated(f, target, lands=True)
    if weight == 100:
        lacking = off(f, target, lands=True) + max(0, target.wanted - target.ready)
        return Motion(f.replicas, f.candidate.wanted, Traffic(), lacking, lands=True)
    asked, candidate = part(f.replicas, weight), f.candidate
    lacking = (
        abs(candidate.wanted - asked)
        + max(0, asked - candidate.serving)
        + max(0, candidate.replicas - asked)
        + candidate.unsettled
        + (not candidate.observed)
    )
    return Motion(f.replicas, asked, Traffic(), off(f, target, lands=False) + lacking, lands=False)


def back(f: Facts, target: Pods) -> Motion:
    """The target has the stable revision's work, and then the pods beside it go."""
    if f.spec.strategy is Strategy.RECREATE:
        return _recreated(f, target, lands=False)
    missing = off(f, target, lands=False)
    kept = min(f.candidate.wanted, f.replicas) if missing else 0
    return Motion(f.replicas, kept, Traffic(), missing + f.candidate.present, lands=False)


def hold(f: Facts) -> Motion:
    """As it is, whatever was under way."""
    return Motion(f.replicas, min(f.candidate.wanted, f.replicas), Traffic(), lands=bool(f.landed))


def off(f: Facts, target: Pods, *, lands: bool) -> int:
    """How far the target is from having one revision's work in all its pods. Whether they are ready is not asked: of
    the stable revision, a candidate may be what mends them."""
    if f.landed is not lands:
        # More than any state of the rolling update that comes after it: that is progress.
        return 3 * max(target.present, 1) + 3
    return target.unsettled + max(0, target.replicas - target.wanted) + (not target.observed)


def _recreated(f: Facts, target: Pods, *, lands: bool) -> Motion:
    """No pod of the other revision is left when the target gets the one's work, and its pods back."""
    if f.landed is not lands:
        # More than any state after it, here too.
        lacking = target.present + target.terminating + 3 * f.replicas + 1
        return Motion(0, 0, Traffic(), lacking, lands=lands if target.gone else not lands)
    lacking = off(f, target, lands=lands) + abs(target.wanted - f.replicas) + max(0, f.replicas - target.ready)
    return Motion(f.replicas, 0, Traffic(), lacking, lands=lands)
