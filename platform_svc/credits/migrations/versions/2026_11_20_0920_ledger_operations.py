"""Makes the operations of the ledger: one statement of the client is one whole operation.

Each operation locks the account's row first. Its later statements therefore see everything that
earlier holders of the lock have committed, which a single statement would not (READ COMMITTED
takes its snapshot before it waits). Every outcome, refusals too, leaves the ledger in order, so
the client may let each call be its own transaction.
"""

from __future__ import annotations

from alembic import op

revision = "2026_11_20_0920"
down_revision = "2026_11_20_0910"
branch_labels = None
depends_on = None

SWEEP = """
CREATE FUNCTION credits.sweep(p_org uuid, p_unit text, p_now timestamptz)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM credits.account WHERE org_id = p_org AND unit = p_unit FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN RETURN false; END IF;
    PERFORM credits.settle(p_org, p_unit, p_now);
    RETURN true;
END $$
"""

GRANT = """
CREATE FUNCTION credits.give_grant(
    p_id uuid, p_org uuid, p_unit text, p_kind text, p_amount bigint, p_priority bigint,
    p_expires_at timestamptz, p_key text, p_note text, p_now timestamptz,
    p_posted_max bigint, OUT outcome text, OUT given credits.credit_grant
) LANGUAGE plpgsql AS $$
DECLARE
    v_posted bigint;
BEGIN
    INSERT INTO credits.account (org_id, unit, created_at) VALUES (p_org, p_unit, p_now)
    ON CONFLICT DO NOTHING;
    PERFORM 1 FROM credits.account WHERE org_id = p_org AND unit = p_unit FOR UPDATE;
    PERFORM credits.settle(p_org, p_unit, p_now);
    SELECT posted INTO v_posted FROM credits.account WHERE org_id = p_org AND unit = p_unit;
    outcome := 'given';
    SELECT * INTO given FROM credits.credit_grant WHERE idempotency_key = p_key;
    IF NOT FOUND THEN
        IF p_expires_at <= p_now THEN outcome := 'past'; RETURN; END IF;
        IF v_posted + p_amount > p_posted_max THEN outcome := 'full'; RETURN; END IF;
        INSERT INTO credits.credit_grant (id, org_id, unit, kind, priority, effective_at,
            expires_at, amount, remaining, idempotency_key, note, created_at)
        VALUES (p_id, p_org, p_unit, p_kind, p_priority, p_now, p_expires_at, p_amount, p_amount,
            p_key, p_note, p_now)
        ON CONFLICT (idempotency_key) DO NOTHING RETURNING * INTO given;
        IF FOUND THEN
            PERFORM credits.post(p_org, p_unit, 'grant', p_id::text, p_note, 'grant:' || p_id,
                p_amount, 0, 'issued:' || p_kind, p_now);
            RETURN;
        END IF;
        -- Another organization's call with this key has just won.
        SELECT * INTO STRICT given FROM credits.credit_grant WHERE idempotency_key = p_key;
    END IF;
    IF (given.org_id, given.unit, given.kind, given.amount, given.priority, given.note)
            <> (p_org, p_unit, p_kind, p_amount, p_priority, p_note)
            OR given.expires_at IS DISTINCT FROM p_expires_at THEN
        outcome := 'reused';
    END IF;
END $$
"""

