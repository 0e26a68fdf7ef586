"""Canary by requests in an adopted workload: the pods beside the target take requests over before its own work changes.

The target keeps all its pods, and what serves in it, until all requests go to the candidate's pods beside it, of which
there are as many then. Only behind these does its own rolling update bring the candidate's work in, and only behind
them does it go back. So no Service gets requests for a revision none of whose pods is ready: where it would begin to,
all stays as it is until one is.

The pods beside the target do not become fewer before the rollout ends: an autoscaler, which sees none of their load,
takes away the target's.
"""

from __future__ import annotations

from datetime import timedelta

from aiagent_operator.api.rollout import SCALE_DOWN_DELAY
from aiagent_operator.core.rollout import beside, clock, traffic
from aiagent_operator.core.rollout.decision import RolloutStatus, Traffic
from aiagent_operator.core.rollout.facts import Facts, Pods
from aiagent_operator.core.rollout.move import Motion
from aiagent_operator.core.rollout.replicas import part


def forward(f: Facts, target: Pods, status: RolloutStatus, weight: int) -> Motion:
    """Towards a weight of the candidate, in percent."""
    if f.former:
        wanted = _turned(f, target, 0)
        behind = _short(f, target) if wanted != _weighted(f, 0) else 0
        return Motion(f.replicas, 0, wanted, behind, moved=False)
    if weight == 100:
        return _everything(f, target, status)
    candidate = f.candidate
    # Before the target goes back, those beside it are to make up for all of it.
    asked = f.replicas if f.landed else part(f.replicas, weight)
    wanted = _turned(f, target, _share(f, status, weight, asked))
    behind = beside.off(f, target, lands=False) + _lacking(candidate, asked)
    if not behind and candidate.serving >= asked and wanted != _weighted(f, weight):
        behind = _short(f, target)
    lands = bool(f.landed) and candidate.serving < asked
    moved = wanted == f.traffic == _weighted(f, weight)
    return Motion(f.replicas, max(asked, candidate.wanted), wanted, behind, moved, lands=lands)


def _everything(f: Facts, target: Pods, status: RolloutStatus) -> Motion:
    """All requests to the pods beside the target first, then the target's work."""
    candidate, everything = f.candidate, _weighted(f, 100)
    pods, at = max(f.replicas, candidate.wanted), f.traffic == everything
    arrived = beside.off(f, target, lands=True)
    if f.landed:
        missing = arrived + max(0, target.wanted - target.ready)
        return Motion(f.replicas, pods, _turned(f, target, 100), missing, at, lands=True)
    lacking = _lacking(candidate, f.replicas)
    if at and not lacking:
        return Motion(f.replicas, pods, everything, arrived, lands=True)
    wanted = _turned(f, target, _share(f, status, 100, f.replicas))
    behind = lacking + (0 if at else beside.off(f, target, lands=False))
    # More than any state of the target's rolling update, which comes after it: that is progress.
    return Motion(f.replicas, pods, wanted, behind + arrived if behind else 0, moved=False)


def back(f: Facts, target: Pods, status: RolloutStatus) -> Motion:
    """The target has the stable revision's work in all its pods, then requests go back to it, then the pods beside it
    go. Where it never had another, requests go back at once."""
    candidate, wanted = f.candidate, _turned(f, target, 0)
    if wanted != _weighted(f, 0):
        kept = 0 if f.former else max(candidate.wanted, f.replicas if f.landed else 0)
        return Motion(f.replicas, kept, wanted, _short(f, target))
    moved, delay = f.traffic == wanted, timedelta()
    if moved and status.aborted_at is not None and candidate.present:
        seconds = f.spec.abort_scale_down_delay_seconds
        since = max(status.aborted_at, min(f.since or status.aborted_at, f.now))
        seconds = SCALE_DOWN_DELAY if seconds is None else seconds
        delay = max(delay, clock.left(since, timedelta(seconds=seconds), f.now))
    kept = candidate.wanted if not moved or delay else 0
    lacking = beside.off(f, target, lands=False) if f.landed else 0
    return Motion(f.replicas, kept, wanted, lacking + (0 if kept else candidate.present), moved, delay)


def hold(f: Facts, target: Pods, status: RolloutStatus) -> Motion:
    """As it is, whatever was under way."""
    wanted = _turned(f, target, 100 if f.landed else 0 if f.former else status.weight)
    moved = f.traffic == wanted
    return Motion(f.replicas, f.candidate.wanted, wanted, moved=moved, lands=bool(f.landed))


def _weighted(f: Facts, weight: int) -> Traffic:
    assert f.stable is not None  # noqa: S101 - callers ask for it only beside a stable revision
    return traffic.weighted(f.spec, f.stable.revision, f.candidate.revision, weight)


def _share(f: Facts, status: RolloutStatus, weight: int, asked: int) -> int:
    """The weight for which there are pods now."""
    if f.candidate.serving >= asked:
        return weight
    return min(status.weight, weight) if f.candidate.serving else 0


def _turned(f: Facts, target: Pods, weight: int) -> Traffic:
    """The weight, or what there is where somebody would be asked who cannot answer."""
    able = set()
    if _short(f, target) == 0:
        able.add(target.revision)
    if _answers(f, target):
        able.add(f.candidate.revision)
    return traffic.turned(f.traffic, _weighted(f, weight), able)


def _answers(f: Facts, target: Pods) -> bool:
    """Whether a pod of the candidate is ready. Of those with an older template nobody knows whose they are."""
    if f.replicas == 0:
        return True
    own = f.candidate.serving and f.candidate.observed and not f.candidate.unsettled
    return bool(own or (f.landed and target.ready and not beside.off(f, target, lands=True)))


def _short(f: Facts, target: Pods) -> int:
    """How far the target is from being able to take all requests for the stable revision's work: as many ready pods as
    there are beside it."""
    if f.replicas == 0 and not f.landed:
        return 0
    needed = f.replicas if f.former else min(f.replicas, max(1, f.candidate.serving))
    return beside.off(f, target, lands=False) + max(0, needed - target.ready)


def _lacking(candidate: Pods, asked: int) -> int:
    return max(0, asked - candidate.serving) + candidate.unsettled + (not candidate.observed)
