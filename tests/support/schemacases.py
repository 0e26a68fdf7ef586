"""Wrong manifests, one for each rule or constraint of a schema, and the words that their authors will read."""

from dataclasses import dataclass
from typing import Any

GONE = object()
"""Put in place of a value: the field is left out."""


@dataclass(frozen=True)
class Case:
    """A field, what is put there, the field that the error names, and words of its message."""

    path: str
    value: Any
    words: str
    field: str = ""
    base: str = "AIAgent"

    @property
    def named(self) -> str:
        """The field that the error names."""
        return self.field or self.path

    def __str__(self) -> str:
        return f"{self.base}:{self.path}:{self.words[:30]}"


def rule(path: str, value: Any, words: str, field: str = "", base: str = "AIAgent") -> Case:
    """A case of a rule in CEL."""
    return Case(path, value, words, field, base)


JOB_TEMPLATE = {
    "spec": {"template": {"spec": {"containers": [{"name": "train", "image": "registry.example/train:1"}]}}}
}


def of_job_template(path: str, base: str = "AIAgent") -> list[Case]:
    """Cases of a Job of runs that stands in this field."""
    pod = f"{path}.spec.template.spec"
    labels = {"labels": {"workforce.dev/agent": "triage"}}
    annotations = {"annotations": {"workforce.dev/claimed-by": "x"}}
    variable = {"name": "WORKFORCE_RESULT", "value": "/dev/null"}

    def rule_of(where: str, value: Any, words: str, field: str) -> Case:
        return rule(where, value, words, field, base)

    return [
        rule_of(f"{path}.metadata", labels, "labels of workforce.dev/ are the operator's", f"{path}.metadata.labels"),
        rule_of(
            f"{path}.metadata",
            annotations,
            "annotations of workforce.dev/ are the operator's",
            f"{path}.metadata.annotations",
        ),
        rule_of(
            f"{path}.spec.template.metadata",
            labels,
            "labels of workforce.dev/ are the operator's",
            f"{path}.spec.template.metadata.labels",
        ),
        rule_of(f"{path}.spec.manualSelector", True, "leave selector and manualSelector out", f"{path}.spec"),
        rule_of(
            f"{path}.spec.ttlSecondsAfterFinished",
            0,
            "leave ttlSecondsAfterFinished out",
            f"{path}.spec.ttlSecondsAfterFinished",
        ),
        rule_of(f"{path}.spec.managedBy", "kueue.x-k8s.io/multikueue", "leave managedBy out", f"{path}.spec.managedBy"),
        rule_of(f"{path}.spec.completionMode", "Indexed", "leave completionMode out", f"{path}.spec.completionMode"),
        rule_of(
            f"{pod}.restartPolicy", "OnFailure", "write restartPolicy: Never, or leave it out", f"{pod}.restartPolicy"
        ),
        rule_of(f"{pod}.serviceAccountName", "deployer", "puts a run's own account there", pod),
        rule_of(f"{pod}.serviceAccount", "deployer", "puts a run's own account there", pod),
        *(rule_of(f"{pod}.{each}", True, "a run may not share the node's", pod) for each in ("hostNetwork", "hostPID")),
        rule_of(f"{pod}.volumes", [{"name": "workforce-token"}], "are reserved for the handbook and connections", pod),
        rule_of(
            f"{pod}.containers.0.env",
            [variable],
            "that begin with WORKFORCE_ are set by",
            f"{pod}.containers.0.env.0.name",
        ),
    ]


RETRAINING_RULES = [
    *of_job_template("spec.retraining.jobTemplate"),
    rule("spec.retraining.connections", ["crm", "store"], "declare it there, or take its name out"),
    rule("spec.connections", GONE, "declare it there, or take its name out", "spec.retraining.connections"),
    rule("spec.retraining.jobTemplate", GONE, "bring one, or leave them out", "spec.retraining"),
    rule("spec.retraining.every", "720h", "write schedule or every, not both", "spec.retraining"),
    rule("spec.retraining.schedule", GONE, "timeZone is that of schedule", "spec.retraining"),
    rule("spec.retraining.maxAge", GONE, "grace is that of maxAge", "spec.retraining"),
    rule("spec.retraining.maxAge", "0s", "must be a duration from 1s to 87600h"),
    rule("spec.retraining.maxAge", "87601h", "must be a duration from 1s to 87600h"),
    rule("spec.retraining.grace", "87601h", "must be a duration from 0s to 87600h"),
    rule("spec.supervision", GONE, "declare spec.supervision.drift", "spec.retraining.triggers"),
    rule("spec.supervision.drift", GONE, "declare spec.supervision.drift", "spec.retraining.triggers"),
    rule("spec.supervision.drift.max", GONE, "set exactly one of min and max", "spec.supervision.drift"),
    rule("spec.supervision.drift.min", "0", "set exactly one of min and max", "spec.supervision.drift"),
    rule("spec.supervision.drift.recovery", "0.26", "recovery must not be greater than max"),
    rule(
        "spec.supervision.drift",
        {"query": "wrong", "min": "0.5", "recovery": "0.4"},
        "recovery must not be less than min",
        "spec.supervision.drift.recovery",
    ),
    rule("spec.supervision.drift.query", "wrong{{{revisions}}}", "remove what else stands in {{ }}"),
    rule("spec.supervision.drift.for", "8761h", "must be a duration from 0s to 8760h"),
    rule("spec.supervision.drift.interval", "9s", "must be a duration from 10s to 168h"),
]

RETRAINING_CONSTRAINTS = [
    Case("spec.retraining.jobTemplate.spec.template.spec.containers", [], "should have at least 1 items"),
    Case("spec.retraining.jobTemplate.spec.backoffLimit", 11, "should be less than or equal to 10"),
    Case("spec.retraining.jobTemplate.spec.activeDeadlineSeconds", 0, "should be greater than or equal to 1"),
    Case("spec.retraining.jobTemplate.spec.parallelism", 2, "should be less than or equal to 1"),
    Case("spec.retraining.connections", ["crm", "crm"], "Duplicate value"),
    Case("spec.retraining.imageRepositories", ["triage"], "should match"),
    Case("spec.retraining.imageRepositories", ["registry.example/triage:7"], "should match"),
    Case("spec.retraining.artifactLocations", ["s3://models"], "should match"),
    Case("spec.retraining.every", "30d", "should match"),
    Case("spec.retraining.triggers", ["Drift", "Drift"], "Duplicate value"),
    Case("spec.retraining.triggers", ["Weather"], "Unsupported value", "spec.retraining.triggers.0"),
    Case("spec.supervision.drift.query", GONE, "Required value"),
    Case("spec.curriculum", "of 2026", "should match", base="AgentPolicy"),
]
"""What `RETRAINING` breaks of its schema."""

DRIFT = {"drift": {"query": "wrong", "max": "0.25", "recovery": "0.15", "for": "2h", "interval": "10m"}}
RETRAINING = {
    "triggers": ["Drift", "KnowledgeChange", "PolicyChange"],
    "schedule": "0 2 * * 1",
    "timeZone": "Europe/Zurich",
    "maxAge": "720h",
    "grace": "24h",
    "connections": ["crm"],
    "imageRepositories": ["registry.example/support/triage"],
    "artifactLocations": ["s3://models/triage/"],
    "jobTemplate": JOB_TEMPLATE,
}
