"""The template of a run as its record keeps it, and back."""

from __future__ import annotations

import hashlib
from typing import Final

import orjson

from aiagent_operator.api.agentevaluation import LONGEST_JOB, RecordedTemplate
from aiagent_operator.api.evaluation import EvaluationTemplate
from aiagent_operator.api.jobtemplate import JobTemplate

_PREFIX: Final = "sha256:"


class RecordError(ValueError):
    """A template that cannot be kept, or a record that is not what its digest says."""


def recorded(template: EvaluationTemplate) -> RecordedTemplate:
    """The template with its Job as canonical JSON and the digest of that. Raises RecordError where it is too long."""
    job = digest = None
    if template.job is not None:
        content = template.job.model_dump(mode="json", by_alias=True, exclude_unset=True)
        job = orjson.dumps(content, option=orjson.OPT_SORT_KEYS).decode()
        if len(job) > LONGEST_JOB:
            raise RecordError(
                f"the Job of evaluation {template.name} has {len(job)} characters as JSON: write at most "
                f"{LONGEST_JOB}, and put longer texts into a ConfigMap"
            )
        digest = _digest(job)
    return RecordedTemplate(
        name=template.name, job=job, job_digest=digest, prometheus=template.prometheus, metrics=template.metrics
    )


def job_of(record: RecordedTemplate) -> JobTemplate | None:
    """The template of the record's Job; None where it has none. Raises RecordError where the digest is another one."""
    if record.job is None:
        return None
    if record.job_digest != _digest(record.job):
        raise RecordError(f"jobDigest of evaluation {record.name} is not that of its job: the record was tampered with")
    return JobTemplate.model_validate_json(record.job)


def _digest(text: str) -> str:
    return _PREFIX + hashlib.sha256(text.encode()).hexdigest()
