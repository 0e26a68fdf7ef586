"""The limit of a retraining: the very writes that the operator makes, sent straight by the fastest client.

They are recorded on their way from the operator to the API server, once, and sent again with other agents' names. What
follows from the end of a Job is sent when the Job has ended: its controller, the scheduler and the fake nodes work for
both. UIDs and versions that only an answer tells are left out: the API server takes the writes without them.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from aiagent_operator.api import meta
from bench import agents
from bench.fleet import Fleet
from bench.load import Client, Later, Request
from bench.watcher import Agent, say
from support import chart
from support.follower import Follower
from support.kube import Object
from support.operator import OperatorProcess
from support.proxy import Call, FaultProxy

# Words that occur nowhere else in the model's writes.
_MODEL: Agent = ("zebra-crossing", "walrus-bay")
_PATCH, _JSON = "application/merge-patch+json", "application/json"


@dataclass(frozen=True)
class _Recorded:
    """One write, with the model's names in it."""

    method: str
    path: str
    body: str

    def request(self, client: Client, agent: Agent, uid: str, model_uid: str, then: Request | None) -> Request:
        """The same for another agent."""
        name, where = agent

        def renamed(text: str) -> str:
            return text.replace(model_uid, uid).replace(_MODEL[0], name).replace(_MODEL[1], where)

        content = _PATCH if self.method == "PATCH" else _JSON
        return client.request(
            self.method, renamed(self.path), orjson.loads(renamed(self.body)), then=then, content=content
        )


@dataclass(frozen=True)
class Replay:
    """The writes of one retraining: those up to the Job, and those after its end."""

    first: tuple[_Recorded, ...]
    second: tuple[_Recorded, ...]
    uid: str

    @property
    def writes(self) -> dict[str, int]:
        """How many there are, by method and resource."""
        paths = ((each.method, each.path.partition("?")[0].split("/")) for each in (*self.first, *self.second))
        return dict(Counter(f"{method.lower()} {_resource(parts)}" for method, parts in paths))

    @classmethod
    def record(cls, fleet: Fleet) -> Replay:
        """From one retraining of one agent, by an operator behind a proxy."""
        say("recording the writes of one retraining (about a minute)")
        fleet.namespaces([_MODEL[1]])
        with FaultProxy.before(fleet.plane.kubeconfig) as proxy:
            token = fleet.admin.token(chart.NAMESPACE, chart.ACCOUNT, seconds=7200)
            operator = fleet.operator(kubeconfig=proxy.kubeconfig(token))
            fleet.onboard(operator, [_MODEL], retraining={"jobTemplate": agents.job_template()})
            calls = _trained(fleet, operator, proxy)
            operator.terminate()
        uid = fleet.admin.get(meta.API_VERSION, "aiagents", _MODEL[0], namespace=_MODEL[1])["metadata"]["uid"]
        found = [_recorded(call) for call in calls]
        cut = 1 + next(i for i, each in enumerate(found) if each.method == "POST" and "/jobs" in each.path)
        return cls(tuple(found[:cut]), tuple(found[cut:]), uid)

    def play(
        self, fleet: Fleet, client: Client, wanted: Sequence[Agent], *, connections: int, waiting: bool = True
    ) -> float:
        """Sends the writes of each agent's retraining one after the other, many agents at a time; seconds for all.

        Without `waiting` nobody waits for the Jobs: what the writes take by themselves.
        """
        live = fleet.admin.list(meta.API_VERSION, "aiagents")
        uids = {(a["metadata"]["name"], a["metadata"]["namespace"]): a["metadata"]["uid"] for a in live}
        seconds = {agent: self._chain(client, self.second, agent, uids[agent]) for agent in wanted}
        if not waiting:
            whole = [self._chain(client, (*self.first, *self.second), agent, uids[agent]) for agent in wanted]
            return client.send(whole, connections=connections).seconds
        firsts = [self._chain(client, self.first, agent, uids[agent]) for agent in wanted]
        later, by_job = Later(len(wanted)), {(where, f"{name}-2-train"): (name, where) for name, where in wanted}
        take = functools.partial(_ended, by_job, seconds, later)
        with Follower(fleet.plane.kubeconfig, "/apis/batch/v1/jobs", take) as follower:
            taken = client.send(firsts, connections=connections, later=later).seconds
            follower.check()
        return taken

    def _chain(self, client: Client, what: Sequence[_Recorded], agent: Agent, uid: str) -> Request:
        then: Request | None = None
        for each in reversed(what):
            then = each.request(client, agent, uid, self.uid, then)
        if then is None:
            raise ValueError("a retraining without writes")
        return then


def _trained(fleet: Fleet, operator: OperatorProcess, proxy: FaultProxy) -> list[Call]:
    """The operator's writes from the due time on. Events are notes for people, and the Lease is nobody's retraining."""
    proxy.reset()
    fleet.train(operator, [_MODEL])
    calls = [call for call in proxy.calls if call.number and call.status and call.status < 400]
    begun = next(index for index, call in enumerate(calls) if call.method == "POST")
    return [call for call in calls[begun:] if call.resource != "events"]


def _recorded(call: Call) -> _Recorded:
    body: Object = orjson.loads(call.body) if call.body else {}
    query = "&".join(f"{name}={value}" for name, value in call.query.items())
    return _Recorded(call.method, f"{call.path}?{query}" if query else call.path, orjson.dumps(_plain(body)).decode())


def _plain(body: Object) -> Object:
    """Without what only an answer to an earlier write tells."""
    plain: dict[str, Any] = {key: value for key, value in body.items() if key != "preconditions"}
    if "metadata" in plain:
        told = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields")
        plain["metadata"] = {key: value for key, value in plain["metadata"].items() if key not in told}
    return plain


def _resource(parts: Sequence[str]) -> str:
    """Plural and subresource of /apis/<group>/<version>/namespaces/<name>/<plural>[/<name>[/<subresource>]]."""
    rest = parts[parts.index("namespaces") + 2 :] if "namespaces" in parts else parts[-2:]
    return f"{rest[0]}/{rest[2]}" if len(rest) > 2 else rest[0]


def _ended(
    by_job: dict[tuple[str, str], Agent], seconds: dict[Agent, Request], later: Later, kind: str, job: Object
) -> None:
    """A Job of an agent has ended: its second half follows, once."""
    key = (job["metadata"]["namespace"], job["metadata"]["name"])
    conditions = (job.get("status") or {}).get("conditions") or ()
    if key in by_job and any(c["type"] == "Complete" and c["status"] == "True" for c in conditions):
        later.put(seconds[by_job.pop(key)])
