"""A canary by requests beside a target, whatever happens in between: who is asked has a pod that answers."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiagent_operator.core.rollout.facts import OrderKind
from aiagent_operator.core.versions.revisions import RollbackOrder
from support import agents
from support.routeddesk import BESIDE, CANARY, RoutedDesk, at_work

IMAGES = (agents.IMAGE, "registry.example/agent:2", "registry.example/agent:3")
ENDLESS = [{"weight": 60}, {"pause": {}}, {"weight": 100}, {"pause": {}}]
STEPS = (
    [{"weight": 20}, {"pause": {}}],
    [{"weight": 60}, {"pause": {"duration": "10m"}}, {"weight": 100}, {"pause": {}}],
    [{"weight": 0}, {"pause": {}}, {"weight": 50}],
    [],
)
EVENTS = st.one_of(
    st.tuples(st.just("passes"), st.integers(1, 30)),
    st.tuples(st.just("want"), st.sampled_from(IMAGES)),
    st.tuples(st.just("order"), st.sampled_from(OrderKind)),
    st.tuples(st.just("steps"), st.sampled_from(STEPS)),
    st.tuples(st.just("scale"), st.sampled_from((1, 2, 5))),
    st.tuples(st.just("later"), st.sampled_from((1, 30, 600))),
    st.tuples(st.just("crash"), st.integers(0, 3)),
    st.tuples(st.just("broken"), st.sampled_from(("router", BESIDE, ""))),
    st.tuples(st.just("edit"), st.integers(1, 3)),
    st.tuples(st.just("back"), st.none()),
)


def happens(desk: RoutedDesk, what: str, value: object) -> None:
    """One event."""
    if what == "want":
        desk.want(str(value))
    elif what == "order":
        desk.order(OrderKind(str(value)))
    elif what == "steps":
        desk.spec["retraining"] = {"rollout": {**CANARY, "steps": value}}
    elif what == "scale":
        desk.body["spec"]["replicas"] = value
        desk.controlled()
    elif what == "later":
        desk.later(int(str(value)))
    elif what == "broken":
        desk.broken = {str(value)}
    elif what == "edit":
        desk.body["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "MODE", "value": str(value)}]
        desk.controlled()
    elif what == "back":
        number = len(desk.states())
        desk.facts["rollback"] = RollbackOrder(f"back-{number}", f"uid-back-{number}", "AgentAction back by ann")
    elif what == "crash":
        plan = desk.decide()
        desk.status |= plan.status
        for write in plan.writes[: int(str(value))]:
            desk.write(write)
            desk.check()
        desk.tick()
    else:
        for _ in range(int(str(value))):
            desk.step()
            desk.tick()


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(EVENTS, max_size=14), st.sampled_from((1, 3)), st.integers(0, 2))
def test_nobody_is_asked_who_has_no_pod_and_it_ends(
    events: list[tuple[str, object]], replicas: int, promoted: int
) -> None:
    desk = at_work({**CANARY, "steps": ENDLESS}, replicas=replicas)
    desk.want(IMAGES[1])
    for _ in range(promoted):
        desk.settle()
        desk.order(OrderKind.PROMOTE)
    for what, value in events:
        happens(desk, what, value)
        desk.step()
        desk.tick()
    desk.broken = set()
    for _ in range(12):
        desk.settle()
        desk.later(600)
        desk.order(OrderKind.PROMOTE_FULL)
        if len(desk.facts["steering"]) > 4:
            desk.facts["steering"] = desk.facts["steering"][-2:]
    desk.facts["steering"] = ()
    desk.settle()
    stable = str(desk.status["revision"]["stable"])
    assert (desk.selected, desk.weights, desk.label) == ((stable, stable), (100, 0), stable)
    assert desk.counts(BESIDE) == (0, 0)
    assert not desk.decide().writes
