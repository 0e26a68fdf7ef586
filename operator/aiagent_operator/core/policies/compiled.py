"""An AgentPolicy as decisions read it: everything that follows from the policy alone, computed once.

The API server cannot check all of a policy: whether a date exists, whether there is such a time zone. And one of a
newer version may hold words that this version does not know. What cannot be read fails closed, part by part:

- No training of the agents that it selects starts, and no revision of theirs takes over or is removed, until it can be
  read. All of them are told why. An order goes back all the same.
- Of a selector, the part that cannot be read selects all, so that the policy is about more agents, never fewer.
- What can be read counts as ever. An agent that is suspended for its age does not get its rights back because a window
  of the same policy was mistyped.
- What cannot be read takes no rights away: only an `overdue` that can be read suspends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from aiagent_operator.api.agentpolicy import AgentPolicySpec, LateHandover, OverdueAction, PolicySelector, Window
from aiagent_operator.api.durations import DurationError, parse
from aiagent_operator.api.fields import unreadable
from aiagent_operator.api.selectors import LabelSelector, LabelSelectorRequirement, SelectorOperator
from aiagent_operator.core.cadence import spec as cadence_spec
from aiagent_operator.core.cadence import windows
from aiagent_operator.core.cadence.errors import CadenceError
from aiagent_operator.core.cadence.windows import PolicyWindows
from aiagent_operator.core.rights.exposure import selects
from aiagent_operator.core.texts import some

_T = TypeVar("_T")
_COMPARES: Final = (SelectorOperator.IN, SelectorOperator.NOT_IN)


@dataclass(frozen=True, slots=True)
class Subject:
    """What a selector asks about an agent. `namespace_labels` is None where they are not known (yet)."""

    role: str
    labels: Mapping[str, str]
    namespace_labels: Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class Scope:
    """A selector, as metav1 has it on the wire; a part that is None restricts nothing."""

    namespaces: Mapping[str, Any] | None = None
    agents: Mapping[str, Any] | None = None
    roles: frozenset[str] = frozenset()

    def covers(self, subject: Subject) -> bool:
        """Whether it selects the agent. One whose namespace is not known is selected: the rule may be about it."""
        if self.roles and subject.role not in self.roles:
            return False
        if self.agents is not None and not selects(self.agents, subject.labels):
            return False
        if self.namespaces is None or subject.namespace_labels is None:
            return True
        return selects(self.namespaces, subject.namespace_labels)

    def might(self, role: str, namespace_labels: Mapping[str, str] | None) -> bool:
        """Whether it may have selected an agent of that role whose labels nobody knows any more."""
        if self.roles and role not in self.roles:
            return False
        if self.namespaces is None or namespace_labels is None:
            return True
        return selects(self.namespaces, namespace_labels)


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old training may get, how long an agent may be overdue, and whether it is suspended then."""

    max_age: timedelta
    grace: timedelta
    suspends: bool


@dataclass(frozen=True, eq=False)
class CompiledPolicy:
    """An AgentPolicy with its windows and durations read. `problem` names what could not be; empty where all could."""

    name: str
    scope: Scope
    windows: PolicyWindows
    most: int | None
    freshness: Freshness | None
    evaluations: frozenset[str]
    history: int | None
    curriculum: str | None
    store: str | None
    retention: timedelta | None
    abandon_after: timedelta | None
    problem: str
    handover: timedelta | None = None
    releases: bool = False

    @classmethod
    def of(cls, name: str, spec: Any) -> CompiledPolicy:
        """Reads a policy's spec as on the wire, whatever stands in it. Keep the result until the policy changes."""
        problems = _Problems()
        read = problems.read(spec)
        return cls(
            name=name,
            scope=_scope(read.selector, problems),
            windows=PolicyWindows(name, tuple(_windows(read.windows, problems))),
            most=read.max_concurrent,
            freshness=_freshness(read, problems),
            evaluations=frozenset(evaluation.name for evaluation in read.required_evaluations),
            history=read.revision_history_limit,
            curriculum=read.curriculum,
            store=read.archive.store if read.archive else None,
            retention=_retention(read, problems),
            abandon_after=_abandon_after(read, problems),
            handover=_handover(read, problems),
            releases=read.handover is not None and read.handover.on_deadline is LateHandover.RELEASE,
            problem=some(problems, separator="; "),
        )


