"""Leader election on a real Lease: one leader, at once after a clean stop, after the promised time otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from kubernetes.aio import config
from kubernetes.aio.client.configuration import Configuration

from aiagent_operator.runtime import metrics
from aiagent_operator.runtime.client import Api
from aiagent_operator.runtime.health import STALE, Health, unanswered
from aiagent_operator.runtime.leader import Leader, LeaseLostError
from aiagent_operator.runtime.settings import Settings
from support.cluster import Cluster
from support.kube import Kube

pytestmark = pytest.mark.cluster
LEASES = "coordination.k8s.io/v1"


async def connect(kubeconfig: Path) -> Api:
    configuration = Configuration()
    await config.load_kube_config(config_file=str(kubeconfig), client_configuration=configuration)
    return Api(configuration)


@pytest_asyncio.fixture
async def api(control_plane: Cluster) -> AsyncIterator[Api]:
    async with await connect(control_plane.kubeconfig) as connected:
        yield connected


class Candidate:
    """A leader with the events of its life, in order."""

    def __init__(self, api: Api, settings: Settings) -> None:
        self.leader = Leader(api, settings)
        self.events: list[str] = []
        self.started = asyncio.Event()
        self.on_stopped: Callable[[], Awaitable[None]] = self._nothing
        self.fail: Exception | None = None
        self.task = asyncio.create_task(self.leader.run(self._work, self._stopped))

    @staticmethod
    async def _nothing() -> None:
        return None

    async def _work(self) -> None:
        self.events.append("started")
        self.started.set()
        if self.fail:
            raise self.fail
        await asyncio.Event().wait()

    async def _stopped(self) -> None:
        await self.on_stopped()
        self.events.append("stopped")


@asynccontextmanager
async def candidates(*made: Candidate) -> AsyncIterator[None]:
    """Whatever the test does with them, none outlives it."""
    try:
        yield
    finally:
        for candidate in made:
            candidate.task.cancel()
        await asyncio.gather(*(c.task for c in made), return_exceptions=True)


def settings(namespace: str, **changes: Any) -> Settings:
    # Renewed often, as tests wait for renewals, and good for so long that a machine that stalls takes it from nobody.
    times = {"lease_duration": 120, "renew_deadline": 60, "retry_period": 0.2}
    return Settings(namespace=namespace, lease_name="test", health_host="127.0.0.1", health_port=0, **times | changes)


def lease(admin: Kube, namespace: str) -> dict[str, Any]:
    return admin.get(LEASES, "leases", "test", namespace=namespace)


def hold(admin: Kube, namespace: str, holder: str, seconds: int) -> None:
    """Somebody takes the Lease, as an administrator can."""
    spec = {"holderIdentity": holder, "leaseDurationSeconds": seconds, "renewTime": "2020-01-01T00:00:00.000000Z"}
    admin.apply(
        {"apiVersion": LEASES, "kind": "Lease", "metadata": {"name": "test", "namespace": namespace}, "spec": spec},
        force=True,
    )


async def until(predicate: Callable[[], bool], what: str) -> None:
    """Waits for what the API server or another task brings about."""
    deadline = asyncio.get_running_loop().time() + 30
    while not predicate():
        if asyncio.get_running_loop().time() > deadline:
            pytest.fail(f"waited in vain for {what}")
        await asyncio.sleep(0.02)


async def test_one_leads_and_the_next_takes_over_after_a_clean_stop(api: Api, admin: Kube, namespace: str) -> None:
    # So long a Lease that only its release can let the second in within this test.
    chosen = settings(namespace, lease_duration=3600, renew_deadline=30)
    first = Candidate(api, chosen)
    await asyncio.wait_for(first.started.wait(), 30)
    second = Candidate(api, chosen)
    async with candidates(first, second):
        await until(lambda: second.leader.waiting_for == "", "the standby to see the Lease")
        assert (first.leader.leading, second.leader.leading) == (True, False)
        assert lease(admin, namespace)["spec"]["holderIdentity"] == first.leader.identity
        assert 0 < first.leader.remaining() <= 3600
        first.leader.stop()
        await first.task
        await asyncio.wait_for(second.started.wait(), 30)
        assert first.events == ["started", "stopped"]
        assert first.leader.remaining() == 0
        assert lease(admin, namespace)["spec"]["leaseTransitions"] == 1


async def test_the_lease_is_kept_while_the_work_stops_and_only_then_released(
    api: Api, admin: Kube, namespace: str
) -> None:
    first = Candidate(api, settings(namespace))
    async with candidates(first):
        await asyncio.wait_for(first.started.wait(), 30)
        seen: list[tuple[str, float]] = []

        async def drain() -> None:
            before = lease(admin, namespace)["metadata"]["resourceVersion"]
            await until(lambda: lease(admin, namespace)["metadata"]["resourceVersion"] != before, "a renewal")
            seen.append((lease(admin, namespace)["spec"]["holderIdentity"], first.leader.remaining()))

        first.on_stopped = drain
        first.leader.stop()
        await first.task
        assert seen[0][0] == first.leader.identity
        assert seen[0][1] > 0
        assert lease(admin, namespace)["spec"].get("holderIdentity", "") == ""


async def test_a_lease_that_somebody_edits_at_the_last_moment_is_released_all_the_same(
    api: Api, admin: Kube, namespace: str
) -> None:
    # No renewal comes in between that would see the edit.
    first = Candidate(api, settings(namespace, retry_period=30))
    async with candidates(first):
        await asyncio.wait_for(first.started.wait(), 30)

        async def edit() -> None:
            admin.patch(LEASES, "leases", "test", {"metadata": {"labels": {"a": "b"}}}, namespace=namespace)

        first.on_stopped = edit
        first.leader.stop()
        await first.task
        assert lease(admin, namespace)["spec"].get("holderIdentity", "") == ""
        assert lease(admin, namespace)["metadata"]["labels"] == {"a": "b"}


async def test_another_holders_wall_clock_is_not_believed(api: Api, admin: Kube, namespace: str) -> None:
    hold(admin, namespace, "stranger", 3600)  # renewed in 2020, by its own account
    waiting = Candidate(api, settings(namespace))
    async with candidates(waiting):
        await until(lambda: waiting.leader.waiting_for == "", "the first look")
        looked = asyncio.create_task(waiting.started.wait())
        done, _ = await asyncio.wait({looked}, timeout=1)
        assert not done
        hold(admin, namespace, "stranger", 1)  # its promise is short now
        await asyncio.wait_for(looked, 30)
        assert lease(admin, namespace)["spec"]["holderIdentity"] == waiting.leader.identity


async def test_a_leader_whose_lease_is_taken_stops_with_an_error(api: Api, admin: Kube, namespace: str) -> None:
    leader = Candidate(api, settings(namespace))
    async with candidates(leader):
        await asyncio.wait_for(leader.started.wait(), 30)
        hold(admin, namespace, "usurper", 3600)
        with pytest.raises(LeaseLostError, match="held by usurper"):
            await leader.task
        assert leader.events == ["started", "stopped"]
        assert leader.leader.remaining() == 0
        assert lease(admin, namespace)["spec"]["holderIdentity"] == "usurper"


async def test_somebody_elses_edit_and_deletion_of_the_lease_are_survived(
    api: Api, admin: Kube, namespace: str
) -> None:
    leader = Candidate(api, settings(namespace))
    async with candidates(leader):
        await asyncio.wait_for(leader.started.wait(), 30)
        admin.patch(LEASES, "leases", "test", {"metadata": {"labels": {"a": "b"}}}, namespace=namespace)
        old = lease(admin, namespace)["metadata"]["resourceVersion"]
        await until(lambda: lease(admin, namespace)["metadata"]["resourceVersion"] != old, "a renewal after the edit")
        assert lease(admin, namespace)["metadata"]["labels"] == {"a": "b"}
        admin.delete(LEASES, "leases", "test", namespace=namespace)
        await until(lambda: admin.find(LEASES, "leases", "test", namespace=namespace) is not None, "the Lease anew")
        assert leader.leader.leading
        assert not leader.task.done()


async def test_without_the_api_server_the_leader_gives_up_before_its_time_is_over(
    control_plane: Cluster, namespace: str
) -> None:
    relay = Relay(control_plane.server)
    async with relay, await connect(control_plane.kubeconfig) as api:
        through = Configuration()
        through.__dict__.update(api.configuration.__dict__)
        through.host = f"https://127.0.0.1:{relay.port}"
        async with Api(through) as relayed:
            leader = Candidate(relayed, settings(namespace, lease_duration=6, renew_deadline=4))
            async with candidates(leader):
                await asyncio.wait_for(leader.started.wait(), 30)
                left: list[float] = []

                async def note() -> None:
                    left.append(leader.leader.remaining())

                leader.on_stopped = note
                await relay.cut()
                with pytest.raises(LeaseLostError, match="no renewal succeeded for 4 s"):
                    await leader.task
                assert left == [0.0]


async def test_a_failure_of_the_work_is_raised_and_the_lease_released(api: Api, admin: Kube, namespace: str) -> None:
    leader = Candidate(api, settings(namespace))
    leader.fail = ValueError("no such thing")
    async with candidates(leader):
        with pytest.raises(ValueError, match="no such thing"):
            await leader.task
    assert leader.events == ["started", "stopped"]
    assert lease(admin, namespace)["spec"].get("holderIdentity", "") == ""


async def test_a_missing_right_is_said_with_its_remedy(control_plane: Cluster, namespace: str) -> None:
    async with await connect(control_plane.kubeconfig_for("nobody@corp.example")) as api:
        candidate = Candidate(api, settings(namespace))
        async with candidates(candidate):
            await until(lambda: "forbidden" in candidate.leader.waiting_for, "the refusal")
            assert "bind the operator's account" in candidate.leader.waiting_for
            candidate.leader.stop()
            await candidate.task
            assert candidate.events == []


async def test_probes_and_metrics_are_served() -> None:
    waits = ["waits for the caches"]
    health = Health(settings("default"), lambda: waits[0])
    now = [0.0]
    heart = health.register("work", clock=lambda: now[0])
    await health.start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{health.port}") as session:
            assert await answer(session, "/readyz") == (503, "waits for the caches\n")
            waits[0] = ""
            assert await answer(session, "/readyz") == (200, "ready\n")
            assert await answer(session, "/healthz") == (200, "alive\n")
            now[0] = STALE + 1
            assert await answer(session, "/healthz") == (503, "event loop 'work' has been stuck for 61 s\n")
            heart.beat()
            assert await answer(session, "/healthz") == (200, "alive\n")
            now[0] = 2 * STALE + 2
            health.unregister(heart)
            assert await answer(session, "/healthz") == (200, "alive\n")
            metrics.LEADER.set(0)
            status, text = await answer(session, "/metrics")
            assert status == 200
            assert "\naiagent_leader 0.0\n" in text
    finally:
        await health.stop()


def test_silence_of_the_api_server_is_said() -> None:
    assert unanswered(0.0, within=-1.0).startswith("waits for the API server: no answer for ")
    assert unanswered(float("inf")) == ""


async def answer(session: aiohttp.ClientSession, path: str) -> tuple[int, str]:
    async with session.get(path) as response:
        return response.status, await response.text()


class Relay:
    """Passes bytes to the API server until it is cut; a real connection that really breaks."""

    def __init__(self, server: str) -> None:
        host, _, port = server.removeprefix("https://").partition(":")
        self._target = (host, int(port))
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def __aenter__(self) -> Relay:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cut()

    async def cut(self) -> None:
        """Closes all connections and takes no more."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._writers:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        self._writers |= {writer, far_writer}
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        return
    finally:
        writer.close()
