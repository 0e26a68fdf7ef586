"""Settings come from the environment, logs carry no credentials, metrics no agents."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiagent_operator.runtime import logs, metrics, settings, settings_reference
from aiagent_operator.runtime.settings import Settings
from aiagent_operator.runtime.settings_process import LogFormat, LogLevel

DOCS = Path(__file__).parents[2] / "docs" / "settings.md"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW0ifQ.c2lnbmF0dXJl"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(settings.PREFIX + name.upper(), raising=False)


def test_defaults_are_those_of_the_chart() -> None:
    got = Settings()
    assert got.username == f"system:serviceaccount:{got.namespace}:aiagent-operator"
    assert got.watch_namespaces == ()
    assert got.dns_namespace_selector == {"kubernetes.io/metadata.name": "kube-system"}
    assert got.dns_pod_selector == {"k8s-app": "kube-dns"}
    assert got.api_addresses == ()


def test_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIAGENT_NAMESPACE", "ops")
    monkeypatch.setenv("AIAGENT_WATCH_NAMESPACES", "crm, sales,")
    monkeypatch.setenv("AIAGENT_LOG_LEVEL", "debug")
    monkeypatch.setenv("AIAGENT_API_ENDPOINTS", "10.0.0.1:6443,[fd00::1]:443")
    monkeypatch.setenv("AIAGENT_DNS_CIDRS", "none")
    monkeypatch.setenv(
        "AIAGENT_PROMETHEUS_ADDRESSES", "http://prometheus.monitoring:9090/, https://mimir.example/tenant"
    )
    monkeypatch.setenv("AIAGENT_WORKERS", "")
    got = Settings()
    assert got.username == "system:serviceaccount:ops:aiagent-operator"
    assert got.watch_namespaces == ("crm", "sales")
    assert got.log_level is LogLevel.DEBUG
    assert got.api_addresses == (("10.0.0.1", 6443), ("fd00::1", 443))
    assert got.dns_cidrs == ()
    assert got.prometheus_addresses == ("http://prometheus.monitoring:9090", "https://mimir.example:443/tenant")
    assert Settings(dns_ports="5353, 53").dns_ports == (5353, 53)
    assert got.workers == Settings.model_fields["workers"].default


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("WORKERS", "0", "AIAGENT_WORKERS: Input should be greater than or equal to 1"),
        ("WATCH_NAMESPACES", "Crm", "AIAGENT_WATCH_NAMESPACES"),
        ("API_ENDPOINTS", "10.0.0.1", "is not an address and port such as 10.0.0.1:6443"),
        ("API_ENDPOINTS", "api.example:443", "AIAGENT_API_ENDPOINTS"),
        ("DNS_CIDRS", "10.0.0.1/8", "AIAGENT_DNS_CIDRS"),
        ("DNS_POD_LABELS", "kube-dns", "AIAGENT_DNS_POD_LABELS"),
        ("DNS_PORTS", "none", "AIAGENT_DNS_PORTS"),
        ("DNS_PORTS", "53,99999", "AIAGENT_DNS_PORTS"),
        ("RENEW_DEADLINE", "15", "renew_deadline (15 s) must be less than lease_duration (15 s)"),
        ("RETRY_PERIOD", "6", "retry_period (6 s) must be at most half of renew_deadline"),
        ("BACKOFF_INITIAL", "61", "backoff_initial must not be greater than backoff_max"),
        ("PROMETHEUS_ADDRESSES", "http://prometheus:9090,prometheus", "AIAGENT_PROMETHEUS_ADDRESSES"),
        ("PROMETHEUS_ADDRESSES", "http://jane:secret@prometheus:9090", "leave out user, password"),
        ("PROMETHEUS_CA_FILE", "/nowhere/ca.crt", "AIAGENT_PROMETHEUS_CA_FILE: Value error, there is no such file"),
        ("PROMETHEUS_TOKEN_FILE", "/nowhere/token", "AIAGENT_PROMETHEUS_TOKEN_FILE"),
        ("LOG_FORMAT", "xml", "AIAGENT_LOG_FORMAT"),
    ],
)
def test_wrong_value_stops_with_its_name(name: str, value: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.PREFIX + name, value)
    with pytest.raises(SystemExit) as stopped:
        settings.load()
    assert says in str(stopped.value)


def test_every_setting_is_documented_with_its_trade_off() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert len(field.description.split(". ")) > 1, (
            f"{name}: say what it is, then what a higher or lower value costs"
        )


def test_the_documentation_is_up_to_date() -> None:
    assert DOCS.read_text(encoding="utf-8") == settings_reference.document()


@pytest.fixture
def captured() -> Iterator[tuple[logging.Logger, io.StringIO, logging.StreamHandler[io.StringIO]]]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logger = logging.getLogger("test.logs")
    logger.addHandler(handler)
    logger.propagate = False
    yield logger, stream, handler
    logger.removeHandler(handler)


@pytest.mark.parametrize("kind", list(LogFormat))
def test_no_credential_reaches_a_log(
    kind: LogFormat, captured: tuple[logging.Logger, io.StringIO, logging.StreamHandler[io.StringIO]]
) -> None:
    logger, stream, handler = captured
    handler.setFormatter(logs.formatter(kind))
    logger.warning("header Authorization: Bearer %s of %s", "s3cr3t-opaque", "agent a", extra={"body": {"token": JWT}})
    logger.error("failed", exc_info=RuntimeError(f"refused {JWT}"))
    text = stream.getvalue()
    assert "s3cr3t" not in text
    assert JWT not in text
    assert "agent a" in text


def test_json_lines_have_time_level_logger_and_extras(
    captured: tuple[logging.Logger, io.StringIO, logging.StreamHandler[io.StringIO]],
) -> None:
    logger, stream, handler = captured
    handler.setFormatter(logs.formatter(LogFormat.JSON))
    logger.warning("agent %s is ready", "a", extra={"agent": "crm/a"})
    line = json.loads(stream.getvalue())
    assert line["message"] == "agent a is ready"
    assert line["level"] == "WARNING"
    assert line["logger"] == "test.logs"
    assert line["agent"] == "crm/a"
    assert line["time"]


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        ("/api/v1/namespaces/a/pods", "pods"),
        ("/api/v1/namespaces/a/pods/b/exec", "pods/exec"),
        ("/api/v1/namespaces", "namespaces"),
        ("/api/v1/namespaces/a", "namespaces"),
        ("/api/v1/namespaces/a/status", "namespaces/status"),
        ("/apis/rbac.authorization.k8s.io/v1/clusterroles/x", "clusterroles"),
        ("/apis/rbac.authorization.k8s.io/v1/namespaces/a/roles/x", "roles"),
        ("/apis/workforce.dev/v1alpha1/namespaces/a/aiagents/x/status", "aiagents/status"),
        ("/apis/workforce.dev/v1alpha1", "/apis"),
        ("/version", "/version"),
    ],
)
def test_resource_of_a_path(path: str, resource: str) -> None:
    assert metrics.resource_of(path) == resource


def test_metrics_can_be_scraped_and_name_no_agent() -> None:
    metrics.observe_request("GET", "/api/v1/namespaces/crm/pods/secret-agent", 200, 0.01)
    metrics.set_counts(metrics.AGENTS, {"Active": 3}, ("Active", "Suspended"))
    text = metrics.exposition().decode()
    assert 'aiagent_api_requests_total{code="200",resource="pods",verb="GET"}' in text
    assert 'aiagent_agents{phase="Active"} 3.0' in text
    assert 'aiagent_agents{phase="Suspended"} 0.0' in text
    assert "secret-agent" not in text