class _Problems(list[str]):
    """What of a policy cannot be read, collected so that all of it is named at once."""

    def read(self, spec: Any) -> AgentPolicySpec:
        """The spec without the parts that cannot be read."""
        draft: dict[str, Any] = dict(spec) if isinstance(spec, Mapping) else {}
        try:
            return _validated(draft)
        except ValidationError as error:
            self.append(unreadable(error))
            _drop(draft, [entry["loc"] for entry in error.errors(include_url=False)])
            return _validated(draft)

    def attempt(self, read: Callable[[], _T]) -> _T | None:
        try:
            return read()
        except (CadenceError, DurationError) as error:
            self.append(str(error))
            return None


def _validated(draft: Mapping[str, Any]) -> AgentPolicySpec:
    """By the names on the wire alone: errors name these, so what is wrong can be dropped by them."""
    return AgentPolicySpec.model_validate(draft, by_alias=True, by_name=False)


def _drop(draft: dict[str, Any], places: Iterable[tuple[int | str, ...]]) -> None:
    """Takes away the fields at these places, and no more than needed: of a selector the part, of windows the one."""
    selector = draft.get("selector")
    parts = dict(selector) if isinstance(selector, Mapping) else {}
    bad_windows = set()
    for field, *below in places:
        if field == "selector" and below:
            parts.pop(str(below[0]), None)
        elif field == "windows" and below:
            bad_windows.add(below[0])
        elif field != "selector":
            draft.pop(str(field), None)
    draft["selector"] = parts
    if bad_windows:
        draft["windows"] = [window for index, window in enumerate(draft["windows"]) if index not in bad_windows]
    draft.setdefault("description", "-")


def _scope(selector: PolicySelector, problems: _Problems) -> Scope:
    return Scope(
        _labels(selector.namespace_selector, "spec.selector.namespaceSelector", problems),
        _labels(selector.agent_selector, "spec.selector.agentSelector", problems),
        frozenset(selector.roles),
    )


def _labels(selector: LabelSelector | None, field: str, problems: _Problems) -> Mapping[str, Any] | None:
    """The selector on the wire. Kubernetes refuses In without values; here it would quietly select nothing."""
    if selector is None:
        return None
    wrong = [requirement for requirement in selector.match_expressions if not _sensible(requirement)]
    if wrong:
        problems.append(
            f"{field}.matchExpressions[{wrong[0].key}] has operator {wrong[0].operator.value} and "
            f"{len(wrong[0].values)} values: give values to In and NotIn, and none to Exists and DoesNotExist"
        )
        return None
    return selector.model_dump(by_alias=True, mode="json")


def _sensible(requirement: LabelSelectorRequirement) -> bool:
    return bool(requirement.values) == (requirement.operator in _COMPARES)


def _windows(given: Iterable[Window], problems: _Problems) -> Iterable[windows.Window]:
    for window in given:
        read = problems.attempt(
            lambda window=window: cadence_spec.window(  # type: ignore[misc]
                name=window.name,
                kind=window.kind.value,
                schedule=window.schedule,
                duration=window.duration,
                time_zone=window.time_zone,
                field=f"spec.windows[{window.name}]",
            )
        )
        if read is not None:
            yield read


def _retention(spec: AgentPolicySpec, problems: _Problems) -> timedelta | None:
    text = spec.archive.retention if spec.archive else None
    return None if text is None else problems.attempt(lambda: parse(text, "spec.archive.retention"))


def _abandon_after(spec: AgentPolicySpec, problems: _Problems) -> timedelta | None:
    text = spec.archive.abandon_after if spec.archive else None
    return None if text is None else problems.attempt(lambda: parse(text, "spec.archive.abandonAfter"))


def _handover(spec: AgentPolicySpec, problems: _Problems) -> timedelta | None:
    text = spec.handover.deadline if spec.handover else None
    return None if text is None else problems.attempt(lambda: parse(text, "spec.handover.deadline"))


def _freshness(spec: AgentPolicySpec, problems: _Problems) -> Freshness | None:
    if spec.max_age is None:
        if spec.overdue is not None:
            problems.append("spec.overdue says what follows when maxAge is exceeded: give spec.maxAge too")
        return None
    text, overdue = spec.max_age, spec.overdue
    age = problems.attempt(lambda: parse(text, "spec.maxAge", least=cadence_spec.LEAST_INTERVAL))
    grace = problems.attempt(lambda: parse(overdue.grace if overdue else "0s", "spec.overdue.grace"))
    if age is None:
        return None
    # A grace that cannot be read is no grace, and suspends nobody.
    suspends = grace is not None and overdue is not None and overdue.action is OverdueAction.SUSPEND
    return Freshness(age, grace or timedelta(), suspends)
