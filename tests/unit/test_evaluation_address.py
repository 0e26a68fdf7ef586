"""Whom the operator asks: nobody whom an administrator has not named."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.core.evaluation.address import AddressError, chosen, normal

OURS = ("http://prometheus.monitoring:9090", "https://thanos.example/tenant/")


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("http://prometheus.monitoring:9090", "http://prometheus.monitoring:9090"),
        ("HTTP://Prometheus.Monitoring:9090/", "http://prometheus.monitoring:9090"),
        ("http://prometheus", "http://prometheus:80"),
        ("https://thanos.example//", "https://thanos.example:443"),
        ("https://thanos.example/tenant/", "https://thanos.example:443/tenant"),
        ("http://[FD00::1]:9090", "http://[fd00::1]:9090"),
        ("http://127.0.0.1:9090", "http://127.0.0.1:9090"),
    ],
)
def test_one_form(text: str, form: str) -> None:
    assert normal(text) == form
    assert normal(form) == form


@pytest.mark.parametrize(
    "text",
    [
        "", "prometheus:9090", "//prometheus", "file:///etc/passwd", "ftp://prometheus", "gopher://prometheus:70/_x",
        "http://", "http://:9090", "http://prometheus:port", "http://prometheus:70000", "http://prom etheus",
        "http://prometheus/@",
        "http://user:secret@prometheus", "http://prometheus@10.0.0.1", "http://prometheus/?query=up",
        "http://prometheus/#x", "http://prometheus?", "http://prometheus#", "http://prometheus/../admin",
        "http://prometheus/%2e%2e/admin", "http://prometheus\\@10.0.0.1", "http://prometheus\n.example",
        "http://pröm", "http://[fd00::1", "http://prometheus\t:9090",
    ],
)  # fmt: skip
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(AddressError, match=r"is not an address such as http://prometheus\.monitoring:9090"):
        normal(text)


def test_by_default_the_first_is_asked() -> None:
    assert chosen(None, OURS) == "http://prometheus.monitoring:9090"


def test_an_author_chooses_among_those_that_are_named() -> None:
    assert chosen("https://THANOS.example:443/tenant", OURS) == "https://thanos.example:443/tenant"


@pytest.mark.parametrize(
    "wanted",
    [
        "http://kubernetes.default.svc", "http://169.254.169.254/latest/meta-data", "http://localhost:9090",
        "https://prometheus.monitoring:9090", "http://prometheus.monitoring:9091", "http://prometheus.monitoring",
        "http://prometheus.monitoring.evil.example:9090", "https://thanos.example", "https://thanos.example/tenant/b",
        "https://thanos.example/tenantb",
    ],
)  # fmt: skip
def test_no_other_is_asked(wanted: str) -> None:
    message = "leave prometheus.address out, or let an administrator add it to AIAGENT_PROMETHEUS_ADDRESSES"
    with pytest.raises(AddressError, match=message):
        chosen(wanted, OURS)


@pytest.mark.parametrize("wanted", [None, "http://prometheus.monitoring:9090"])
def test_by_default_nobody_is_asked(wanted: str | None) -> None:
    with pytest.raises(AddressError, match=re.escape("names those it may in AIAGENT_PROMETHEUS_ADDRESSES")):
        chosen(wanted, ())


@given(st.text(max_size=60) | st.text(alphabet="htps:/.@#?%\\[]0a\t ", max_size=30).map(lambda rest: f"http://{rest}"))
def test_any_text_has_one_form_or_none(text: str) -> None:
    try:
        form = normal(text)
    except AddressError:
        return
    assert normal(form) == form
    assert form.startswith(("http://", "https://"))
    assert not set(form) & set("@?#%\\ \t\n")
