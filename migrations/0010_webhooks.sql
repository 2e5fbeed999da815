-- Webhooks: who wants to hear of what, the outbox of what is to be told, and what became of telling it. The outbox is written
-- by the record's batches too, which must never fail or wait because of a webhook: so it carries no foreign keys, and what
-- belongs to a webhook that is gone is cleared away by whoever delivers.

CREATE TABLE webhooks (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    url text NOT NULL,
    description text,
    events text[] NOT NULL,
    active boolean NOT NULL DEFAULT true,
    -- Both sealed. The former one signs too until its time is over.
    secret text NOT NULL,
    former_secret text,
    former_secret_until timestamptz,
    -- Since when nothing but failures came; null after a success.
    failing_since timestamptz,
    -- When it was switched off for its failures.
    disabled_at timestamptz,
    inserted_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
SELECT vez_protect('webhooks');
SELECT vez_audit('webhooks', 'webhook', 'id', '{secret,former_secret}');

-- One row for each fact that some webhook of the company wanted to hear at that moment. The random ids are made here because
-- most rows are made by the record's one statement, and because an id must not come again after a backup was put back.
CREATE TABLE webhook_events (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    -- The order of facts about the same subject.
    seq bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    event text NOT NULL,
    -- The call, customer or appointment.
    subject_id uuid NOT NULL,
    at timestamptz NOT NULL,
    -- As it stood then; json and not jsonb, so that it is sent as it was written.
    data json NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX webhook_events_at ON webhook_events (at);
SELECT vez_protect('webhook_events');

-- One row for each webhook and fact it is told. What is open is `new` until the deliverer has looked at it, `blocked` while an
-- earlier one of the same webhook and subject is open, else `due` or `sending`.
CREATE TABLE webhook_deliveries (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    webhook_id uuid NOT NULL,
    event_id uuid NOT NULL,
    seq bigint NOT NULL,
    event text NOT NULL,
    subject_id uuid NOT NULL,
    state text NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'blocked', 'due', 'sending', 'delivered', 'dead')),
    -- Ever made, and failed ones since it was written or replayed.
    attempts integer NOT NULL DEFAULT 0,
    failures integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL,
    inserted_at timestamptz NOT NULL,
    -- When it was delivered or given up.
    finished_at timestamptz,
    PRIMARY KEY (tenant_id, id)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX webhook_deliveries_new ON webhook_deliveries (seq) WHERE state = 'new';
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (tenant_id, webhook_id, due_at, seq) WHERE state = 'due';
CREATE INDEX webhook_deliveries_sending ON webhook_deliveries (tenant_id, id) WHERE state = 'sending';
CREATE INDEX webhook_deliveries_line ON webhook_deliveries (tenant_id, webhook_id, subject_id, seq)
    WHERE state IN ('blocked', 'due', 'sending');
CREATE INDEX webhook_deliveries_list ON webhook_deliveries (tenant_id, webhook_id, inserted_at DESC);
CREATE INDEX webhook_deliveries_event ON webhook_deliveries (tenant_id, event_id);
SELECT vez_protect('webhook_deliveries');

-- What was sent and what came back, as far as it is kept.
CREATE TABLE webhook_attempts (
    tenant_id uuid NOT NULL,
    delivery_id uuid NOT NULL,
    -- From 1.
    number integer NOT NULL,
    at timestamptz NOT NULL,
    duration_ms integer NOT NULL,
    url text NOT NULL,
    request_headers json NOT NULL,
    -- Null when no answer came; `error` says why then.
    response_status smallint,
    response_headers json,
    response_body text,
    error text,
    PRIMARY KEY (tenant_id, delivery_id, number)
);
SELECT vez_protect('webhook_attempts');
