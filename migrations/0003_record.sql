-- The record: versioned rows of calls and agents, and the numbered feed of facts. These tables take every change of every
-- call, so they carry no foreign keys (the core knows only rows that were read from them), few indexes, and none on what
-- changes in the middle of a call's life: such updates stay in their page (HOT) in the room that fillfactor leaves.

CREATE TABLE calls (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    -- The protocol.
    number bigint NOT NULL,
    department_id uuid NOT NULL,
    link_id uuid,
    customer_id uuid NOT NULL,
    customer_name text NOT NULL,
    customer_email text,
    customer_phone text,
    reason text,
    priority smallint NOT NULL,
    requirements text[] NOT NULL DEFAULT '{}',
    join_key text,
    -- The join.
    inserted_at timestamptz NOT NULL,
    phase text NOT NULL CHECK (phase IN ('waiting', 'offered', 'assigned', 'active', 'ended')),
    -- Of phase and end, kept for filters.
    status text NOT NULL CHECK (status IN ('queued', 'active', 'completed', 'missed', 'cancelled')),
    end_reason text,
    user_id uuid,
    grant_id uuid,
    assigned_at timestamptz,
    accepted_at timestamptz,
    started_at timestamptz,
    -- The end, however it came.
    completed_at timestamptz,
    wrap_up_ends_at timestamptz,
    exclusions jsonb,
    last_offer jsonb,
    connected boolean NOT NULL,
    -- When this version was made, by whom, and which it is.
    updated_at timestamptz NOT NULL,
    epoch bigint NOT NULL,
    version bigint NOT NULL,
    -- Not the core's.
    rating smallint CHECK (rating BETWEEN 1 AND 5),
    rating_comment text,
    rating_verified boolean,
    rated_at timestamptz,
    notes text,
    -- Indexes name this and not the phase, because an index on the phase would make every change of phase touch them all.
    open boolean NOT NULL GENERATED ALWAYS AS (phase <> 'ended') STORED,
    -- The id leads because a call is looked up before its tenant is known.
    PRIMARY KEY (id, tenant_id),
    CONSTRAINT calls_number_key UNIQUE (tenant_id, number)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.1);
CREATE INDEX calls_inserted_at ON calls (tenant_id, inserted_at DESC);
CREATE INDEX calls_open ON calls (tenant_id, department_id) WHERE open;
CREATE INDEX calls_ended ON calls (tenant_id, department_id, completed_at DESC) WHERE completed_at IS NOT NULL;
CREATE INDEX calls_wrap_up ON calls (wrap_up_ends_at) WHERE wrap_up_ends_at IS NOT NULL;
CREATE INDEX calls_join_key ON calls (tenant_id, link_id, join_key) WHERE join_key IS NOT NULL;
SELECT vez_protect('calls');

CREATE TABLE call_messages (
    tenant_id uuid NOT NULL,
    call_id uuid NOT NULL,
    id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    sender text NOT NULL CHECK (sender IN ('customer', 'agent')),
    body text NOT NULL,
    inserted_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, call_id, id),
    FOREIGN KEY (tenant_id, call_id) REFERENCES calls (tenant_id, id) ON DELETE CASCADE
);
SELECT vez_protect('call_messages');

CREATE TABLE customers (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL,
    email text,
    phone text,
    document text,
    notes text,
    inserted_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX customers_email ON customers (tenant_id, lower(email)) WHERE email IS NOT NULL;
CREATE INDEX customers_phone ON customers (tenant_id, phone) WHERE phone IS NOT NULL;
SELECT vez_protect('customers');

CREATE TABLE agents (
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    status text NOT NULL CHECK (status IN ('available', 'paused', 'offline')),
    pause_reason text,
    status_since timestamptz NOT NULL,
    after_call_status text CHECK (after_call_status IN ('available', 'paused', 'offline')),
    after_call_reason text,
    held_cause text,
    held_since timestamptz,
    misses smallint NOT NULL,
    -- A device held his lease when this was written.
    leased boolean NOT NULL,
    wrap_ups jsonb,
    -- The latest end among them.
    wrap_up_until timestamptz,
    idle jsonb NOT NULL,
    rotation bigint NOT NULL,
    calls_today integer NOT NULL,
    updated_at timestamptz NOT NULL,
    epoch bigint NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (tenant_id, user_id)
) WITH (fillfactor = 50);
SELECT vez_protect('agents');

-- Ids, times and reasons only. Names, contacts and typed text live in rows that can be erased.
CREATE TABLE events (
    tenant_id uuid NOT NULL,
    -- From the tenant's counter row, inside the transaction that writes the fact: no gaps, in the order of commits.
    seq bigint NOT NULL,
    kind text NOT NULL,
    at timestamptz NOT NULL,
    call_id uuid,
    department_id uuid,
    user_id uuid,
    data jsonb,
    PRIMARY KEY (tenant_id, seq)
);
CREATE INDEX events_call ON events (tenant_id, call_id) WHERE call_id IS NOT NULL;
SELECT vez_protect('events');

-- Which process owns the database; one row.
CREATE TABLE ownership (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    owner_epoch bigint NOT NULL,
    owner_id uuid NOT NULL,
    pid integer NOT NULL,
    host text NOT NULL,
    acquired_at timestamptz NOT NULL,
    -- When the owner last said that it serves; kept when the next one takes over, until that one serves.
    heartbeat_at timestamptz
) WITH (fillfactor = 30);
GRANT SELECT, INSERT, UPDATE ON ownership TO vez_system;

-- The last batch each shard committed, so that a writer who lost its connection can ask; and the number of the connection
-- that writes the shard, raised with each new one, so that nothing an older one sent can still be written.
CREATE TABLE writer_marks (
    shard integer PRIMARY KEY,
    generation bigint NOT NULL,
    epoch bigint NOT NULL,
    batch_id uuid
) WITH (fillfactor = 30);
GRANT SELECT, INSERT, UPDATE ON writer_marks TO vez_system;

-- The first thing every batch does, inside the one statement that writes it: holds the lock that whoever takes the database
-- over takes exclusively, and its shard's own, until its transaction is over; then looks whether its owner still owns and its
-- connection still is the shard's. As a volatile function it reads with a snapshot taken after the locks, which the calling
-- statement's own would not be.
CREATE FUNCTION vez_enter_batch(
    batch_epoch bigint, lock_class integer, batch_lock integer, batch_shard integer, batch_generation bigint
) RETURNS boolean
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(lock_class, batch_lock), pg_advisory_xact_lock(lock_class, batch_shard);
    IF NOT EXISTS (SELECT FROM public.ownership WHERE owner_epoch = batch_epoch) THEN
        RAISE EXCEPTION USING ERRCODE = 'VZ001', MESSAGE = 'another process owns the record';
    END IF;
    IF NOT EXISTS (
        SELECT FROM public.writer_marks WHERE shard = batch_shard AND generation = batch_generation
    ) THEN
        RAISE EXCEPTION USING ERRCODE = 'VZ004', MESSAGE = 'a newer connection writes this shard';
    END IF;
    RETURN true;
END
$$;

-- Ends the statement that calls it, and its transaction, with an error of ours.
CREATE FUNCTION vez_refuse(code text, sentence text) RETURNS boolean
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = code, MESSAGE = sentence;
END
$$;

REVOKE ALL ON FUNCTION vez_enter_batch(bigint, integer, integer, integer, bigint), vez_refuse(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION vez_enter_batch(bigint, integer, integer, integer, bigint), vez_refuse(text, text) TO vez_system;