HOLD = """
CREATE FUNCTION credits.place_hold(
    p_id text, p_org uuid, p_unit text, p_amount bigint, p_expires_at timestamptz,
    p_now timestamptz, OUT outcome text, OUT available bigint, OUT placed credits.hold
) LANGUAGE plpgsql AS $$
DECLARE
    v_covered bigint;
BEGIN
    available := 0;
    PERFORM 1 FROM credits.account WHERE org_id = p_org AND unit = p_unit FOR UPDATE;
    IF FOUND THEN
        PERFORM credits.settle(p_org, p_unit, p_now);
        SELECT posted - held INTO available
        FROM credits.account WHERE org_id = p_org AND unit = p_unit;
    END IF;
    SELECT * INTO placed FROM credits.hold WHERE id = p_id;
    IF NOT FOUND THEN
        IF available < p_amount THEN outcome := 'insufficient'; RETURN; END IF;
        INSERT INTO credits.hold (id, org_id, unit, amount, expires_at, created_at)
        VALUES (p_id, p_org, p_unit, p_amount, p_expires_at, p_now)
        ON CONFLICT (id) DO NOTHING RETURNING * INTO placed;
        -- Only another account's call can have taken the id meanwhile.
        IF NOT FOUND THEN outcome := 'reused'; RETURN; END IF;
        UPDATE credits.account SET held = held + p_amount, seq = seq + 1
        WHERE org_id = p_org AND unit = p_unit;
        WITH open_grants AS (
            SELECT id, remaining - held AS free, sum(remaining - held) OVER (
                ORDER BY priority, expires_at NULLS LAST, id) AS upto
            FROM credits.credit_grant
            WHERE org_id = p_org AND unit = p_unit AND remaining > 0 AND remaining > held
        ), taken AS (
            SELECT id, least(free, p_amount - (upto - free)) AS amount
            FROM open_grants WHERE upto - free < p_amount
        ), marked AS (
            UPDATE credits.credit_grant g SET held = g.held + t.amount
            FROM taken t WHERE g.id = t.id
        )
        INSERT INTO credits.hold_allocation (hold_id, grant_id, amount)
        SELECT p_id, id, amount FROM taken;
        SELECT sum(amount) INTO v_covered FROM credits.hold_allocation WHERE hold_id = p_id;
        IF v_covered IS DISTINCT FROM p_amount THEN
            RAISE EXCEPTION 'grants cover % of a hold of %', v_covered, p_amount
                USING ERRCODE = 'check_violation';
        END IF;
        outcome := 'placed';
    ELSIF (placed.org_id, placed.unit, placed.amount) = (p_org, p_unit, p_amount) THEN
        outcome := 'placed';
    ELSE
        outcome := 'reused';
    END IF;
END $$
"""

CAPTURE = """
CREATE FUNCTION credits.capture_hold(
    p_id text, p_amount bigint, p_now timestamptz, OUT outcome text, OUT closed credits.hold
) LANGUAGE plpgsql AS $$
BEGIN
    SELECT * INTO closed FROM credits.hold WHERE id = p_id;
    IF NOT FOUND THEN outcome := 'unknown'; RETURN; END IF;
    PERFORM 1 FROM credits.account
    WHERE org_id = closed.org_id AND unit = closed.unit FOR UPDATE;
    PERFORM credits.settle(closed.org_id, closed.unit, p_now);
    SELECT * INTO closed FROM credits.hold WHERE id = p_id;
    IF p_amount > closed.amount THEN
        outcome := 'exceeds';
    ELSIF closed.state = 'pending' THEN
        closed := credits.close_hold(p_id, 'captured', p_amount, p_now);
        PERFORM credits.lapse_grants(closed.org_id, closed.unit, p_now);
        outcome := 'captured';
    ELSIF closed.state = 'captured' AND closed.captured = p_amount THEN
        outcome := 'captured';
    ELSE
        outcome := 'closed';
    END IF;
END $$
"""

RELEASE = """
CREATE FUNCTION credits.release_hold(
    p_id text, p_now timestamptz, OUT outcome text, OUT closed credits.hold
) LANGUAGE plpgsql AS $$
BEGIN
    SELECT * INTO closed FROM credits.hold WHERE id = p_id;
    IF NOT FOUND THEN outcome := 'unknown'; RETURN; END IF;
    PERFORM 1 FROM credits.account
    WHERE org_id = closed.org_id AND unit = closed.unit FOR UPDATE;
    PERFORM credits.settle(closed.org_id, closed.unit, p_now);
    SELECT * INTO closed FROM credits.hold WHERE id = p_id;
    outcome := 'released';
    IF closed.state = 'pending' THEN
        closed := credits.close_hold(p_id, 'released', 0, p_now);
        PERFORM credits.lapse_grants(closed.org_id, closed.unit, p_now);
    ELSIF closed.state = 'captured' THEN
        outcome := 'closed';
    END IF;
END $$
"""

FUNCTIONS = (SWEEP, GRANT, HOLD, CAPTURE, RELEASE)
NAMES = ("release_hold", "capture_hold", "place_hold", "give_grant", "sweep")


def upgrade() -> None:
    for function in FUNCTIONS:
        op.execute(function)


def downgrade() -> None:
    for name in NAMES:
        op.execute(f"DROP FUNCTION credits.{name}")
