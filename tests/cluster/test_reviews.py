"""Reviews and bias audits on a cadence, on a real API server: by Jobs whose pods kwok ends with the message that their
annotation says, in the kubelet's place."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from support import agents
from support.agents import permission
from support.kube import ApiError, Object
from support.operator import Installation, OperatorProcess
from support.terminal import Terminal
from support.workplace import Workplace

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("reviews")]

BRIEF, HONEST = ({"instructions": {"inline": text}} for text in ("Be brief.", "Be honest."))
GROUPS = [{"name": "north", "accuracy": "0.91"}, {"name": "south", "accuracy": "0.71"}]
# Planned once within the time of a test; the last planned time is made up for at once on an agent that is old enough.
SOON, NEVER = "15s", "8760h"


def left(difference: str, **more: Any) -> str:
    """What an audit leaves."""
    return json.dumps(
        {"measurements": [{"name": "equalized-odds-difference", "value": difference}], "groups": GROUPS, **more}
    )


def audit(message: str, *, every: str = SOON, hold: bool = False, code: int = 0, **entry: Any) -> Object:
    """spec.supervision with one audit, whose pods end with this message, or not at all."""
    annotations = {"localcluster/message": message, "localcluster/exit-code": str(code)}
    annotations |= {"localcluster/hold": "true"} if hold else {}
    pod = {"containers": [{"name": "audit", "image": "registry.example/audit:1"}]}
    job = {"spec": {"backoffLimit": 0, "template": {"metadata": {"annotations": annotations}, "spec": pod}}}
    metrics = [{"name": "equalized-odds-difference", "max": "0.20"}]
    evaluation = {"name": "by-region", "job": job, "metrics": metrics}
    return {"evaluations": [evaluation], "biasAudits": [{"name": "by-region", "every": every, **entry}]}


class Audits(Workplace):
    """A workplace where agents are audited."""

    def __init__(self, installed: Installation) -> None:
        super().__init__(installed)
        self.operator: OperatorProcess = installed.operator()

    def works(self, **spec: Any) -> Object:
        """An agent at work."""
        self.employ("triage", self.new_role(), permission("read-tickets"), **spec)
        return self.until_ready("triage")

    def records(self) -> list[Object]:
        """The audits, oldest first."""
        found = self.admin.list(agents.API, "agentevaluations", namespace=self.namespace)
        return sorted(found, key=lambda each: each["spec"].get("scheduledTime", ""))

    def until_audited(self, count: int = 1, phase: str = "") -> list[Object]:
        """Wait until so many audits have their verdict."""

        def over() -> list[Object]:
            done = [r for r in self.records() if r["status"]["phase"] not in ("Pending", "Running")]
            return done if len([r for r in done if phase in ("", r["status"]["phase"])]) >= count else []

        return self.admin.wait_for(over, what=f"{count} audits that are over", timeout=120)

    def states(self) -> dict[int, str]:
        """States of the revisions by number."""
        found = self.admin.list(agents.API, "agentrevisions", namespace=self.namespace)
        return {each["spec"]["number"]: each["status"]["state"] for each in found}

    def jobs(self) -> list[Object]:
        """All Jobs."""
        return self.admin.list("batch/v1", "jobs", namespace=self.namespace)

    def entry(self) -> Object:
        """What the status says of the one entry."""
        (found,) = self.get("triage")["status"]["reviews"]
        return dict(found)

    def never_again(self, **entry: Any) -> None:
        """From now on nothing is planned, so that what there is can be looked at in peace."""
        self.change("triage", supervision=audit(left("0.1"), every=NEVER, **entry))

        def rests(agent: Object) -> bool:
            seen = agent["status"].get("observedGeneration") == agent["metadata"]["generation"]
            return seen and not agent["status"]["reviews"][0].get("active")

        self.until("triage", rests, what="no audit to be under way")
        self.admin.wait_for(lambda: not self.jobs(), what="the Jobs to be gone")
        self.operator.until_idle()

    def until_serves(self, number: int) -> None:
        """Wait until this revision serves."""
        self.until("triage", lambda a: (a["status"].get("revision") or {}).get("stable") == number, what=f"{number}")
        self.until_ready("triage")


@pytest.fixture
def audits(installed: Installation) -> Iterator[Audits]:
    if not installed.operator().running():
        installed.operator().restart()
    place = Audits(installed)
    yield place
    place.clean()


def test_what_serves_is_audited_on_its_cadence_and_each_time_once(audits: Audits) -> None:
    audits.works(supervision=audit(left("0.1"), successfulRunHistoryLimit=10))
    first = audits.until_audited()[0]
    spec, status = first["spec"], first["status"]
    assert (spec["purpose"], spec["revision"], spec["provider"]) == ("BiasAudit", 1, "Job")
    assert "stableRevision" not in spec
    assert (status["phase"], [group["name"] for group in status["groups"]]) == ("Successful", ["north", "south"])
    stamp = spec["scheduledTime"].replace("-", "").replace(":", "").replace("T", "-").removesuffix("Z")
    assert first["metadata"]["name"] == f"triage-1-by-region.{stamp}"

    audits.operator.kill9()
    audits.operator.restart()
    records = audits.until_audited(3)
    times = [record["spec"]["scheduledTime"] for record in records]
    assert times == sorted(set(times)), "each planned time has one run"
    audits.until_reason("triage", "ReviewsPassed", "Reviewed", 'bias audit "by-region" of revision 1')

    audits.never_again()
    audits.operator.until_idle()
    mark = audits.plane.audit_mark()
    audits.operator.restart()
    audits.operator.until_idle()
    assert audits.writes(mark) == []


def test_a_run_goes_on_after_a_crash_and_no_second_one_begins_beside_it(audits: Audits) -> None:
    audits.works(supervision=audit(left("0.1"), every="5s", hold=True))
    (job,) = audits.admin.wait_for(audits.jobs, what="its Job", timeout=90)
    assert job["spec"]["template"]["spec"]["serviceAccountName"] == "aiagent.triage.candidate"
    audits.operator.kill9()
    audits.operator.restart()
    audits.operator.until_idle()

    def pods() -> list[Object]:
        return audits.admin.list("v1", "pods", namespace=audits.namespace, labels="workforce.dev/run=evaluation")

    (pod,) = audits.admin.wait_for(pods, what="its pod")
    assert [each["metadata"]["uid"] for each in audits.jobs()] == [job["metadata"]["uid"]]
    assert len(audits.records()) == 1
    patch = {"metadata": {"annotations": {"localcluster/hold": None}}}
    audits.admin.patch("v1", "pods", pod["metadata"]["name"], patch, namespace=audits.namespace)
    assert audits.until_audited()[0]["status"]["phase"] == "Successful"


def test_times_that_the_operator_missed_run_once(audits: Audits) -> None:
    agent = audits.works()
    audits.operator.kill9()
    audits.change("triage", supervision=audit(left("0.1"), every="5s", successfulRunHistoryLimit=10))
    made = agent["metadata"]["creationTimestamp"]

    def old_enough() -> bool:
        now = audits.admin.create(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "t-", "namespace": audits.namespace}}
        )
        return bool(_seconds(made, now["metadata"]["creationTimestamp"]) >= 20)

    audits.admin.wait_for(old_enough, what="four planned times to be past", timeout=60)
    audits.operator.restart()
    first = audits.until_audited()[0]
    # The last of those that were missed, and none of those before.
    assert _seconds(made, first["spec"]["scheduledTime"]) >= 20
    audits.never_again()


def _seconds(begin: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds()


def test_a_finding_holds_other_revisions_until_a_person_orders_promote(audits: Audits, terminal: Terminal) -> None:
    agent = audits.works(supervision=audit(left("0.31")))
    uid = agent["metadata"]["uid"]
    name = audits.until_audited()[0]["metadata"]["name"]
    audits.never_again()
    words = ("Bias audit", "revision 1", "0.31 is above max 0.20", "accuracy from 0.71 (south) to 0.91 (north)")
    audits.until_reason("triage", "ReviewsPassed", "Finding", *words, "kubectl aiagent promote")
    assert audits.entry()["finding"]["evaluation"] in {each["metadata"]["name"] for each in audits.records()}
    assert [e["reason"] for e in audits.events("triage") if e["reason"] == "Finding"]

    audits.change("triage", handbook=BRIEF)
    audits.until_reason("triage", "Ready", "HeldByFinding", "Revision 2 waits, and revision 1 serves")
    audits.operator.until_idle()
    assert audits.states() == {1: "Stable", 2: "Candidate"}
    audits.until_can("triage", "get", "tickets")
    mark = audits.plane.audit_mark()
    audits.operator.restart()
    audits.operator.until_idle()
    assert audits.writes(mark) == [], "a held agent costs no write"
    said = terminal.run(f"kubectl aiagent describe triage -n {audits.namespace}", audits.plane.kubeconfig).out
    assert "1 serves, 2 waits for a person" in said
    assert "holds other revisions" in said
    assert "kubectl aiagent promote NAME --reason WHY" in said

    audits.order("Promote", "all-the-same", "triage")
    audits.until_ordered("all-the-same", "Complete", "CarriedOut", "in spite of what was found", name.partition(".")[0])
    audits.until_serves(2)
    assert audits.states() == {1: "Superseded", 2: "Stable"}
    released = [each["status"]["released"] for each in audits.records() if "released" in each["status"]]
    assert released
    assert all("AgentAction all-the-same" in each["by"] for each in released)
    audits.dismiss("triage")
    audits.until_gone("triage")
    assert audits.children(uid) == {}


def test_a_release_is_of_what_was_found_and_holds_after_a_restart(audits: Audits) -> None:
    audits.works(supervision=audit(left("0.31"), unsuccessfulRunHistoryLimit=1))
    audits.until_audited()
    audits.never_again()
    audits.until_reason("triage", "ReviewsPassed", "Finding")
    audits.order("Promote", "seen", "triage")
    audits.until_reason("triage", "ReviewsPassed", "FindingReleased", "released by AgentAction seen")
    audits.operator.restart()
    audits.operator.until_idle()
    audits.until_reason("triage", "ReviewsPassed", "FindingReleased")

    # The next run finds it again, and that holds again.
    audits.change("triage", supervision=audit(left("0.32")))
    audits.until_reason("triage", "ReviewsPassed", "Finding", "0.32 is above")
    audits.change("triage", handbook=BRIEF)
    audits.until_reason("triage", "Ready", "HeldByFinding")
    assert audits.states()[2] == "Candidate"


def test_a_later_success_lets_what_waits_go_on(audits: Audits) -> None:
    audits.works(supervision=audit(left("0.31")))
    audits.until_audited()
    audits.change("triage", handbook=BRIEF)
    audits.until_reason("triage", "Ready", "HeldByFinding")
    audits.change("triage", supervision=audit(left("0.1"), every="7s"))
    audits.until_serves(2)
    assert audits.states()[2] == "Stable"


def test_nobody_goes_on_without_the_verb(audits: Audits) -> None:
    name = audits.name("resumer")
    audits.let(name, "resume", audits.namespace, "workforce-agents-resume")
    client = audits.admin.as_user(name)
    with pytest.raises(ApiError, match="verb promote"):
        client.create(agents.order(audits.namespace, "mine", "Promote", name, "triage"))


def test_a_rollback_is_not_held(audits: Audits) -> None:
    audits.works(supervision=audit(left("0.31")))
    audits.until_audited()
    audits.never_again()
    audits.change("triage", handbook=BRIEF)
    audits.until_reason("triage", "Ready", "HeldByFinding")
    audits.order("Rollback", "to-2", "triage", revision=2)
    audits.until_ordered("to-2", "Complete", "CarriedOut", "Revision 2 serves")
    assert audits.states()[2] == "Stable"


@pytest.mark.parametrize(
    ("message", "code", "words"),
    [
        ("no tickets there", 1, "no tickets there"),
        (json.dumps({"measurements": [{"name": "equalized-odds-difference", "value": "0.1"}]}), 0, "into groups"),
    ],
)
def test_what_could_not_be_measured_is_said_and_holds_nothing(
    audits: Audits, message: str, code: int, words: str
) -> None:
    audits.works(supervision=audit(message, code=code))
    audits.until_audited(phase="Error")
    audits.until_reason("triage", "ReviewsPassed", "ReviewUnclear", words)
    audits.change("triage", handbook=BRIEF)
    audits.until_serves(2)


def test_nothing_is_audited_while_the_agent_is_suspended(audits: Audits) -> None:
    audits.works()
    audits.order("Suspend", "stop", "triage")
    audits.until_ordered("stop", "InForce", "InForce")
    audits.change("triage", supervision=audit(left("0.1"), every="3s"))
    audits.until("triage", lambda a: a["status"].get("reviews"), what="its audit to be known")
    audits.operator.until_idle()
    assert "nextScheduleTime" not in audits.entry()
    assert audits.records() == []
    audits.order("Resume", "go", "triage")
    audits.until_audited()
    audits.never_again()


def test_history_is_kept_as_the_entry_says(audits: Audits) -> None:
    audits.works(supervision=audit(left("0.1"), every="3s", successfulRunHistoryLimit=1))
    seen: set[str] = set()

    def three() -> bool:
        seen.update(each["metadata"]["name"] for each in audits.records())
        return len(seen) >= 3

    audits.admin.wait_for(three, what="three audits", timeout=120)
    audits.never_again(successfulRunHistoryLimit=1)
    audits.admin.wait_for(lambda: len(audits.records()) == 1, what="the former ones to be gone")


def test_a_record_that_is_removed_by_hand_is_made_up_for_once(audits: Audits) -> None:
    audits.works(supervision=audit(left("0.1"), every="60s"))
    (first,) = audits.until_audited()
    audits.operator.until_idle()
    name = first["metadata"]["name"]
    audits.admin.delete(agents.API, "agentevaluations", name, namespace=audits.namespace)

    def again() -> bool:
        found = audits.records()
        return bool(found) and found[-1]["metadata"]["uid"] != first["metadata"]["uid"]

    audits.admin.wait_for(again, what="another run")
    audits.until_audited()
    audits.operator.until_idle()
    assert len({each["spec"]["scheduledTime"] for each in audits.records()}) == len(audits.records())
