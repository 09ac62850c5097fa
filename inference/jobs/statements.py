"""The SQL of the jobs service. Times are `clock_timestamp()`: no machine's clock but Postgres'.

Claims delete by ctid from an array and not by a join, because the planner reads the whole hot
table for a join once its statistics are stale.
"""

from __future__ import annotations

from typing import Final

# One round trip: an equal key makes the whole statement do nothing.
SUBMIT: Final = """
WITH moment AS (SELECT clock_timestamp() AS at),
job AS (
    INSERT INTO jobs.job (
        id, tenant_id, idempotency_key, fingerprint, model, task, inputs, count, band, weight,
        vt, start_deadline, attempts_max, traceparent, created_at, cost_seconds, regions)
    SELECT :id, :tenant_id, :idempotency_key, :fingerprint, :model, :task,
        CAST(:inputs AS json), :count, :band, :weight,
        CAST(extract(epoch FROM least(at + CAST(:patience AS interval), :start_deadline))
            * 1000000 AS bigint),
        :start_deadline, :attempts_max, :traceparent, at, :cost_seconds, :regions
    FROM moment
    ON CONFLICT (tenant_id, idempotency_key) DO NOTHING
    RETURNING *),
ready AS (
    INSERT INTO jobs.ready (
        queue, band, vt, job_id, tenant_id, fence, attempts, last_region, start_deadline,
        weight, cost_seconds, regions)
    SELECT model, band, vt, id, tenant_id, 0, 0, '', start_deadline, weight, cost_seconds, regions
    FROM job),
event AS (
    INSERT INTO jobs.job_event (job_id, fence, event, detail, at)
    SELECT id, 0, 'submit', '', created_at FROM job)
SELECT id FROM job
"""

FIND_BY_KEY: Final = """
SELECT id, fingerprint FROM jobs.job
WHERE tenant_id = :tenant_id AND idempotency_key = :idempotency_key
"""

READ: Final = """
SELECT j.id, j.tenant_id, j.idempotency_key, j.model, j.task, j.inputs, j.count AS pictures,
    j.attempts_max,
    j.created_at,
    o.state AS outcome_state, o.outputs, o.reason, o.message, o.run_ms, o.upload_ms,
    o.finished_at,
    l.job_id IS NOT NULL AS is_leased, coalesce(l.cancel_requested, false) AS cancel_requested,
    coalesce(o.fence, l.fence, r.fence, s.fence, 0) AS fence,
    coalesce(o.region, l.region, r.last_region, s.last_region, '') AS region,
    coalesce(o.started_at, l.started_at) AS started_at,
    coalesce(o.step, l.step, 0) AS step, coalesce(o.steps, l.steps, 0) AS steps
FROM jobs.job j
LEFT JOIN jobs.outcome o ON o.job_id = j.id
LEFT JOIN jobs.lease l ON l.job_id = j.id
LEFT JOIN jobs.ready r ON r.job_id = j.id
LEFT JOIN jobs.scheduled s ON s.job_id = j.id
WHERE j.id = :job_id
"""

