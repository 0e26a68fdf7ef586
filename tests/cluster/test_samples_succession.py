"""manifests/samples/succession: the two agents hand over as the samples say, with the operator at work."""

import copy
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from aiagent_operator.api import capture, handover
from support import agents
from support.documents import SAMPLES
from support.kube import Kube, Object
from support.memories import Sender, claim
from support.workplace import Workplace

pytestmark = pytest.mark.cluster

HOME = "support-agents"
GOOD = '{"measurements": [{"name": "promises-kept", "value": "0.97"}]}'
ORDERS = ("replaced", "accepted")
OWNER = "deputy-product-owner@corp.example"


def read(*files: str) -> list[Object]:
    return [document for file in files for document in yaml.safe_load_all((SAMPLES / file).read_text())]


def runnable(agent: Object) -> Object:
    """The agent as it is, but for its mounts: fake nodes would end the pod of a Job with a bound claim at once, so the
    claims are bound only once the test holds that pod. What the evaluation would leave is said here, too."""
    agent = copy.deepcopy(agent)
    templates = [agent["spec"]["workload"]["template"]]
    for evaluation in agent["spec"].get("retraining", {}).get("evaluations", []):
        templates.append(evaluation["job"]["spec"]["template"])
        templates[-1]["metadata"] = {"annotations": {"localcluster/message": GOOD}}
    for template in templates:
        del template["spec"]["volumes"]
        for container in template["spec"]["containers"]:
            del container["volumeMounts"]
    return agent


def apply(admin: Kube, document: Object) -> None:
    metadata = document["metadata"]
    path = admin.path(document["apiVersion"], document["kind"], metadata.get("namespace"), metadata["name"])
    params = {"fieldValidation": "Strict", "fieldManager": "samples", "force": "true"}
    admin.raw("PATCH", path, document, params=params, content_type="application/apply-patch+yaml")


@pytest.fixture
def desk(place: Workplace) -> Iterator[tuple[Workplace, dict[str, Object]]]:
    """The place where the samples' agents are, and the agents, not applied yet."""
    files = ("00-namespaces.yaml", "10-grantable.yaml", "20-roles.yaml", "succession/10-access.yaml")
    around = read(*files)
    succession = read("succession/20-helpdesk.yaml", "succession/30-helpdesk-v2.yaml")
    for document in around:
        apply(place.admin, document)
    own, place.namespace = place.namespace, HOME
    claims = [document["metadata"]["name"] for document in succession if document["kind"] != "AIAgent"]
    for name in claims:
        claim(place.admin, HOME, name)
    yield place, {each["metadata"]["name"]: runnable(each) for each in succession if each["kind"] == "AIAgent"}
    for name in ("helpdesk", "helpdesk-v2"):
        if place.find(name):
            place.change(name, retirement={"successorRef": None})
            place.dismiss(name)
            place.until_gone(name)
    for name in ORDERS:
        place.admin.delete_if_there(agents.API, "agentactions", name, namespace=HOME)
    for name in claims:
        place.admin.delete_if_there("v1", "persistentvolumeclaims", name, namespace=HOME)
        place.admin.delete_if_there("v1", "persistentvolumes", f"{HOME}-{name}")
    for document in around:
        if document["kind"] != "Namespace":
            kind, metadata = document["kind"], document["metadata"]
            place.admin.delete(document["apiVersion"], kind, metadata["name"], namespace=metadata.get("namespace"))
    place.namespace = own


def test_the_second_agent_follows_the_first_with_what_it_remembered(
    desk: tuple[Workplace, dict[str, Object]], tmp_path: Path
) -> None:
    place, found = desk
    facts, volume = tmp_path / "facts", tmp_path / "volume"
    for folder in (facts, volume):
        folder.mkdir()
    (facts / "one").write_text("what was agreed")
    (facts / "decisions").mkdir()
    (facts / "decisions" / "22.jsonl").write_text("refunded 4711")
    for document in found.values():
        apply(place.admin, document)
    old = place.until_ready("helpdesk")["metadata"]["uid"]
    heir = place.until_reason("helpdesk-v2", "Ready", "WaitingForHandover", "helpdesk, which has not left")
    place.order("Offboard", "replaced", "helpdesk", offboarding={"reason": "Replaced"})
    for run in (capture.DECISIONS, capture.RUN):
        sender = Sender.of(place, old, run, "helpdesk-memory")
        sender.end(*sender.run(facts))
    fetcher = Sender.of(place, heir["metadata"]["uid"], handover.RUN, "helpdesk-v2-memory")
    status, message = fetcher.run(volume)
    assert status == 0, message
    fetcher.end(status, message)
    assert (volume / handover.FOLDER / "memory" / "one").read_text() == "what was agreed"
    with tarfile.open(volume / handover.FOLDER / "bundle" / "decisions.tar") as tar:
        file = tar.extractfile("decisions/22.jsonl")
        assert file is not None
        assert file.read() == b"refunded 4711"
    place.until_reason("helpdesk-v2", "Ready", "WaitingForAcceptance", "kubectl aiagent promote helpdesk-v2")
    runs = place.admin.list(agents.API, "agentevaluations", namespace=HOME)
    assert [run["status"]["phase"] for run in runs if run["spec"]["template"]["name"] == "keeps-promises"] == [
        "Successful"
    ]
    order = agents.order(HOME, "accepted", "Promote", OWNER, "helpdesk-v2")
    place.admin.as_user(OWNER).create(order)
    ready = place.until_ready("helpdesk-v2")
    assert ready["status"]["succession"]["acceptance"]["name"] == "accepted"
    handed = "helpdesk to be out"
    gone = place.until("helpdesk", lambda agent: agent["status"].get("phase") == "Retired", what=handed)
    assert gone["status"]["offboarding"]["handover"]["successor"]["name"] == "helpdesk-v2"
