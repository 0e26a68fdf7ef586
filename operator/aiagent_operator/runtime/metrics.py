"""What Prometheus scrapes. No label names an agent: the number of series does not grow with the fleet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

REGISTRY: Final = CollectorRegistry()
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

ProcessCollector(registry=REGISTRY)

AGENTS: Final = Gauge("aiagent_agents", "Agents, by phase.", ["phase"], registry=REGISTRY)
PERMISSIONS: Final = Gauge(
    "aiagent_permissions", "Permissions of all agents, by what became of them.", ["state"], registry=REGISTRY
)
IDENTITY_EXPOSED: Final = Gauge(
    "aiagent_identity_exposed",
    "Agents with the condition IdentityExposed: others may act as them, or reach rights through them.",
    registry=REGISTRY,
)

RECONCILE_TOTAL: Final = Counter(
    "aiagent_reconcile_total", "Passes over an agent or role, by result.", ["result"], registry=REGISTRY
)
RECONCILE_SECONDS: Final = Histogram(
    "aiagent_reconcile_seconds", "Duration of a pass.", buckets=_SECONDS, registry=REGISTRY
)
REPAIRS_TOTAL: Final = Counter(
    "aiagent_repairs_total",
    "Children put back after somebody else's edit or deletion, by kind.",
    ["kind"],
    registry=REGISTRY,
)

ARCHIVE_STORE_READY: Final = Gauge(
    "aiagent_archive_store_ready",
    "Whether an archive store takes records (1) or not (0); of one described as readOnly nothing is told.",
    ["store"],
    registry=REGISTRY,
)
JOURNAL_EVENTS_TOTAL: Final = Counter(
    "aiagent_journal_events_total",
    "Events of agents that are recorded: Written, or Adopted where their writer ended before it could tell.",
    ["result"],
    registry=REGISTRY,
)
JOURNAL_WAITING: Final = Gauge(
    "aiagent_journal_agents_waiting", "Agents with events that wait for their archive store.", registry=REGISTRY
)
JOURNAL_FOUND_TOTAL: Final = Counter(
    "aiagent_journal_found_total",
    "Journals of which the store held something else than the agent's status told: Recovered, Forked or Stuck.",
    ["outcome"],
    registry=REGISTRY,
)

ARCHIVES: Final = Gauge(
    "aiagent_archives",
    "AgentArchives, by what was found when the archive was last read: Whole, Altered, Unknown, or Purged; Abandoned "
    "where there is none.",
    ["found"],
    registry=REGISTRY,
)
ARCHIVE_READS_TOTAL: Final = Counter(
    "aiagent_archive_reads_total",
    "Archives that were read again, by what was found: Whole, Altered, or Unread where the store was away.",
    ["found"],
    registry=REGISTRY,
)

QUEUE_DEPTH: Final = Gauge("aiagent_queue_depth", "Objects that wait for a pass now.", registry=REGISTRY)
QUEUE_WORKING: Final = Gauge("aiagent_queue_working", "Objects that a pass is over now.", registry=REGISTRY)
QUEUE_DUE: Final = Gauge("aiagent_queue_due", "Objects that have a pass due at a later time.", registry=REGISTRY)

API_REQUESTS_TOTAL: Final = Counter(
    "aiagent_api_requests_total",
    "Requests to the API server, by verb, resource and HTTP status (0: no answer).",
    ["verb", "resource", "code"],
    registry=REGISTRY,
)
API_REQUEST_SECONDS: Final = Histogram(
    "aiagent_api_request_seconds",
    "Duration of requests to the API server; watches are not in it.",
    ["verb"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
WATCH_RESTARTS_TOTAL: Final = Counter(
    "aiagent_watch_restarts_total", "Watches begun anew, by resource.", ["resource"], registry=REGISTRY
)

LEADER: Final = Gauge("aiagent_leader", "1 while this replica holds the Lease.", registry=REGISTRY)
SYNCED: Final = Gauge(
    "aiagent_synced", "1 once all caches of the leader hold what the cluster does.", registry=REGISTRY
)
SCAN_SECONDS: Final = Gauge(
    "aiagent_scan_seconds",
    "Duration of the last scan of what others may do with agents' identities.",
    registry=REGISTRY,
)
SCAN_FAILURES_TOTAL: Final = Counter("aiagent_scan_failures_total", "Scans given up with an error.", registry=REGISTRY)


def set_counts(gauge: Gauge, counts: Mapping[str, int], known: tuple[str, ...]) -> None:
    """Sets a gauge with one label for each known value, 0 where there is none, so that a series never goes stale."""
    for value in known:
        gauge.labels(value).set(counts.get(value, 0))


def exposition() -> bytes:
    """All metrics in the text format of Prometheus (version 0.0.4)."""
    return generate_latest(REGISTRY)


def resource_of(path: str) -> str:
    """The resource in a path of the API server, with its subresource: `.../namespaces/a/pods/b/exec` is `pods/exec`.

    Paths that name no resource, such as `/version`, are themselves.
    """
    parts = path.partition("?")[0].strip("/").split("/")
    if parts[0] == "api":
        rest = parts[2:]
    elif parts[0] == "apis":
        rest = parts[3:]
    else:
        return "/" + parts[0]
    if rest[:1] == ["namespaces"] and len(rest) > 2 and rest[2] not in {"status", "finalize"}:
        rest = rest[2:]
    if not rest:
        return "/" + parts[0]
    return f"{rest[0]}/{rest[2]}" if len(rest) > 2 else rest[0]


def observe_request(method: str, path: str, code: int, seconds: float) -> None:
    """Counts one request to the API server; code 0 means that no answer came."""
    API_REQUESTS_TOTAL.labels(method, resource_of(path), str(code)).inc()
    API_REQUEST_SECONDS.labels(method).observe(seconds)
