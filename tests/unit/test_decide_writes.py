"""How a child is put right without taking away what others have put on it."""

from aiagent_operator.core.plan import onto

LIVE = {
    "apiVersion": "v1",
    "kind": "ServiceAccount",
    "metadata": {
        "name": "aiagent.triage",
        "namespace": "home",
        "uid": "u1",
        "resourceVersion": "7",
        "labels": {"team": "crm", "workforce.dev/agent": "stranger"},
        "annotations": {"cloud.example/identity": "triage"},
        "finalizers": ["other.example/one"],
        "ownerReferences": [{"kind": "ConfigMap", "name": "gone"}],
        "managedFields": [{"manager": "somebody"}],
    },
    "automountServiceAccountToken": True,
    "imagePullSecrets": [{"name": "registry"}],
}
BODY = {
    "apiVersion": "v1",
    "kind": "ServiceAccount",
    "metadata": {
        "name": "aiagent.triage",
        "namespace": "home",
        "uid": "u1",
        "resourceVersion": "5",
        "labels": {"workforce.dev/agent": "triage"},
    },
    "automountServiceAccountToken": False,
}


def test_ours_wins_and_theirs_stays() -> None:
    sent = onto(LIVE, BODY)

    assert sent["metadata"]["labels"] == {"team": "crm", "workforce.dev/agent": "triage"}
    assert sent["metadata"]["annotations"] == {"cloud.example/identity": "triage"}
    assert sent["metadata"]["finalizers"] == ["other.example/one"]
    assert sent["imagePullSecrets"] == [{"name": "registry"}]
    assert sent["automountServiceAccountToken"] is False


def test_no_owner_stays_that_the_garbage_collector_would_follow() -> None:
    sent = onto(LIVE, BODY)

    assert "ownerReferences" not in sent["metadata"]
    assert "managedFields" not in sent["metadata"]


def test_the_version_is_the_one_that_was_decided_on() -> None:
    assert onto(LIVE, BODY)["metadata"]["resourceVersion"] == "5"