# What the scheduler decides on: the first jobs of each lane, found by hopping from lane to lane
# through the index, and those of each queue that are due first, so that no number of lanes can
# hide a late job. Each comes with its tenant's clock and its band's floor.
READY: Final = """
WITH RECURSIVE hop(queue, band, tenant_id, regions) AS (
    SELECT first.* FROM unnest(CAST(:models AS text[])) AS wanted(model)
    CROSS JOIN LATERAL (
        SELECT queue, band, tenant_id, regions FROM jobs.ready WHERE queue = wanted.model
        ORDER BY band, tenant_id, regions LIMIT 1) AS first
    UNION ALL
    SELECT next.* FROM hop CROSS JOIN LATERAL (
        SELECT queue, band, tenant_id, regions FROM jobs.ready WHERE queue = hop.queue
            AND (band, tenant_id, regions) > (hop.band, hop.tenant_id, hop.regions)
        ORDER BY band, tenant_id, regions LIMIT 1) AS next),
lane AS MATERIALIZED (SELECT * FROM hop LIMIT CAST(:lanes_max AS bigint)),
shown AS (
    SELECT r.* FROM lane CROSS JOIN LATERAL (
        SELECT * FROM jobs.ready WHERE queue = lane.queue AND band = lane.band
            AND tenant_id = lane.tenant_id AND regions = lane.regions
        ORDER BY vt, job_id
        LIMIT (SELECT least(CAST(:room AS bigint), greatest(
            CAST(:each_min AS bigint), 2 * CAST(:room AS bigint) / count(*))) FROM lane)) AS r
    UNION
    SELECT r.* FROM unnest(CAST(:models AS text[])) AS wanted(model)
    CROSS JOIN LATERAL (
        SELECT * FROM jobs.ready WHERE queue = wanted.model
        ORDER BY vt, job_id
        LIMIT least(CAST(:room AS bigint), CAST(:each_min AS bigint))) AS r)
SELECT s.job_id, s.queue, s.tenant_id, s.band, s.vt, s.start_deadline, s.weight, s.cost_seconds,
    s.regions, c.vt AS clock, f.vt AS floor,
    (SELECT vt FROM jobs.share_clock WHERE band = -1 AND tenant_id = '') AS owed
FROM shown s
LEFT JOIN jobs.share_clock c ON c.band = s.band AND c.tenant_id = s.tenant_id
LEFT JOIN jobs.share_clock f ON f.band = s.band AND f.tenant_id = ''
ORDER BY s.band, s.vt, s.job_id
"""

# The leases of a region: how much of their work has not begun, and how many are worked on.
REGION_LOADS: Final = """
SELECT r.name, r.state,
    coalesce(sum(l.cost_seconds) FILTER (WHERE l.started_at IS NULL), 0) AS backlog_seconds,
    count(l.job_id) FILTER (WHERE l.started_at IS NOT NULL) AS running
FROM jobs.region r LEFT JOIN jobs.lease l ON l.region = r.name
WHERE r.name = ANY(CAST(:names AS text[]))
GROUP BY r.name, r.state
"""

ADD_REGIONS: Final = """
INSERT INTO jobs.region (name, state, note, changed_by, changed_at)
SELECT name, 'active', '', '', clock_timestamp() FROM unnest(CAST(:names AS text[])) AS n(name)
ORDER BY name ON CONFLICT DO NOTHING
"""

CLAIM: Final = """
WITH wanted AS (
    SELECT * FROM unnest(
        CAST(:ids AS uuid[]), CAST(:regions AS text[]), CAST(:agents AS text[]),
        CAST(:reasons AS text[]), CAST(:bands AS smallint[]), CAST(:tenants AS text[]),
        CAST(:clocks AS double precision[]), CAST(:floors AS double precision[]))
        AS w(job_id, region, agent_id, reason, band, tenant_id, clock, floor)),
claimed AS (
    DELETE FROM jobs.ready WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM jobs.ready WHERE job_id = ANY(CAST(:ids AS uuid[]))
        FOR UPDATE SKIP LOCKED))
    RETURNING job_id, fence, attempts, start_deadline, cost_seconds),
granted AS (
    INSERT INTO jobs.lease (
        job_id, fence, attempts, region, agent_id, start_deadline, leased_at, lease_until,
        cancel_requested, started_at, step, steps, cost_seconds)
    SELECT c.job_id, c.fence + 1, c.attempts + 1, w.region, w.agent_id, c.start_deadline,
        clock_timestamp(), clock_timestamp() + CAST(:ttl AS interval), false, NULL, 0, 0,
        c.cost_seconds
    FROM claimed c JOIN wanted w USING (job_id)
    RETURNING job_id, fence, lease_until),
charged AS (
    INSERT INTO jobs.share_clock AS s (band, tenant_id, vt)
    SELECT w.band, w.tenant_id, max(w.clock) FROM claimed JOIN wanted w USING (job_id)
    WHERE w.tenant_id <> '' GROUP BY w.band, w.tenant_id
    UNION ALL
    SELECT w.band, '', max(w.floor) FROM claimed JOIN wanted w USING (job_id)
    WHERE w.tenant_id <> '' GROUP BY w.band
    UNION ALL
    SELECT -1, '', CAST(:owed AS double precision)
    ORDER BY 1, 2
    ON CONFLICT (band, tenant_id) DO UPDATE SET
        vt = CASE WHEN s.band < 0 THEN excluded.vt ELSE greatest(s.vt, excluded.vt) END),
event AS (
    INSERT INTO jobs.job_event (job_id, fence, event, detail, at)
    SELECT g.job_id, g.fence, 'grant', w.reason, clock_timestamp()
    FROM granted g JOIN wanted w USING (job_id))
SELECT g.job_id, g.fence, g.lease_until, j.model, j.task, j.inputs, j.count AS pictures,
    j.traceparent
FROM granted g JOIN jobs.job j ON j.id = g.job_id
"""

