"""Whatever is done to an agent, and wherever the operator dies, it holds no right of a role that has not hired it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from aiagent_operator.core.objects import ChildKind
from support import agents
from support.agents import permission
from support.gates import Desk, template
from unit.test_hiring import HANDBOOK, held, moved

SETS = {
    "clerk": {"tickets": [agents.READ_TICKETS], "refund": [agents.REFUND]},
    "scribe": {"tickets": [agents.rule("get list create", "tickets")], "notes": [agents.rule("list", "articles")]},
    "judge": {"tickets": [agents.rule("get update", "tickets")], "bill": [agents.BILL]},
}
# Of these only the clerk is employed without an evaluation, and nobody ever passes the judge's.
HIRES = {"clerk": [], "scribe": [template("exam")], "judge": [template("trial")]}
OF_THE_JUDGE = {"update tickets", "create invoices"}
DEEDS = st.sampled_from(
    [
        "clerk",
        "scribe",
        "judge",
        "suspend",
        "resume",
        "unbind",
        "pin",
        "unpin",
        "edit",
        "back",
        "withdraw",
        "forget records",
    ]
)


def done(desk: Desk, deed: str) -> None:
    """What an author, a tenant with too many rights, or a role's author does."""
    if deed in SETS:
        moved(desk, *HIRES[deed], role=deed, sets=SETS[deed])
    elif deed in ("suspend", "resume"):
        desk.spec["suspended"] = deed == "suspend"
    elif deed in ("pin", "unpin"):  # a finalizer keeps a binding that is deleted in force
        for key in [key for key in desk.bodies if key.kind is ChildKind.ROLE_BINDING]:
            if deed == "pin":
                desk.bodies[key]["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"
            elif "deletionTimestamp" in desk.bodies[key]["metadata"]:
                del desk.bodies[key]
    elif deed == "edit":
        desk.spec["handbook"] = HANDBOOK
    elif deed == "back":
        desk.spec.pop("handbook", None)
    elif deed == "withdraw":
        role = desk.spec["roleRef"]["name"]
        moved(desk, *HIRES[role], role=role, sets=SETS[role], state="Draft")
    else:
        kind = ChildKind.ROLE_BINDING if deed == "unbind" else ChildKind.AGENT_EVALUATION
        desk.bodies = {key: body for key, body in desk.bodies.items() if key.kind is not kind}


def some_passes(desk: Desk, most: int) -> None:
    """The operator works for so many writes, and dies: what it would have said in the status is lost then, but for what
    goes first."""
    measured = {}
    for _ in range(24):
        plan = desk.decide(measured)
        if not plan.revokes and plan.writes:
            desk.status |= plan.first
        for write in plan.writes:
            if most == 0:
                return
            desk.write(write)
            most -= 1
            assert not held(desk) & OF_THE_JUDGE
        if not plan.writes:
            desk.status |= plan.status
            return
        measured = desk.measured(plan)


@settings(max_examples=40)
@given(
    begins=st.sampled_from(["clerk", "scribe", "judge"]),
    deeds=st.lists(st.tuples(DEEDS, st.integers(0, 12)), max_size=8),
    trial=st.sampled_from(["", "F", "I", "E"]),
)
def test_nobody_holds_a_right_of_a_role_that_has_not_hired_it(
    begins: str, deeds: list[tuple[str, int]], trial: str
) -> None:
    desk = Desk(*map(permission, ("tickets", "refund", "notes", "bill")))
    desk.answer = lambda name, _: trial if name == "trial" else "S"
    done(desk, begins)
    for deed, most in deeds:
        some_passes(desk, most)
        done(desk, deed)
    desk.spec["suspended"] = False
    done(desk, "unpin")
    desk.settle()
    role, hired = desk.spec["roleRef"]["name"], desk.status.get("hiredAs")
    assert not held(desk) & OF_THE_JUDGE
    assert hired != "judge"
    if desk.facts["role"].role.spec.lifecycle.state.value == "Draft":
        assert held(desk) == set()
    elif role != "judge" and "Rejected" not in desk.states().values():
        # Work that has failed for the judge is not tried again for anybody: who is to be hired needs other work.
        assert hired == role
