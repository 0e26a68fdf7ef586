"""An agent in the kind cluster, and those who ask it."""

from __future__ import annotations

from e2e.callers import Answers, Callers
from e2e.conftest import agent
from support.agents import API, order
from support.kube import Kube, Object, wait_for

# Seconds for one thing to come about: pods of Jobs import large libraries, on a machine that may be busy.
PATIENCE = 300.0


class Agency:
    """The agent, and its callers."""

    def __init__(self, kube: Kube, callers: Callers, namespace: str, name: str) -> None:
        self.kube, self.callers = kube, callers
        self.namespace, self.name = namespace, name

    def agent(self) -> Object:
        return agent(self.kube, self.namespace, self.name)

    def change(self, **spec: object) -> None:
        """Changes fields of its spec."""
        self.kube.patch(API, "aiagents", self.name, {"spec": spec}, namespace=self.namespace)

    def order(self, action: str, name: str) -> None:
        """Orders something in the administrator's name."""
        self.kube.create(order(self.namespace, name, action, self.kube.whoami(), self.name))

    def revision(self, number: int) -> Object:
        """A revision as it is, empty where there is none yet."""
        return self.kube.find(API, "agentrevisions", f"{self.name}-{number}", namespace=self.namespace) or {}

    def unless_rejected(self, number: int) -> bool:
        """True; AssertionError with the reason where a revision was given up, for which nobody should wait."""
        status = self.revision(number).get("status") or {}
        assert status.get("state") != "Rejected", status
        return True

    def until(self, what: str, holds: object, *, timeout: float = PATIENCE) -> Object:
        """Waits until something is so of the agent."""
        return self.kube.wait_object(
            API, "aiagents", self.name, holds, what=what, namespace=self.namespace, timeout=timeout  # type: ignore[arg-type]
        )  # fmt: skip

    def until_a_person_is_waited_for(self, number: int) -> None:
        """Waits until the rollout of a revision stands at a pause without an end."""

        def waits(found: Object) -> bool:
            rollout = found["status"].get("rollout", {})
            return self.unless_rejected(number) and rollout.get("waitsFor") == "Person"

        self.until(f"revision {number} to have its share, and to wait for a person", waits)

    def until_it_serves(self, number: int) -> None:
        """Waits until a revision is the stable one, and no other is on its way."""

        def serves(found: Object) -> bool:
            revision = (found.get("status") or {}).get("revision", {})
            return revision.get("stable") == number and "rollingOut" not in revision

        self.until(f"revision {number} to serve alone", serves)

    def until_rejected(self, number: int) -> str:
        """Waits until a revision is given up; gives the reason."""
        wait_for(
            lambda: (self.revision(number).get("status") or {}).get("state") == "Rejected",
            what=f"revision {number} to be given up",
            timeout=PATIENCE,
        )
        return str(self.revision(number)["status"]["message"])

    def until_alone(self, model: str) -> Answers:
        """The answers of three seconds in which one model gave all, which is when the other's pods have drained."""
        found: list[Answers] = []

        def alone() -> bool:
            found.append(self.callers.for_a_while(3))
            return set(found[-1].all) == {model}

        wait_for(alone, what=f"all answers to come from model {model}", timeout=PATIENCE)
        return found[-1]
