"""The fault-injecting proxy, before a real API server."""

import threading
import time
from collections.abc import Iterator

import orjson
import pytest
import urllib3

from support.cluster import Cluster
from support.kube import ApiError, Kube, wait_for
from support.proxy import Call, Delay, Drop, FaultProxy, Hold, ProxyError, Status, When


@pytest.fixture
def proxy(control_plane: Cluster) -> Iterator[FaultProxy]:
    with FaultProxy.before(control_plane.kubeconfig) as running:
        yield running


@pytest.fixture
def client(proxy: FaultProxy, admin: Kube, namespace: str) -> Kube:
    """An account that may do everything with ConfigMaps and leases of the namespace, through the proxy."""
    rules = [
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]},
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["*"]},
    ]
    rbac = "rbac.authorization.k8s.io"
    meta = {"namespace": namespace, "name": "tester"}
    admin.create({"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": meta, "rules": rules})
    admin.create(
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": meta,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "tester"},
            "subjects": [{"kind": "ServiceAccount", "namespace": namespace, "name": "default"}],
        }
    )
    return Kube.from_kubeconfig(proxy.kubeconfig(admin.token(namespace, "default")))


def _config_map(namespace: str, name: str, value: str = "one") -> dict[str, object]:
    meta = {"namespace": namespace, "name": name}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"key": value}}


def _lease(namespace: str) -> dict[str, object]:
    meta = {"namespace": namespace, "name": "leader"}
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta, "spec": {"holderIdentity": "a"}}


def test_it_passes_on_the_clients_own_identity(client: Kube, namespace: str) -> None:
    client.create(_config_map(namespace, "allowed"))

    with pytest.raises(ApiError) as refused:
        client.list("v1", "secrets", namespace=namespace)

    assert refused.value.status == 403
    assert f"system:serviceaccount:{namespace}:default" in refused.value.message


def test_it_counts_writes_but_neither_leases_nor_reviews_nor_dry_runs(
    proxy: FaultProxy, client: Kube, namespace: str
) -> None:
    client.create(_lease(namespace))
    client.create(_config_map(namespace, "dry"), dry_run=True)
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    client.raw("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", review)
    client.list("v1", "configmaps", namespace=namespace)
    assert proxy.mutations == 0

    client.create(_config_map(namespace, "a"))
    client.patch("v1", "configmaps", "a", {"data": {"key": "two"}}, namespace=namespace)
    client.delete("v1", "configmaps", "a", namespace=namespace)

    assert proxy.mutations == 3
    writes = [(c.number, c.method, c.resource, c.name, c.status) for c in proxy.calls if c.number is not None]
    assert writes == [
        (1, "POST", "configmaps", "a", 201),
        (2, "PATCH", "configmaps", "a", 200),
        (3, "DELETE", "configmaps", "a", 200),
    ]
    proxy.reset()
    assert (proxy.mutations, proxy.calls) == (0, [])


@pytest.mark.parametrize("when", list(When))
def test_a_crash_hits_exactly_the_chosen_write(
    proxy: FaultProxy, client: Kube, admin: Kube, namespace: str, when: When
) -> None:
    seen: list[tuple[Call, bool]] = []

    def kill(call: Call) -> None:
        seen.append((call, admin.find("v1", "configmaps", call.name, namespace=namespace) is not None))

    proxy.crash_at(2, when, kill)
    client.create(_config_map(namespace, "first"))
    with pytest.raises(urllib3.exceptions.ProtocolError):
        client.create(_config_map(namespace, "second"))
    client.create(_config_map(namespace, "third"))

    ((call, existed),) = seen
    assert (call.number, call.name) == (2, "second")
    assert existed is (when is When.AFTER)
    assert (admin.find("v1", "configmaps", "second", namespace=namespace) is not None) is (when is When.AFTER)


def test_who_is_spared_is_killed_no_more_and_who_was_being_killed_is_dead(
    proxy: FaultProxy, client: Kube, namespace: str
) -> None:
    begun, killed = threading.Event(), threading.Event()

    def kill(_: Call) -> None:
        begun.set()
        time.sleep(0.3)
        killed.set()

    def write() -> None:
        with pytest.raises(urllib3.exceptions.ProtocolError):
            client.create(_config_map(namespace, "first"))

    proxy.crash_at(1, When.BEFORE, kill)
    proxy.crash_at(2, When.BEFORE, kill)
    writer = threading.Thread(target=write)
    writer.start()
    assert begun.wait(10)
    proxy.spare()
    assert killed.is_set()
    writer.join(10)
    client.create(_config_map(namespace, "second"))
    assert [call.status for call in proxy.calls if call.number] == [None, 201]


def test_a_hook_that_fails_is_not_swallowed(control_plane: Cluster, admin: Kube, namespace: str) -> None:
    def kill(call: Call) -> None:
        raise LookupError("no such process")

    proxy = FaultProxy.before(control_plane.kubeconfig).start()
    proxy.crash_at(1, When.BEFORE, kill)
    client = Kube.from_kubeconfig(proxy.kubeconfig(admin.token(namespace, "default")))
    with pytest.raises(urllib3.exceptions.ProtocolError):
        client.create(_config_map(namespace, "any"))

    with pytest.raises(ProxyError, match="no such process"):
        proxy.stop()