# The clock of a tenant that has been idle for so long says nothing that its band's floor does not.
FORGET_CLOCKS: Final = """
DELETE FROM jobs.share_clock c USING jobs.share_clock f
WHERE f.band = c.band AND f.tenant_id = '' AND c.tenant_id <> ''
    AND c.vt < f.vt - CAST(:catch_up_seconds AS double precision)
"""

# A lease that is past its time but not yet taken back may be extended: the fence decides who
# owns it, and so a scheduler that was away does not cost its regions their work.
EXTEND: Final = """
WITH beat AS (
    SELECT * FROM unnest(
        CAST(:ids AS uuid[]), CAST(:fences AS integer[]), CAST(:step AS integer[]),
        CAST(:steps AS integer[])) AS b(job_id, fence, step, steps)),
held AS (
    SELECT l.job_id, l.fence, l.started_at, l.cancel_requested, b.step, b.steps
    FROM jobs.lease l JOIN beat b ON b.job_id = l.job_id AND b.fence = l.fence
    WHERE l.region = :region
    ORDER BY l.job_id FOR UPDATE OF l),
kept AS (
    UPDATE jobs.lease l SET
        lease_until = clock_timestamp() + CAST(:ttl AS interval),
        started_at = CASE WHEN h.step IS NULL THEN l.started_at
            ELSE coalesce(l.started_at, clock_timestamp()) END,
        step = greatest(l.step, h.step),
        steps = CASE WHEN h.step >= l.step THEN h.steps ELSE l.steps END
    FROM held h WHERE l.job_id = h.job_id),
event AS (
    INSERT INTO jobs.job_event (job_id, fence, event, detail, at)
    SELECT job_id, fence, 'start', '', clock_timestamp()
    FROM held WHERE started_at IS NULL AND step IS NOT NULL)
SELECT job_id, fence, cancel_requested FROM held
"""

# Takes the lease away from its holder; what follows in the same transaction decides the job.
TAKE_LEASE: Final = """
WITH taken AS (
    DELETE FROM jobs.lease WHERE job_id = :job_id AND fence = :fence
        AND region = coalesce(CAST(:region AS text), region)
    RETURNING *)
SELECT taken.*, j.attempts_max FROM taken JOIN jobs.job j ON j.id = taken.job_id
"""

TAKE_EXPIRED: Final = """
WITH taken AS (
    DELETE FROM jobs.lease WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM jobs.lease WHERE lease_until <= clock_timestamp()
        ORDER BY lease_until LIMIT :limit FOR UPDATE SKIP LOCKED))
    RETURNING *)
SELECT taken.*, j.attempts_max FROM taken JOIN jobs.job j ON j.id = taken.job_id
"""

TAKE_QUEUED: Final = """
WITH ready AS (
    DELETE FROM jobs.ready WHERE job_id = :job_id
    RETURNING job_id, fence, attempts, last_region, start_deadline),
scheduled AS (
    DELETE FROM jobs.scheduled WHERE job_id = :job_id
    RETURNING job_id, fence, attempts, last_region, start_deadline)
SELECT * FROM ready UNION ALL SELECT * FROM scheduled
"""

TAKE_LATE: Final = """
WITH ready AS (
    DELETE FROM jobs.ready WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM jobs.ready WHERE start_deadline <= clock_timestamp()
        ORDER BY start_deadline LIMIT :limit FOR UPDATE SKIP LOCKED))
    RETURNING job_id, fence, attempts, last_region, start_deadline),
scheduled AS (
    DELETE FROM jobs.scheduled WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM jobs.scheduled WHERE start_deadline <= clock_timestamp()
        LIMIT :limit FOR UPDATE SKIP LOCKED))
    RETURNING job_id, fence, attempts, last_region, start_deadline)
SELECT * FROM ready UNION ALL SELECT * FROM scheduled
"""

