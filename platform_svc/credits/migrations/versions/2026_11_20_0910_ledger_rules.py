"""Makes the rules of the ledger: posting, closing a hold, lapsing grants, settling what is due.

These are called by the operations, with the account's row already locked.
"""

from __future__ import annotations

from alembic import op

revision = "2026_11_20_0910"
down_revision = "2026_11_20_0900"
branch_labels = None
depends_on = None

# UUIDv7 (RFC 9562, 5.7): the milliseconds over a random UUID, then the version's two bits.
NEW_TX_ID = """
CREATE FUNCTION credits.new_tx_id(p_now timestamptz) RETURNS uuid LANGUAGE sql VOLATILE AS $$
    SELECT encode(set_bit(set_bit(overlay(
        uuid_send(gen_random_uuid())
        placing substring(int8send((extract(epoch FROM p_now) * 1000)::bigint) FROM 3)
        FROM 1 FOR 6), 52, 1), 53, 1), 'hex')::uuid
$$
"""

# A JSON array keeps the fields apart whatever text they hold.
POSTING_HASH = """
CREATE FUNCTION credits.posting_hash(
    p_prev bytea, p_id uuid, p_org uuid, p_unit text, p_seq bigint, p_kind text, p_reference text,
    p_note text, p_amount bigint, p_counter text, p_at timestamptz
) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(p_prev || convert_to(jsonb_build_array(
        p_id, p_org, p_unit, p_seq, p_kind, p_reference, p_note, p_amount, p_counter,
        (extract(epoch FROM p_at) * 1000000)::bigint)::text, 'UTF8'))
$$
"""

POST = """
CREATE FUNCTION credits.post(
    p_org uuid, p_unit text, p_kind text, p_reference text, p_note text, p_key text,
    p_amount bigint, p_held_delta bigint, p_counter text, p_now timestamptz
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_id uuid := credits.new_tx_id(p_now);
    v_account credits.account;
    v_hash bytea;
BEGIN
    SELECT * INTO STRICT v_account FROM credits.account WHERE org_id = p_org AND unit = p_unit;
    v_hash := credits.posting_hash(v_account.head_hash, v_id, p_org, p_unit, v_account.seq + 1,
        p_kind, p_reference, p_note, p_amount, p_counter, p_now);
    INSERT INTO credits.ledger_tx VALUES (v_id, p_org, p_unit, v_account.seq + 1, p_kind,
        p_reference, p_note, p_key, v_account.head_hash, v_hash, p_now);
    INSERT INTO credits.ledger_entry VALUES
        (v_id, 1, format('org:%s:credits', p_org), p_unit, p_amount),
        (v_id, 2, p_counter, p_unit, -p_amount);
    UPDATE credits.account
    SET posted = posted + p_amount, held = held + p_held_delta, seq = seq + 1, head_hash = v_hash
    WHERE org_id = p_org AND unit = p_unit;
END $$
"""

# What is not held of a grant past its end becomes breakage; held slices break when they return.
LAPSE_GRANTS = """
CREATE FUNCTION credits.lapse_grants(p_org uuid, p_unit text, p_now timestamptz)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_grant credits.credit_grant;
BEGIN
    FOR v_grant IN
        SELECT * FROM credits.credit_grant
        WHERE org_id = p_org AND unit = p_unit AND remaining > 0 AND remaining > held
            AND expires_at <= p_now
        ORDER BY id
    LOOP
        UPDATE credits.credit_grant SET remaining = held WHERE id = v_grant.id;
        -- What remains only shrinks, so it tells the lapses of one grant apart.
        PERFORM credits.post(p_org, p_unit, 'expiry', v_grant.id::text, v_grant.note,
            'expiry:' || v_grant.id || ':' || v_grant.remaining,
            v_grant.held - v_grant.remaining, 0, 'breakage:expired', p_now);
    END LOOP;
END $$
"""

CLOSE_HOLD = """
CREATE FUNCTION credits.close_hold(
    p_id text, p_state text, p_captured bigint, p_now timestamptz
) RETURNS credits.hold LANGUAGE plpgsql AS $$
DECLARE
    v_hold credits.hold;
BEGIN
    UPDATE credits.hold SET state = p_state, captured = p_captured, closed_at = p_now
    WHERE id = p_id AND state = 'pending' RETURNING * INTO STRICT v_hold;
    WITH ordered AS (
        SELECT a.grant_id, a.amount, sum(a.amount) OVER (
            ORDER BY g.priority, g.expires_at NULLS LAST, g.id) AS upto
        FROM credits.hold_allocation a JOIN credits.credit_grant g ON g.id = a.grant_id
        WHERE a.hold_id = p_id
    ), charged AS (
        SELECT grant_id, amount,
            greatest(0, least(amount, p_captured - (upto - amount))) AS captured
        FROM ordered
    ), freed AS (
        UPDATE credits.credit_grant g
        SET held = g.held - c.amount, remaining = g.remaining - c.captured
        FROM charged c WHERE g.id = c.grant_id
    )
    UPDATE credits.hold_allocation a SET captured = c.captured
    FROM charged c WHERE a.hold_id = p_id AND a.grant_id = c.grant_id AND c.captured > 0;
    IF p_captured > 0 THEN
        PERFORM credits.post(v_hold.org_id, v_hold.unit, 'capture', p_id, '', 'capture:' || p_id,
            -p_captured, -v_hold.amount, 'revenue:usage', p_now);
    ELSE
        UPDATE credits.account SET held = held - v_hold.amount, seq = seq + 1
        WHERE org_id = v_hold.org_id AND unit = v_hold.unit;
    END IF;
    RETURN v_hold;
END $$
"""

SETTLE = """
CREATE FUNCTION credits.settle(p_org uuid, p_unit text, p_now timestamptz)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_id text;
BEGIN
    FOR v_id IN
        SELECT id FROM credits.hold
        WHERE org_id = p_org AND unit = p_unit AND state = 'pending' AND expires_at <= p_now
        ORDER BY id
    LOOP
        PERFORM credits.close_hold(v_id, 'expired', 0, p_now);
    END LOOP;
    PERFORM credits.lapse_grants(p_org, p_unit, p_now);
END $$
"""

FUNCTIONS = (NEW_TX_ID, POSTING_HASH, POST, LAPSE_GRANTS, CLOSE_HOLD, SETTLE)
NAMES = ("settle", "close_hold", "lapse_grants", "post", "posting_hash", "new_tx_id")


def upgrade() -> None:
    for function in FUNCTIONS:
        op.execute(function)


def downgrade() -> None:
    for name in NAMES:
        op.execute(f"DROP FUNCTION credits.{name}")
