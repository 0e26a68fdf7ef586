"""Reviews and bias audits of the revision that serves: their runs on a cadence, and what a finding holds up.

A run is recorded, measured and judged as any other evaluation. Its name and its planned time say which it is, so that
after a restart the same follows from the same records. A finding is a record, too: it holds up other revisions for as
long as it is the last word on what serves and no person has let them go on, which is written on that record. Table of
states: docs/reviews.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from aiagent_operator.api.agentevaluation import Purpose
from aiagent_operator.api.agentrevision import RevisionState
from aiagent_operator.api.conditions import Reason, Type, Verdict
from aiagent_operator.api.reviews import MOST_FORMER
from aiagent_operator.core import texts
from aiagent_operator.core.children import evaluation
from aiagent_operator.core.children.evaluation import Occasion
from aiagent_operator.core.evaluation import evaluating, evaluating_jobs
from aiagent_operator.core.evaluation.evaluating import Step, facts
from aiagent_operator.core.evaluation.record import RecordError, recorded
from aiagent_operator.core.objects import Child, ChildKind
from aiagent_operator.core.plan import Observed, Plan, Write, create, delete
from aiagent_operator.core.reviews import entries, releases, report
from aiagent_operator.core.reviews.due import Turn, turn
from aiagent_operator.core.reviews.entries import Entry, EntryError
from aiagent_operator.core.reviews.report import Standing
from aiagent_operator.core.reviews.runs import PURPOSES, Runs
from aiagent_operator.core.rollout import standing as rollouts
from aiagent_operator.core.versions import revisions
from aiagent_operator.core.versions.gating import Gate

LONGEST = timedelta(hours=6)
"""Until an agent is looked at again at the latest: a machine may have slept, or its clock been set."""


@dataclass(frozen=True, slots=True)
class Reviews:
    """What to do about an agent's reviews and audits now, and what they say.

    `standings` are those of the entries of the spec, and of former ones of which something was found. `mine`: UIDs of
    the orders that are about findings; `carried`: those of them that are carried out, with what they did.
    """

    step: Step = field(default_factory=Step)
    standings: tuple[Standing, ...] = ()
    adopted: bool = False
    mine: frozenset[str] = frozenset()
    carried: tuple[tuple[str, str], ...] = ()

    @property
    def holds(self) -> str:
        """Why no other revision takes over; empty where one may. An adopted workload is its owner's to change."""
        return "" if self.adopted else report.holds(self.standings)

    def told(self, o: Observed) -> Observed:
        """What is observed, as all else is to see it: what holds, and of the orders those that are left."""
        left = tuple(order for order in o.steering if order.uid not in self.mine)
        return releases.remembered(replace(o, held=self.holds, steering=left), self.carried)

    def joined(self, plan: Plan, now: datetime) -> Plan:
        """The plan with what the runs have to read, to ask and to wait for, and with what is said of them."""
        verdict = report.verdict(self.standings, self.step.trouble, adopted=self.adopted)
        said = replace(
            plan,
            verdicts=(*plan.verdicts, verdict) if verdict else plan.verdicts,
            status={**plan.status, "reviews": report.summaries(self.standings) or None},
        )
        if plan.revokes:
            return said  # what takes rights away waits for no review
        starts = [each.turn.next - now for each in self.standings if each.turn.next]
        times = [min(max(wait, timedelta()), LONGEST).total_seconds() for wait in starts]
        times += [due for due in (plan.requeue_after, self.step.due) if due is not None]
        return replace(
            said,
            needs=said.needs | self.step.needs,
            needs_pods=said.needs_pods | self.step.needs_pods,
            measure=(*said.measure, *self.step.measure),
            requeue_after=min(times, default=None),
        )


def look(o: Observed, *, accepted: bool) -> Reviews:
    """The reviews of the agent as they stand. `accepted`: its role is, without which none begins."""
    known = [child for child in evaluating.known(o) if facts(child).purpose in PURPOSES]
    asked = entries.of(o.agent.spec)
    if not asked and not known:
        return Reviews()
    serving = revisions.stable(c for c in o.of(ChildKind.AGENT_REVISION) if not c.deleting)
    goes = accepted and not o.suspended and not o.terminating and serving is not None
    step = Step()
    standings: list[Standing] = []
    for entry in asked:
        runs = Runs.of(entry.purpose, entry.name, known)
        more, standing = _entry(o, entry, runs, serving, goes=goes)
        step += more
        standings.append(standing)
    named = {(entry.purpose, entry.name) for entry in asked}
    number = revisions.facts(serving).number if serving else None
    for place, runs in enumerate(_former(known, named, number)):
        step += _over(o, runs, serving, keep=place < MOST_FORMER)
        if number and (found := runs.finding(number)):
            standings.append(Standing(runs, number, Turn(None, None), found))
    acted = rollouts.acted(o.agent.status)
    orders = [order for order in o.steering if order.uid not in acted]
    ordered = releases.of(orders, _found(standings), known, o.time)
    adopted = not o.agent.spec.workload.by_revision
    return Reviews(step + Step(ordered.writes), tuple(standings), adopted, ordered.mine, ordered.carried)


