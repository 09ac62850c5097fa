"""What operators watch about jobs."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

READY_JOBS = Gauge("reelmesh_jobs_ready", "Jobs that wait for a region")
SCHEDULED_JOBS = Gauge("reelmesh_jobs_scheduled", "Jobs that wait out a pause")
LIVE_LEASES = Gauge("reelmesh_jobs_leases", "Leases that are held")
SUBMITTED = Counter("reelmesh_jobs_submitted_total", "Jobs submitted", ["model"])
FINISHED = Counter("reelmesh_jobs_finished_total", "Jobs that reached their end", ["state"])
REQUEUED = Counter("reelmesh_jobs_requeued_total", "Leases that put their job back", ["cause"])
STALE = Counter("reelmesh_jobs_stale_reports_total", "Reports under a lost lease", ["verb"])
OFFENDERS = Gauge("reelmesh_jobs_offenders", "Rows that break an invariant", ["invariant"])
CLAIM_SECONDS = Histogram(
    "reelmesh_jobs_claim_seconds",
    "Time of the statement that turns waiting jobs into leases",
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.1, 0.5),
)
