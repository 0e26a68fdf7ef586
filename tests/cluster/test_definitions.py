"""The definitions of the operator's kinds are removed, made anew, or late: nothing is dismissed, and nobody is deaf."""

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from support import agents
from support.agents import permission
from support.definitions import served
from support.kube import ApiError, Object
from support.operator import OperatorProcess
from support.workplace import Workplace

API, PLURAL = "apiextensions.k8s.io/v1", "customresourcedefinitions"
Remove = Callable[[str], Callable[[], None]]


@pytest.fixture
def remove(vacant: Workplace) -> Iterator[Remove]:
    """Deletes a definition; what it returns makes it anew, as the end of the test does where nobody else did.

    Nothing of earlier tests may be on its way out: a namespace that ends while a kind is not served leaves its objects.
    """
    admin = vacant.admin
    vacant.installed.operator()
    vacant.until_alone()
    gone: dict[str, Object] = {}

    def restore(name: str) -> None:
        definition = gone.get(name)
        if definition is None:
            return
        admin.wait_gone(API, PLURAL, name)
        meta = {"name": name, "labels": definition["metadata"].get("labels", {})}
        admin.create({**definition, "metadata": meta, "status": {}})
        served(admin, definition)
        admitted(vacant, definition)
        del gone[name]

    def delete(name: str) -> Callable[[], None]:
        definition = admin.get(API, PLURAL, name)
        admin.patch(API, PLURAL, name, {"metadata": {"annotations": {"workforce.dev/allow-deletion": "true"}}})
        gone[name] = definition
        admin.delete(API, PLURAL, name)
        return lambda: restore(name)

    yield delete
    for name in list(gone):
        restore(name)


@pytest.fixture
def newer(vacant: Workplace) -> Iterator[str]:
    """A function of owners that the schema in the cluster has, and the operator does not know."""
    function = "Astrology"
    where = "spec/properties/owners/items/properties/function/enum"
    path = f"/spec/versions/0/schema/openAPIV3Schema/properties/{where}"
    name = "aiagents.workforce.dev"
    old = vacant.admin.get(API, PLURAL, name)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    for part in where.split("/"):
        old = old[part]

    def become(known: list[str]) -> None:
        vacant.admin.patch(API, PLURAL, name, [{"op": "replace", "path": path, "value": known}], kind="json")

    become([*old, function])
    yield function
    become(old)


def admitted(place: Workplace, definition: Object) -> None:
    """Wait until admission knows the kind: it looks every 30 seconds, and may have looked while there was none."""
    spec = definition["spec"]
    path = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/namespaces/{place.namespace}/{spec['names']['plural']}"
    kind = {"apiVersion": agents.API, "kind": spec["names"]["kind"]}
    body = {**agents.agent(place.namespace, "nobody", "nobody"), **kind}

    def known() -> bool:
        try:
            place.admin.raw("POST", path, body=body, params={"dryRun": "All"})
        except ApiError as error:
            # Any other refusal is one that knows what it refuses.
            return error.status != 503
        return True

    place.admin.wait_for(known, what=f"admission to know {spec['names']['kind']}", timeout=90)


def until_waiting(place: Workplace, operator: OperatorProcess, name: str) -> None:
    """Wait until the readiness probe names the definition that is missed."""
    place.admin.wait_for(
        lambda: operator.probe()[0] == 503 and name in operator.probe()[1],
        what=f"the operator to say that it waits for {name}",
        state=lambda: f"{operator.probe()}\n{operator.tail()}",
        timeout=120,
    )


def test_a_deletion_that_a_definition_s_end_caused_pauses(place: Workplace, remove: Remove) -> None:
    operator, name = place.installed.operator(), "aiagents.workforce.dev"
    crm = place.new_namespace("crm")
    role = place.new_role()
    place.employ("triage", role, permission("read-tickets", crm))
    uid = place.until_ready("triage")["metadata"]["uid"]

    restore = remove(name)

    place.until_reason("triage", "Ready", "DefinitionTerminating", "abandon", "apply definition and object again")
    assert place.can("triage", "get", "tickets", namespace=crm)
    children = place.children(uid)
    assert len(children) == 7
    patch = {"metadata": {"finalizers": []}}
    place.admin.patch(agents.API, "aiagents", "triage", patch, namespace=place.namespace)
    until_waiting(place, operator, name)

    restore()
    place.employ("mailer", role, permission("read-tickets", crm))

    place.until_ready("mailer")
    assert operator is place.installed.operator(), "the same process goes on"


def test_an_operator_that_starts_before_a_definition_waits_for_it(vacant: Workplace, remove: Remove) -> None:
    name = "agentevaluations.workforce.dev"
    operator = vacant.installed.alone()
    restore = remove(name)

    with closing(operator.start(wait_ready=False)):
        until_waiting(vacant, operator, name)
        restore()
        operator.wait_ready()

        vacant.employ("triage", vacant.new_role(), permission("refund"))
        vacant.until_ready("triage")


def test_an_order_stops_an_agent_whose_spec_a_newer_schema_allows(place: Workplace, newer: str) -> None:
    place.employ("triage", place.new_role(), permission("refund"))
    agent = place.until_ready("triage")
    owners = [owner | {"function": newer} for owner in agent["spec"]["owners"]]

    def accepted() -> bool:
        """The schema is in force a moment after it was written."""
        try:
            place.change("triage", owners=owners)
        except ApiError as error:
            if newer not in str(error):
                raise
            return False
        return True

    place.admin.wait_for(accepted, what="the newer schema to be in force")
    place.until_reason("triage", "Ready", "InvalidSpec", "spec.owners", "function")
    uid = agent["metadata"]["uid"]
    assert place.rights(uid), "everything stays as it is"

    place.order("Suspend", "stop", "triage")

    place.admin.wait_for(lambda: place.rights(uid) == set(), what="the rights to be gone")
    place.until_cannot("triage", "create", "refunds")
    place.change("triage", owners=agent["spec"]["owners"])
    place.until_reason("triage", "Ready", "Suspended")