REQUEUE: Final = """
WITH ready AS (
    INSERT INTO jobs.ready (
        queue, band, vt, job_id, tenant_id, fence, attempts, last_region, start_deadline,
        weight, cost_seconds, regions)
    SELECT model, band, vt, id, tenant_id, :fence, :attempts, :region, :start_deadline,
        weight, cost_seconds, regions
    FROM jobs.job WHERE id = :job_id)
INSERT INTO jobs.job_event (job_id, fence, event, detail, at)
VALUES (:job_id, :fence, :event, :detail, clock_timestamp())
"""

SCHEDULE: Final = """
WITH scheduled AS (
    INSERT INTO jobs.scheduled (job_id, run_at, fence, attempts, last_region, start_deadline)
    VALUES (:job_id, clock_timestamp() + CAST(:pause AS interval), :fence, :attempts, :region,
        :start_deadline))
INSERT INTO jobs.job_event (job_id, fence, event, detail, at)
VALUES (:job_id, :fence, :event, :detail, clock_timestamp())
"""

PROMOTE: Final = """
WITH due AS (
    DELETE FROM jobs.scheduled WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM jobs.scheduled WHERE run_at <= clock_timestamp()
        ORDER BY run_at LIMIT :limit FOR UPDATE SKIP LOCKED))
    RETURNING *)
INSERT INTO jobs.ready (
    queue, band, vt, job_id, tenant_id, fence, attempts, last_region, start_deadline,
    weight, cost_seconds, regions)
SELECT j.model, j.band, j.vt, j.id, j.tenant_id, d.fence, d.attempts, d.last_region,
    d.start_deadline, j.weight, j.cost_seconds, j.regions
FROM due d JOIN jobs.job j ON j.id = d.job_id
RETURNING job_id
"""

REQUEST_CANCEL: Final = """
WITH flagged AS (
    UPDATE jobs.lease SET cancel_requested = true WHERE job_id = :job_id RETURNING fence)
INSERT INTO jobs.job_event (job_id, fence, event, detail, at)
SELECT :job_id, fence, 'cancel', '', clock_timestamp() FROM flagged
RETURNING fence
"""

# A success that came before the report of its start began when its own times say.
FINISH: Final = """
WITH outcome AS (
    INSERT INTO jobs.outcome (
        job_id, fence, state, region, outputs, reason, message, step, steps, run_ms, upload_ms,
        started_at, finished_at)
    VALUES (:job_id, :fence, :state, :region, CAST(:outputs AS json), :reason, :message, :step,
        :steps, :run_ms, :upload_ms,
        coalesce(:started_at, CASE WHEN :state = 'succeeded' THEN
            clock_timestamp() - (CAST(:run_ms AS integer) + CAST(:upload_ms AS integer))
            * interval '1 ms' END),
        clock_timestamp())
    RETURNING finished_at)
INSERT INTO jobs.job_event (job_id, fence, event, detail, at)
SELECT :job_id, :fence, :event, :state, finished_at FROM outcome
"""

FIND_OUTCOME: Final = """
SELECT fence, state, outputs FROM jobs.outcome WHERE job_id = :job_id
"""

# A count of a long queue is slow and nobody needs it exactly.
DEPTHS: Final = """
SELECT (SELECT count(*) FROM (SELECT 1 FROM jobs.ready LIMIT 100001) AS r) AS ready,
    (SELECT count(*) FROM jobs.scheduled) AS scheduled,
    (SELECT count(*) FROM jobs.lease) AS leases
"""

# The hot tables' statistics are always stale; these plans are right at any size. For this
# transaction only: the pool is shared. The lock keeps regions as they are until the claims are
# committed, so nothing is placed in a region after its cordon was answered.
PIN_PLANS: Final = """
SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
    set_config('enable_mergejoin', 'off', true), set_config('jit', 'off', true),
    pg_advisory_xact_lock_shared(5224021)
"""

LOCK_REGIONS: Final = "SELECT pg_advisory_xact_lock(5224021)"
