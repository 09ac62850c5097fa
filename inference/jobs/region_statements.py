"""The SQL of the regions' states and of what operators see."""

from __future__ import annotations

from typing import Final

LIST: Final = """
SELECT r.name, r.state, r.note, r.changed_by, r.changed_at,
    count(l.job_id) FILTER (WHERE l.started_at IS NULL) AS waiting,
    count(l.job_id) FILTER (WHERE l.started_at IS NOT NULL) AS running,
    coalesce(sum(l.cost_seconds) FILTER (WHERE l.started_at IS NULL), 0) AS backlog_seconds
FROM jobs.region r LEFT JOIN jobs.lease l ON l.region = r.name
WHERE r.name = coalesce(CAST(:name AS text), r.name)
GROUP BY r.name ORDER BY r.name
"""

SET_STATE: Final = """
UPDATE jobs.region SET state = :state, note = :note, changed_by = :changed_by,
    changed_at = clock_timestamp()
WHERE name = :name RETURNING name
"""

UNSTARTED: Final = """
SELECT job_id, fence FROM jobs.lease WHERE region = :name AND started_at IS NULL
ORDER BY job_id FOR UPDATE
"""

PLACEMENTS: Final = """
SELECT job_id, fence, detail, at FROM jobs.job_event WHERE event = 'grant'
ORDER BY id DESC LIMIT :limit
"""