def test_a_storm_answers_as_the_api_server_would_and_ends(proxy: FaultProxy, client: Kube, namespace: str) -> None:
    storm = proxy.inject(
        Status(429, "TooManyRequests", retry_after=3), lambda call: call.resource == "configmaps", times=2
    )

    for _ in range(2):
        with pytest.raises(ApiError) as refused:
            client.create(_config_map(namespace, "late"))
        assert (refused.value.status, refused.value.reason) == (429, "TooManyRequests")
        assert refused.value.headers["Retry-After"] == "3"
    client.create(_config_map(namespace, "late"))

    assert storm.hits == 2


@pytest.mark.parametrize(("code", "reason"), [(409, "Conflict"), (500, "InternalError"), (503, "ServiceUnavailable")])
def test_any_status_can_be_injected_until_withdrawn(
    proxy: FaultProxy, client: Kube, namespace: str, code: int, reason: str
) -> None:
    rule = proxy.inject(Status(code, reason), lambda call: call.method == "POST")
    with pytest.raises(ApiError) as refused:
        client.create(_config_map(namespace, "x"))
    assert (refused.value.status, refused.value.reason) == (code, reason)

    proxy.withdraw(rule)

    client.create(_config_map(namespace, "x"))


def test_a_dropped_connection_before_and_after(proxy: FaultProxy, client: Kube, admin: Kube, namespace: str) -> None:
    for when in When:
        proxy.inject(Drop(when), lambda call: call.method == "POST", times=1)
        with pytest.raises(urllib3.exceptions.ProtocolError):
            client.create(_config_map(namespace, f"dropped-{when.lower()}"))

    names = {item["metadata"]["name"] for item in admin.list("v1", "configmaps", namespace=namespace)}
    assert "dropped-after" in names
    assert "dropped-before" not in names


def test_a_held_request_lets_others_pass(proxy: FaultProxy, client: Kube, admin: Kube, namespace: str) -> None:
    released = threading.Event()
    proxy.inject(Hold(released), lambda call: call.name == "slow")
    slow = threading.Thread(target=client.create, args=(_config_map(namespace, "slow"),))
    slow.start()
    wait_for(lambda: any(c.name == "slow" for c in proxy.calls), what="the slow request to arrive")

    client.create(_config_map(namespace, "quick"))

    assert admin.find("v1", "configmaps", "slow", namespace=namespace) is None
    released.set()
    slow.join()
    assert admin.find("v1", "configmaps", "slow", namespace=namespace)


def test_a_delayed_request_is_carried_out(proxy: FaultProxy, client: Kube, namespace: str) -> None:
    rule = proxy.inject(Delay(0.1), lambda call: call.method == "POST", times=1)

    client.create(_config_map(namespace, "late"))

    assert rule.hits == 1
    assert proxy.calls[-1].status == 201


class Watch:
    """A watch in a thread of its own, collecting events."""

    def __init__(self, proxy: FaultProxy, token: str, namespace: str) -> None:
        self.events: list[dict[str, object]] = []
        self.error: Exception | None = None
        self.ended = threading.Event()
        url = f"{proxy.url}/api/v1/namespaces/{namespace}/configmaps?watch=true"
        self._answer = urllib3.PoolManager(retries=False).request(
            "GET", url, headers={"Authorization": f"Bearer {token}"}, preload_content=False
        )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        rest = b""
        try:
            for chunk in self._answer.stream(65536):
                *lines, rest = (rest + chunk).split(b"\n")
                self.events += [orjson.loads(line) for line in lines]
        except urllib3.exceptions.HTTPError as error:
            self.error = error
        self.ended.set()

    def saw(self, name: str) -> bool:
        return any(event["object"]["metadata"].get("name") == name for event in self.events)  # type: ignore[index]


def test_a_watch_streams_and_can_be_told_that_it_is_too_old(
    proxy: FaultProxy, client: Kube, admin: Kube, namespace: str
) -> None:
    watch = Watch(proxy, admin.token(namespace, "default"), namespace)
    client.create(_config_map(namespace, "live"))
    wait_for(lambda: watch.saw("live"), what="the event of ConfigMap live in the watch")

    assert proxy.expire_watches() == 1

    assert watch.ended.wait(30), "the watch did not end"
    last = watch.events[-1]
    assert (last["type"], last["object"]["code"], last["object"]["reason"]) == ("ERROR", 410, "Expired")  # type: ignore[index]
    assert watch.error is None
    assert proxy.expire_watches() == 0


def test_a_watch_can_be_cut_and_refused(proxy: FaultProxy, client: Kube, admin: Kube, namespace: str) -> None:
    token = admin.token(namespace, "default")
    watch = Watch(proxy, token, namespace)
    client.create(_config_map(namespace, "live"))
    wait_for(lambda: watch.saw("live"), what="the event of ConfigMap live in the watch")

    assert proxy.break_watches() == 1

    assert watch.ended.wait(30), "the watch did not end"
    assert watch.error is not None
    proxy.inject(Status(410, "Expired"), lambda call: call.is_watch)
    with pytest.raises(ApiError) as gone:
        client.raw("GET", f"/api/v1/namespaces/{namespace}/configmaps", params={"watch": "true"})
    assert (gone.value.status, gone.value.reason) == (410, "Expired")
