"""The API server fails in every way it does in practice: the operator converges, and asks no more than is sensible."""

import itertools
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from support import agents
from support.agents import permission
from support.kube import wait_for
from support.operator import Installation, OperatorProcess
from support.proxy import Call, Drop, FaultProxy, Status, When
from support.workplace import Workplace

pytestmark = pytest.mark.timeout(600)

AGENTS = 8
# An onboarding takes some 12 requests, and a look again as many; a busy loop makes hundreds in a second.
REQUESTS_PER_AGENT = 60


@dataclass
class Rig:
    """An operator behind a proxy, and a place where it works."""

    place: Workplace
    proxy: FaultProxy
    operator: OperatorProcess
    role: str

    def employ_all(self) -> list[str]:
        """Some agents at once."""
        names = [f"agent-{number}" for number in range(AGENTS)]
        for name in names:
            self.place.employ(name, self.role, permission("read-tickets"), permission("refund"))
        return names

    def all_right(self, names: list[str]) -> None:
        """Wait until all are onboarded, and check what exists of each."""
        for name in names:
            uid = self.place.until_ready(name)["metadata"]["uid"]
            kinds = Counter(kind for kind, _, _ in self.place.children(uid))
            assert set(kinds.values()) == {1}
            assert len(kinds) == 7
            wanted = {("tickets", "get"), ("tickets", "list"), ("refunds", "create")}
            assert {(resource, verb) for _, _, resource, verb in self.place.rights(uid)} == wanted
        self.operator.until_idle()

    def mine(self, call: Call) -> bool:
        """Whether a request is about this test's agents; those of earlier tests may still be on their way out."""
        return self.place.is_mine(call.path)

    def writes(self, call: Call) -> bool:
        """Whether it is a write about this test's agents."""
        return call.number is not None and self.mine(call)

    def requests(self) -> int:
        """Requests about this test's agents so far."""
        return len([call for call in self.proxy.calls if self.mine(call)])

    def all_requests(self) -> int:
        """All requests to the API server so far, without the Lease's."""
        return len([call for call in self.proxy.calls if call.resource != "leases"])


@pytest.fixture(scope="module")
def behind_proxy(installed: Installation) -> Iterator[tuple[FaultProxy, OperatorProcess]]:
    with FaultProxy.before(installed.cluster.kubeconfig) as proxy:
        # A long Lease: what happens when it cannot be renewed is tested with the election.
        operator = installed.alone(
            proxy.kubeconfig(installed.token()), backoff_max="5", lease_duration="180", renew_deadline="120"
        )
        try:
            yield proxy, operator.start()
        finally:
            operator.close()
            operator.forget_lease()


@pytest.fixture
def rig(behind_proxy: tuple[FaultProxy, OperatorProcess], vacant: Workplace) -> Rig:
    proxy, operator = behind_proxy
    role = vacant.new_role()
    operator.until_idle(seconds=120)
    proxy.reset()
    return Rig(vacant, proxy, operator, role)


def test_each_write_fails_once_with_500(rig: Rig) -> None:
    seen: set[tuple[str, str]] = set()

    def first_time(call: Call) -> bool:
        key = (call.method, f"{call.path}/{call.name}/{call.subresource}")
        if not rig.writes(call) or key in seen:
            return False
        seen.add(key)
        return True

    rule = rig.proxy.inject(Status(500, "InternalError"), first_time)
    names = rig.employ_all()

    rig.all_right(names)

    assert rule.hits >= AGENTS * 8, "seven objects and a status"
    assert rig.requests() < AGENTS * 2 * REQUESTS_PER_AGENT


@pytest.mark.parametrize("when", list(When), ids=lambda when: when.value)
def test_the_connection_breaks_at_every_second_write(rig: Rig, when: When) -> None:
    counted = itertools.count()
    every_second = lambda call: rig.writes(call) and next(counted) % 2 == 0  # noqa: E731
    rule = rig.proxy.inject(Drop(when), every_second, times=AGENTS * 3)
    names = rig.employ_all()

    rig.all_right(names)

    assert rule.hits == AGENTS * 3
    assert rig.requests() < AGENTS * 2 * REQUESTS_PER_AGENT


def test_conflicts_in_a_row(rig: Rig) -> None:
    def conflicting(call: Call) -> bool:
        return rig.writes(call) and call.method in ("PUT", "PATCH")

    names = rig.employ_all()
    rig.all_right(names)
    rig.proxy.reset()
    rule = rig.proxy.inject(Status(409, "Conflict"), conflicting, times=AGENTS * 4)

    for name in names:
        rig.place.change(name, permissions=[permission("read-tickets")], purpose="Something else")

    for name in names:
        uid = rig.place.until_ready(name)["metadata"]["uid"]
        assert {resource for _, _, resource, _ in rig.place.rights(uid)} == {"tickets"}
    assert rule.hits == AGENTS * 4
    assert rig.requests() < AGENTS * 2 * REQUESTS_PER_AGENT


