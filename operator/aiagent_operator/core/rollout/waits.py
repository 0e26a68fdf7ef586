"""What a rollout waits for, in words that name the object and who or what ends the wait."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from aiagent_operator.api.durations import format_duration
from aiagent_operator.core import texts
from aiagent_operator.core.rollout import traffic as traffics
from aiagent_operator.core.rollout import verdicts
from aiagent_operator.core.rollout.decision import RolloutStatus, Traffic, Wait, WaitsFor
from aiagent_operator.core.rollout.facts import Facts, Pods
from aiagent_operator.core.rollout.move import Motion
from aiagent_operator.core.rollout.run import Run

_STUCK = "not replace a pod that is not ready, whatever it runs: where one never becomes so, delete it"
_RELEASE = "an AgentAction Promote goes on, Abort goes back to the stable revision"


def pods(f: Facts, move: Motion) -> Wait:
    """Pods of either revision have to come or go."""
    limit = format_duration(timedelta(seconds=f.spec.progress_deadline_seconds))
    end = (
        f"fails without progress for {limit}" if f.stable is not None else "there is no earlier revision to go back to"
    )
    return Wait(WaitsFor.PODS, f"Waiting for pods: {_both(f, move)}; {end}")


def late(f: Facts, move: Motion) -> str:
    """Why a candidate failed whose pods did not come in time."""
    limit = format_duration(timedelta(seconds=f.spec.progress_deadline_seconds))
    return f"no progress for {limit}: {_both(f, move)}"


def traffic(wanted: Traffic) -> Wait:
    """Services or route are not yet as they should be."""
    text = f"Waiting until {traffics.named(wanted)}; whoever made these objects sees that they exist"
    return Wait(WaitsFor.TRAFFIC, text)


def time(f: Facts, index: int, until: datetime) -> Wait:
    """A pause with an end."""
    text = f"Step {index} of {f.candidate.name} pauses until {texts.moment(until)}; {_RELEASE}"
    return Wait(WaitsFor.TIME, text)


def promotion(f: Facts, index: int) -> Wait:
    """A pause that a person ends."""
    return Wait(WaitsFor.PERSON, f"Step {index} of {f.candidate.name} pauses for a person: {_RELEASE}")


def person(f: Facts, status: RolloutStatus) -> Wait:
    """Something went wrong, or is unclear, and a person decides."""
    return Wait(WaitsFor.PERSON, f"{f.candidate.name} stands still, since {status.reason}: {_RELEASE}")


def held(f: Facts, index: int) -> Wait:
    """Something else than its own steps keeps it from going on."""
    return Wait(WaitsFor.PERSON, f"{f.candidate.name} stands after step {index}: {f.held}")


def evaluations(f: Facts, runs: Iterable[Run]) -> Wait:
    """Verdicts that are not there yet."""
    under_way = texts.some((verdicts.named(f, run) for run in runs), separator="; ")
    text = f"Waiting for verdicts on {f.candidate.name}: {under_way}; an AgentAction Promote with full passes over them"
    return Wait(WaitsFor.EVALUATION, text)


def unmeasured(f: Facts) -> Wait:
    """Evaluations that must run and do not: without them nobody would see that the candidate is bad."""
    text = f"{f.candidate.name} is not given more before it is measured: {f.unmeasured}"
    ways = "an AgentAction Promote with full passes over its evaluations, Abort goes back to the stable revision"
    return Wait(WaitsFor.EVALUATION, f"{text}; {ways}")


def resume(f: Facts) -> Wait:
    """Nothing moves while the agent is suspended."""
    text = f"The agent is suspended, and the rollout of {f.candidate.name} with it: an AgentAction Resume goes on"
    return Wait(WaitsFor.RESUME, text)


def rollback(f: Facts, status: RolloutStatus, move: Motion) -> Wait:
    """On the way back."""
    why = f"{f.candidate.name} is rolled back ({status.reason})"
    if not move.moved:
        return Wait(WaitsFor.TRAFFIC, f"{why}: {traffic(move.traffic).text}")
    if move.delay > timedelta():
        return Wait(WaitsFor.TIME, f"{why}: its pods stay for another {format_duration(move.delay)}")
    # Kubernetes: "StatefulSets", forced rollback.
    stuck = f.within and not f.landed and f.stable is not None and f.stable.ready < f.stable.replicas
    remedy = f"; {f.stable.kind} {f.stable.name} does {_STUCK}" if stuck and f.stable else ""
    return Wait(WaitsFor.PODS, f"{why}: {_both(f, move)}{remedy}")


def _both(f: Facts, move: Motion) -> str:
    # Of a target without pods beside it there is only the target to tell of.
    aside = f.landed is not None and not (move.candidate or f.candidate.present)
    each = [] if aside else [_one(f.candidate, move.candidate)]
    if f.stable is not None:
        each.append(_one(f.stable, move.stable))
    return " and ".join(each)


def _one(pods: Pods, asked: int) -> str:
    failure = f" ({pods.failure})" if pods.failure else ""
    return (
        f"{pods.kind} {pods.name} has {pods.replicas} pods, {pods.ready} of them ready, of {asked} asked for{failure}"
    )