def held(o: Observed, gate: Gate) -> Gate:
    """The gate, shut where what it lets through has to wait until a person has decided about a finding.

    What has begun to take over is not taken back: its rollout stands after its step (core/rollout), and where there are
    no steps it is over in moments. Work of an order, and the first revision, are not held.
    """
    choice = gate.choice
    if not o.held or gate.shut or choice.order or choice.stable is None or not choice.rolling or choice.target is None:
        return gate
    its = revisions.facts(choice.target)
    if its.state is RevisionState.ROLLING_OUT:
        return gate
    text = f"Revision {its.number} waits, and revision {revisions.facts(choice.stable).number} serves: {o.held}"
    verdict = Verdict(Type.REVISION_ACCEPTED, None, Reason.HELD_BY_FINDING, text)
    if gate.verdict and not gate.hires:
        verdict = gate.verdict  # rights wait for that, too
    return replace(gate, choice=replace(choice, target=choice.stable, gated=choice.target), shut=True, verdict=verdict)


def _entry(o: Observed, entry: Entry, runs: Runs, serving: Child | None, *, goes: bool) -> tuple[Step, Standing]:
    """What to do about one entry of the spec, and how it stands."""
    number = revisions.facts(serving).number if serving else None
    step = Step(_removed(o, runs.history(entry.successful, entry.unsuccessful, number)))
    found = runs.finding(number) if number else None
    try:
        rhythm = entries.rhythm(o, entry)
    except EntryError as error:
        trouble = Step(trouble=str(error))
        return step + _carried(o, runs, serving) + trouble, Standing(runs, number, Turn(None, None), found)
    now = turn(rhythm, runs.newest, o.now)
    standing = Standing(runs, number, now if goes else Turn(None, None), found)
    if runs.open or not goes or now.due is None or serving is None:
        return step + _carried(o, runs, serving), standing
    return step + _begun(o, entry, serving, now.due), standing


def _begun(o: Observed, entry: Entry, serving: Child, planned: datetime) -> Step:
    """The record of a run, from which all else of it follows."""
    try:
        record = recorded(entries.template(o.agent.spec, entry))
    except EntryError as error:
        return Step(trouble=str(error))
    except RecordError as error:
        return Step(trouble=f"{entry.field}: {error}")
    # As a CronJob names its Jobs, but so that it can be read. Which list it is from says the purpose.
    occasion = Occasion(entry.purpose, f"{planned:%Y%m%d-%H%M%S}", scheduled=texts.moment(planned))
    desired = evaluation.build(o.identity, revisions.facts(serving).number, record, stable=None, occasion=occasion)
    if desired.key in o.children:
        return Step()
    failure = o.refusal(desired)
    return Step((create(desired),), trouble=f"{entry.field}: {failure.message}" if failure else "")


def _carried(o: Observed, runs: Runs, serving: Child | None) -> Step:
    """The next step of each run that is not over.

    One of a revision that serves no more is removed: it says nothing of what serves, which is reviewed in its place.
    """
    step = Step()
    numbers = _numbers(o)
    for child in runs.open:
        its = facts(child)
        if child.deleting or its.revision not in numbers:
            continue  # it goes, as all records of a revision that is gone do
        if serving is None or its.revision != revisions.facts(serving).number:
            step += Step((delete(child),))
        elif evaluating_jobs.is_by_job(child):
            rests = o.suspended or o.terminating
            step += evaluating_jobs.rests(o, child) if rests else evaluating_jobs.carry(o, child, serving, None)
        elif not o.suspended:
            step += evaluating.ask(o, child)
    return step


def _over(o: Observed, runs: Runs, serving: Child | None, *, keep: bool) -> Step:
    """What is to be done about runs whose entry is not in the spec any more: what has begun to measure goes on to its
    end, and what was found stays found. `keep`: it is among those of which anything is kept."""
    number = revisions.facts(serving).number if serving else None
    idle = [c for c in runs.open if evaluating_jobs.is_by_job(c) and not evaluating_jobs.has_job(o, c)]
    still = replace(runs, runs=tuple(child for child in runs.runs if child not in idle))
    gone = [*idle, *(runs.history(0, 0, number) if keep else runs.ended)]
    return Step(_removed(o, gone)) + _carried(o, still, serving)


def _removed(o: Observed, runs: Iterable[Child]) -> tuple[Write, ...]:
    """Removes runs. Those of a revision that is gone go with it, which is done elsewhere."""
    numbers = _numbers(o)
    return tuple(delete(child) for child in runs if not child.deleting and facts(child).revision in numbers)


def _numbers(o: Observed) -> frozenset[int]:
    return frozenset(revisions.facts(child).number for child in o.of(ChildKind.AGENT_REVISION))


def _former(known: Iterable[Child], named: set[tuple[Purpose, str]], serving: int | None) -> list[Runs]:
    """The runs of entries that are not in the spec any more; first those that hold something, then the newest."""

    def rank(runs: Runs) -> tuple[bool, str]:
        found = runs.finding(serving) if serving else None
        return found is not None and not facts(found).released, facts(runs.runs[-1]).scheduled

    every = sorted({(its.purpose, its.name) for child in known if (its := facts(child)).purpose})
    former = [Runs.of(purpose, name, known) for purpose, name in every if (purpose, name) not in named]
    return sorted(former, key=rank, reverse=True)


def _found(standings: Sequence[Standing]) -> list[Child]:
    return [each.finding for each in standings if each.finding]
