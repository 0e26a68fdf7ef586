"""Callers in the cluster: one pod that asks the agent a fixed number of times a second, and forgives nothing.

They know which queue is right, and tell the agent so. Every answer other than a good one, every refused or broken
connection and every timeout counts as failed; nothing is tried again. Three in four requests open a connection of their
own, as many callers do, so that each may reach any pod; these are the ones that shares are measured by. The others come
over connections that are kept for as long as the agent does.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from support.kube import Kube, Object, wait_for

NAMESPACE = "helpdesk"
NAME = "callers"

# Each thread keeps to its times whatever the answers do; it says once a second what has come of its requests.
_SCRIPT = """
import collections, http.client, json, socket, sys, threading, time
host, port, threads, pause = sys.argv[1], 80, 8, float(sys.argv[2])
address = socket.getaddrinfo(host, port)[0][4][0]
ticket, right = {"text": "My parcel should have been here on Monday."}, "delivery"
lock, fresh, kept, failed = threading.Lock(), collections.Counter(), collections.Counter(), []

def post(connection, path, body, good):
    connection.request("POST", path, json.dumps(body), {"Host": host, "Content-Type": "application/json"})
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != good:
        raise RuntimeError("%s: status %d: %r" % (path, answer.status, content[:200]))
    return content, answer.will_close

def ask(connection):
    content, closing = post(connection, "/v1/triage", ticket, 200)
    said = json.loads(content)
    if "queue" in said and not closing:
        judged = {"model": said["model"], "queue": said["queue"], "right": right}
        _, closing = post(connection, "/v1/feedback", judged, 204)
    return said["model"], closing

def call(number):
    keeps, connection, due = number % 4 == 0, None, time.monotonic() + number * pause / threads
    while True:
        due += pause
        time.sleep(max(0.0, due - time.monotonic()))
        try:
            if connection is None:
                connection = http.client.HTTPConnection(address, port, timeout=10)
            model, closing = ask(connection)
            with lock:
                (kept if keeps else fresh)[model] += 1
        except Exception as error:
            closing = True
            with lock:
                failed.append("%s: %s" % (type(error).__name__, error))
        if closing or not keeps:
            connection.close()
            connection = None

for number in range(threads):
    threading.Thread(target=call, args=(number,), daemon=True).start()
while True:
    time.sleep(1)
    with lock:
        print(json.dumps([time.time(), dict(fresh), dict(kept), failed]), flush=True)
        fresh.clear(), kept.clear(), failed.clear()
"""


@dataclass
class Answers:
    """What came of the requests of a time: answers by model, and what failed."""

    fresh: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    seconds: int = 0

    @property
    def number(self) -> int:
        """All requests."""
        return self.fresh.total() + self.kept.total() + len(self.failed)

    @property
    def all(self) -> Counter[str]:
        """All answers, by model."""
        return self.fresh + self.kept

    def share(self, model: str) -> float:
        """Share of the answers that a model gave, of those that could have come from any pod."""
        return self.fresh[model] / self.fresh.total()


class Callers:
    """The pod, from its first answer on."""

    def __init__(self, kube: Kube, image: str, host: str, *, rate: int = 60) -> None:
        self._kube = kube
        kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        pause = 8 / rate
        container = {"name": "app", "image": image, "command": ["python3", "-uc", _SCRIPT, host, str(pause)]}
        spec: Object = {"containers": [container], "restartPolicy": "Never", "terminationGracePeriodSeconds": 0}
        metadata = {"name": NAME, "namespace": NAMESPACE}
        kube.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        kube.wait_object(
            "v1", "pods", NAME, lambda pod: pod["status"].get("phase") == "Running",
            what="the callers to run", namespace=NAMESPACE, timeout=120,
        )  # fmt: skip
        wait_for(lambda: self.since(0).number > 0, what="the first answers", timeout=120)

    def since(self, moment: float, until: float = float("inf")) -> Answers:
        """What has come of the requests since a moment (Unix time), second by second; all of them since 0."""
        found = Answers()
        for when, fresh, kept, failed in self._lines():
            if moment < when - 1 and when <= until:
                found.fresh.update(fresh)
                found.kept.update(kept)
                found.failed += failed
                found.seconds += 1
        return found

    def _lines(self) -> Iterator[tuple[float, dict[str, int], dict[str, int], list[str]]]:
        """One for each second: its end, and what came of it."""
        log = self._kube.raw("GET", f"/api/v1/namespaces/{NAMESPACE}/pods/{NAME}/log", accept="*/*")
        return (json.loads(line) for line in log.splitlines())

    def span(self, model: str, moment: float) -> float:
        """Seconds from the first answer that a model gave since a moment to its last one so far, both counted whole."""
        ended = [when for when, fresh, kept, _ in self._lines() if when > moment and (model in fresh or model in kept)]
        assert ended, f"{model} was to answer somebody"
        return ended[-1] - ended[0] + 1

    def for_a_while(self, seconds: float) -> Answers:
        """What comes of the requests from now on, for some seconds."""
        begin = time.time()
        time.sleep(seconds)
        return self.since(begin)

    def for_as_many(self, answers: int) -> Answers:
        """What comes of the requests from now on, until there are so many answers that could be from any pod."""
        begin = time.time()
        what = f"{answers} answers"
        wait_for(lambda: time.sleep(2) or self.since(begin).fresh.total() >= answers, what=what, timeout=600)
        return self.since(begin)

    def leave(self) -> None:
        """Ends it."""
        self._kube.delete("v1", "pods", NAME, namespace=NAMESPACE, grace_seconds=0)
        self._kube.wait_gone("v1", "pods", NAME, namespace=NAMESPACE)
