"""The SQL of replicas: what regions report, what is planned, and what was decided."""

from __future__ import annotations

from typing import Final

# One plan at a time for a model, however many schedulers there are.
LOCK_MODEL: Final = "SELECT pg_advisory_xact_lock(hashtextextended('replicas ' || :model, 0))"

REPORT: Final = """
INSERT INTO jobs.replicas (region, model, running, minimum, maximum, run_seconds, target,
    reason, reported_at)
VALUES (:region, :model, :running, :minimum, :maximum, :run_seconds,
    CAST(:minimum AS integer), '', clock_timestamp())
ON CONFLICT (region, model) DO UPDATE SET running = excluded.running,
    minimum = excluded.minimum, maximum = excluded.maximum,
    run_seconds = excluded.run_seconds, reported_at = excluded.reported_at
"""

FLEETS: Final = """
SELECT p.region, p.running, p.minimum, p.maximum, p.run_seconds, p.target, p.surplus_since,
    p.reason, r.state = 'active' AS is_open, coalesce(b.busy, 0) AS busy, clock_timestamp() AS now
FROM jobs.replicas p JOIN jobs.region r ON r.name = p.region
LEFT JOIN (
    SELECT l.region, count(*) AS busy FROM jobs.lease l JOIN jobs.job j ON j.id = l.job_id
    WHERE j.model = :model AND l.started_at IS NOT NULL GROUP BY l.region
) b ON b.region = p.region
WHERE p.model = :model AND p.reported_at > clock_timestamp() - interval '15 seconds'
ORDER BY p.region
"""

# A count beyond the bound could not change what is decided.
WAITING: Final = """
SELECT (SELECT count(*) FROM (SELECT 1 FROM jobs.ready WHERE queue = :model LIMIT 10000) q)
    + (SELECT count(*) FROM jobs.lease l JOIN jobs.job j ON j.id = l.job_id
        WHERE j.model = :model AND l.started_at IS NULL)
"""

SET_TARGET: Final = """
UPDATE jobs.replicas SET target = :target, surplus_since = :surplus_since, reason = :reason
WHERE region = :region AND model = :model
"""

DECIDE: Final = """
INSERT INTO jobs.scaling_decision (region, model, before, after, reason, decided_at)
VALUES (:region, :model, :before, :after, :reason, clock_timestamp())
"""

DECISIONS: Final = """
SELECT region, model, before, after, reason, decided_at FROM jobs.scaling_decision
ORDER BY id DESC LIMIT :limit
"""

REPORTED: Final = """
SELECT region, model, running, target, minimum, maximum, reason FROM jobs.replicas
WHERE reported_at > clock_timestamp() - interval '15 seconds' ORDER BY region, model
"""

PRUNE: Final = """
DELETE FROM jobs.scaling_decision WHERE decided_at < clock_timestamp() - interval '30 days'
"""