def test_too_many_requests_are_waited_out_as_the_server_asks(rig: Rig) -> None:
    rule = rig.proxy.inject(Status(429, "TooManyRequests", retry_after=2), rig.writes, times=AGENTS * 3)
    names = rig.employ_all()

    rig.all_right(names)

    assert rule.hits == AGENTS * 3
    delays = re.findall(r"agent-\d+ put off for ([0-9.]+) s: 429", rig.operator.log.read_text())
    assert delays
    assert all(float(delay) >= 2 for delay in delays)
    assert rig.requests() < AGENTS * 2 * REQUESTS_PER_AGENT


def test_a_server_that_refuses_everything_is_not_asked_in_a_busy_loop(rig: Rig) -> None:
    began = time.monotonic()
    rule = rig.proxy.inject(Status(500, "InternalError"), lambda call: rig.mine(call) and not call.is_watch)
    names = rig.employ_all()

    wait_for(lambda: rule.hits >= AGENTS * 7, what="several tries of each agent", timeout=120)
    asked, elapsed = rule.hits, time.monotonic() - began
    rig.proxy.withdraw(rule)

    rig.all_right(names)
    # Tries are 0.5 s apart at first, and 5 s at last, so that more than these would be another rhythm.
    assert asked <= AGENTS * (10 + elapsed / 2)
    assert rig.requests() < AGENTS * 2 * REQUESTS_PER_AGENT


def test_watches_that_break_lose_nothing(rig: Rig) -> None:
    names = rig.employ_all()
    rig.all_right(names)
    broken = rig.proxy.break_watches()
    assert broken > 10

    for name in names:
        rig.place.admin.delete(agents.RBAC, "rolebindings", f"aiagent.{name}", namespace=rig.place.namespace)

    for name in names:
        rig.place.until_can(name, "get", "tickets")
    rig.all_right(names)


def test_watches_that_expire_are_listed_anew_without_a_write(rig: Rig) -> None:
    names = rig.employ_all()
    rig.all_right(names)
    mark = rig.place.plane.audit_mark()
    rig.proxy.reset()
    expired = rig.proxy.expire_watches()
    assert expired > 10

    wait_for(
        lambda: len([call for call in rig.proxy.calls if call.is_watch]) >= expired, what="every watch to begin anew"
    )
    lists = {c.resource for c in rig.proxy.calls if c.method == "GET" and not c.is_watch}
    assert lists >= {"aiagents", "roles", "rolebindings", "serviceaccounts", "deployments", "networkpolicies"}
    rig.operator.until_idle()
    assert [f"{w.verb} {w.uri}" for w in rig.place.writes(mark)] == []
    rig.place.admin.delete(agents.RBAC, "rolebindings", f"aiagent.{names[0]}", namespace=rig.place.namespace)
    rig.place.until_can(names[0], "get", "tickets")


def test_a_list_that_expires_on_the_way_is_begun_anew(rig: Rig) -> None:
    names = rig.employ_all()
    rig.all_right(names)

    def later_page(call: Call) -> bool:
        return call.method == "GET" and "continue" in call.query

    rule = rig.proxy.inject(Status(410, "Expired"), later_page, times=1)
    rig.operator.kill9()
    rig.operator.forget_lease()
    small = rig.place.installed.process(rig.proxy.kubeconfig(rig.place.installed.token()), page_size="10")
    for number in range(12):
        rig.place.employ(f"more-{number}", rig.role, permission("refund"), workload=agents.template(replicas=0))
    with small:
        for number in range(12):
            rig.place.until_ready(f"more-{number}")
        small.kill9()
        small.forget_lease()
        small.start()
        small.until_idle()
        assert rule.hits == 1
    rig.operator.forget_lease()
    rig.operator.start()
    rig.all_right(names)


def _employed(rig: Rig) -> list[str]:
    names = rig.employ_all()
    rig.all_right(names)
    return names


def test_the_api_server_is_stopped_and_comes_back(rig: Rig) -> None:
    names = _employed(rig)
    plane = rig.place.plane
    plane.stop_apiserver()
    rig.proxy.reset()

    began = time.monotonic()
    wait_for(lambda: rig.all_requests() >= 60, what="the operator to try again and again", timeout=120)
    asked, elapsed = rig.all_requests(), time.monotonic() - began
    plane.start_apiserver()
    wait_for(rig.operator.is_leading, what="the operator to lead again", timeout=120)

    # Some twenty watches, each at first after half a second and then ever less often.
    assert asked < 30 * (6 + elapsed / 2)
    role, home = "aiagent.agent-0", rig.place.namespace
    rig.place.admin.delete(agents.RBAC, "roles", role, namespace=home)
    rig.place.admin.wait_object(agents.RBAC, "roles", role, bool, what="the deleted Role to be back", namespace=home)
    rig.all_right(names)


def test_the_api_server_restarts_over_a_compacted_etcd(rig: Rig) -> None:
    names = _employed(rig)
    plane = rig.place.plane
    plane.stop_apiserver()
    plane.compact_etcd()
    plane.start_apiserver()
    wait_for(rig.operator.is_leading, what="the operator to lead again", timeout=120)

    for name in names:
        rig.place.admin.delete(agents.RBAC, "rolebindings", f"aiagent.{name}", namespace=rig.place.namespace)

    for name in names:
        rig.place.until_can(name, "get", "tickets")
    rig.all_right(names)
