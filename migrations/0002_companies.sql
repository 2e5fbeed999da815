-- Companies, their staff and departments. Columns are the API's words; times are whole seconds.

CREATE TABLE tenants (
    id uuid PRIMARY KEY,
    slug text NOT NULL CONSTRAINT tenants_slug_key UNIQUE,
    name text NOT NULL,
    plan text NOT NULL CHECK (plan IN ('free', 'basic', 'advanced', 'professional', 'enterprise')),
    time_zone text NOT NULL,
    document text,
    document_type text,
    email text,
    phone text,
    logo_url text,
    primary_color text NOT NULL DEFAULT '#6366f1',
    -- Overrules the plan's when set.
    max_concurrent_calls integer CHECK (max_concurrent_calls > 0),
    recording_enabled boolean NOT NULL DEFAULT false,
    transcription_enabled boolean NOT NULL DEFAULT false,
    mfa_required boolean NOT NULL DEFAULT false,
    inserted_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
SELECT vez_protect('tenants', 'id');

-- One row per tenant, updated by every transaction that appends to its feed; the free room keeps those updates in the page.
CREATE TABLE tenant_counters (
    tenant_id uuid PRIMARY KEY REFERENCES tenants (id) ON DELETE CASCADE,
    event_seq bigint NOT NULL DEFAULT 0,
    call_number bigint NOT NULL DEFAULT 0,
    user_number bigint NOT NULL DEFAULT 0,
    department_number bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 30);
SELECT vez_protect('tenant_counters');

CREATE TABLE users (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    number bigint NOT NULL,
    name text NOT NULL,
    email text NOT NULL,
    password_hash text NOT NULL,
    role text NOT NULL CHECK (role IN ('attendant', 'supervisor', 'manager', 'owner')),
    active boolean NOT NULL DEFAULT true,
    avatar_url text,
    mfa_enabled boolean NOT NULL DEFAULT false,
    locale text NOT NULL DEFAULT 'pt-BR',
    capacity smallint NOT NULL DEFAULT 1 CHECK (capacity BETWEEN 1 AND 255),
    skills text[] NOT NULL DEFAULT '{}',
    inserted_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT users_number_key UNIQUE (tenant_id, number)
);
CREATE UNIQUE INDEX users_email_key ON users (tenant_id, lower(email));
SELECT vez_protect('users');

CREATE TABLE departments (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    number bigint NOT NULL,
    name text NOT NULL,
    identifier text NOT NULL,
    description text,
    active boolean NOT NULL DEFAULT true,
    sector_id uuid,
    max_queue_size integer CHECK (max_queue_size >= 0),
    max_wait_time integer CHECK (max_wait_time >= 0),
    offer_timeout_seconds integer NOT NULL DEFAULT 20 CHECK (offer_timeout_seconds >= 0),
    wrap_up_seconds integer NOT NULL DEFAULT 15 CHECK (wrap_up_seconds >= 0),
    reconnect_grace_seconds integer NOT NULL DEFAULT 60 CHECK (reconnect_grace_seconds >= 0),
    routing_strategy text NOT NULL DEFAULT 'longest_idle'
        CHECK (routing_strategy IN ('longest_idle', 'round_robin', 'fewest_calls')),
    inserted_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT departments_number_key UNIQUE (tenant_id, number),
    CONSTRAINT departments_identifier_key UNIQUE (tenant_id, identifier)
);
SELECT vez_protect('departments');

CREATE TABLE department_users (
    tenant_id uuid NOT NULL,
    department_id uuid NOT NULL,
    user_id uuid NOT NULL,
    inserted_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, department_id, user_id),
    FOREIGN KEY (tenant_id, department_id) REFERENCES departments (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX department_users_user ON department_users (tenant_id, user_id);
SELECT vez_protect('department_users');

-- One row per refresh token ever given out and not yet pruned; a family is a session. The token's hash leads its key
-- because a token is looked up before its tenant is known.
CREATE TABLE refresh_tokens (
    tenant_id uuid NOT NULL,
    token_hash text NOT NULL,
    session_id uuid NOT NULL,
    user_id uuid NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    revoked_at timestamptz,
    inserted_at timestamptz NOT NULL,
    CONSTRAINT refresh_tokens_hash_key PRIMARY KEY (token_hash, tenant_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX refresh_tokens_session ON refresh_tokens (tenant_id, session_id);
CREATE INDEX refresh_tokens_user ON refresh_tokens (tenant_id, user_id);
SELECT vez_protect('refresh_tokens');

CREATE TABLE access_links (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    token text NOT NULL CONSTRAINT access_links_token_key UNIQUE,
    department_id uuid NOT NULL,
    customer_name text,
    customer_email text,
    customer_phone text,
    expires_at timestamptz,
    used_at timestamptz,
    cancelled_at timestamptz,
    single_use boolean NOT NULL,
    priority smallint NOT NULL DEFAULT 0 CHECK (priority BETWEEN 0 AND 10),
    required_skills text[] NOT NULL DEFAULT '{}',
    -- The call that used a single-use link up.
    call_id uuid,
    inserted_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, department_id) REFERENCES departments (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX access_links_inserted_at ON access_links (tenant_id, inserted_at DESC);
SELECT vez_protect('access_links');

CREATE TABLE notifications (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    kind text NOT NULL,
    title text NOT NULL,
    body text NOT NULL,
    inserted_at timestamptz NOT NULL,
    read_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX notifications_unread ON notifications (tenant_id, user_id, inserted_at DESC) WHERE read_at IS NULL;
SELECT vez_protect('notifications');
