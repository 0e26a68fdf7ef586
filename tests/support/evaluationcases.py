"""Wrong evaluations, one for each rule or constraint of their schemas: in an agent's spec, and in a record."""

from typing import Any

from support.schemacases import GONE, JOB_TEMPLATE, Case, of_job_template, rule

LIVE: dict[str, Any] = {"name": "errors", "query": "sum(errors{revision={{revision}}})", "max": "0.01"}
EVALUATIONS: list[dict[str, Any]] = [
    {"name": "held-out", "job": JOB_TEMPLATE, "metrics": [{"name": "accuracy", "min": "0.85"}]},
    {"name": "live", "prometheus": {"address": "http://prometheus.monitoring:9090"}, "metrics": [LIVE]},
]
RECORD: dict[str, Any] = {
    "apiVersion": "workforce.dev/v1alpha1",
    "kind": "AgentEvaluation",
    "metadata": {"name": "triage-4-live", "namespace": "default"},
    "spec": {
        "agentRef": {"name": "triage", "uid": "0b2d"},
        "revision": 4,
        "stableRevision": 3,
        "purpose": "Promotion",
        "provider": "Prometheus",
        "template": EVALUATIONS[1],
    },
}

_AT = "spec.retraining.evaluations"
_JOB, _LIVE = f"{_AT}.0", f"{_AT}.1"
_METRIC = f"{_LIVE}.metrics.0"


def _metric(words: str, at: str = "", **fields: Any) -> Case:
    """A metric of Prometheus with other fields, and the field that the error names."""
    metric = {name: value for name, value in {**LIVE, **fields}.items() if value is not GONE}
    return rule(_METRIC, metric, words, _METRIC + at)


EVALUATION_RULES = [
    *of_job_template(f"{_JOB}.job"),
    rule(f"{_JOB}.prometheus", {}, "set exactly one of job and prometheus", _JOB),
    rule(f"{_LIVE}.prometheus", GONE, "set exactly one of job and prometheus", _LIVE),
    rule(f"{_METRIC}.query", GONE, "each metric of prometheus needs a query", f"{_LIVE}.metrics"),
    rule(f"{_JOB}.metrics.0.query", "up", "a Job measures once", f"{_JOB}.metrics"),
    _metric("set at least one of min, max, maxDecrease and maxIncrease", max=GONE),
    _metric("min must not be greater than max", ".min", min="1", max="0.5"),
    _metric("are replaced, written without spaces", ".query", query="up{r={{nope}}}"),
    _metric("use {{revision}} in it", ".query", query="up", maxIncrease="1"),
    _metric("a count of more than 1 needs an interval", ".count", count=2),
    _metric("failureLimit must be less than count", ".failureLimit", failureLimit=1),
    _metric("inconclusiveLimit must be less than count", ".inconclusiveLimit", inconclusiveLimit=1),
    rule(f"{_METRIC}.interval", "1m", "set count where interval is set", _AT),
    rule(
        "spec.workload",
        {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "triage"}},
        "evaluations hold up revisions, and those of a targetRef serve as soon as its owner changes it",
        _AT,
    ),
]

EVALUATION_CONSTRAINTS = [
    Case(f"{_LIVE}.name", "held-out", "Duplicate value", _LIVE),
    Case(f"{_LIVE}.name", "x" * 41, "may not be more than 40"),
    Case(f"{_LIVE}.metrics", [], "should have at least 1 items"),
    Case(f"{_LIVE}.metrics.1", LIVE, "Duplicate value"),
    Case(f"{_LIVE}.prometheus.address", "file:///etc/passwd", "should match"),
    Case(f"{_METRIC}.interval", "1d", "should match"),
    Case(f"{_METRIC}.max", "0,1", "should match"),
    Case(f"{_METRIC}.count", 0, "should be greater than or equal to 1"),
]

RECORD_RULES = [
    rule("spec.stableRevision", 4, "a revision is not compared with itself", base="AgentEvaluation"),
    rule("spec.role", "customer-service", "role goes with the purpose Hiring", base="AgentEvaluation"),
    rule("spec.purpose", "Hiring", "role goes with the purpose Hiring", "spec.role", "AgentEvaluation"),
    rule("spec.provider", "Job", "provider is Job where the template has one", base="AgentEvaluation"),
    rule(
        "spec.template.metrics.0.interval",
        "1m",
        "only an Analysis is ended by its rollout",
        "spec.template.metrics",
        "AgentEvaluation",
    ),
    rule(
        "spec.template.jobDigest",
        f"sha256:{'0' * 64}",
        "job and jobDigest go together",
        "spec.template",
        "AgentEvaluation",
    ),
]
"""Of records, which only the operator writes."""
