-- Second factors, password resets and API tokens: what is kept of them is sealed or hashed.

CREATE TABLE second_factors (
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    -- Sealed with a key of the server's, which has to read it again at every login.
    secret text NOT NULL,
    -- Absent until its first right code: an enrolment nobody finished asks nothing of anybody.
    confirmed_at timestamptz,
    -- The newest time step whose code was taken. That one and older ones are refused, so no code serves twice.
    last_step bigint NOT NULL DEFAULT 0,
    inserted_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, user_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
SELECT vez_protect('second_factors');
SELECT vez_audit('second_factors', 'second_factor', 'user_id', '{secret,last_step}');

CREATE TABLE recovery_codes (
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    code_hash text NOT NULL,
    used_at timestamptz,
    inserted_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, user_id, code_hash),
    FOREIGN KEY (tenant_id, user_id) REFERENCES second_factors (tenant_id, user_id) ON DELETE CASCADE
);
SELECT vez_protect('recovery_codes');

-- The hash leads the key because a token is looked up before its tenant is known.
CREATE TABLE password_resets (
    tenant_id uuid NOT NULL,
    token_hash text NOT NULL,
    user_id uuid NOT NULL,
    -- SHA-256 of the stored password it is to replace: a password changed in another way ends it.
    password_mark bytea NOT NULL,
    expires_at timestamptz NOT NULL,
    inserted_at timestamptz NOT NULL,
    CONSTRAINT password_resets_hash_key PRIMARY KEY (token_hash, tenant_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX password_resets_user ON password_resets (tenant_id, user_id);
CREATE INDEX password_resets_expires_at ON password_resets (expires_at);
SELECT vez_protect('password_resets');

CREATE TABLE api_tokens (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL,
    role text NOT NULL CHECK (role IN ('attendant', 'supervisor', 'manager', 'owner')),
    token_hash text NOT NULL CONSTRAINT api_tokens_hash_key UNIQUE,
    -- Its first characters, by which its owner tells it from his others.
    hint text NOT NULL,
    -- In whose name it acts.
    user_id uuid NOT NULL,
    expires_at timestamptz,
    -- To the minute.
    last_used_at timestamptz,
    inserted_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX api_tokens_user ON api_tokens (tenant_id, user_id);
SELECT vez_protect('api_tokens');
SELECT vez_audit('api_tokens', 'api_token', 'id', '{token_hash}');

-- What was revoked lately is read when the server starts, what has expired is thrown away.
CREATE INDEX refresh_tokens_revoked_at ON refresh_tokens (revoked_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX refresh_tokens_expires_at ON refresh_tokens (expires_at);
CREATE INDEX users_updated_at ON users (updated_at);

CREATE FUNCTION vez_tenant_of_reset(wanted text) RETURNS uuid
    LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'SELECT tenant_id FROM public.password_resets WHERE token_hash = wanted LIMIT 1';

CREATE FUNCTION vez_tenant_of_api_token(wanted text) RETURNS uuid
    LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'SELECT tenant_id FROM public.api_tokens WHERE token_hash = wanted';

-- A new owner must be allowed to make objects where the function stands.
GRANT CREATE ON SCHEMA public TO vez_system;
DO $$
DECLARE
    lookup text;
BEGIN
    FOREACH lookup IN ARRAY ARRAY['vez_tenant_of_reset(text)', 'vez_tenant_of_api_token(text)'] LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', lookup);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO vez_app', lookup);
        EXECUTE format('ALTER FUNCTION %s OWNER TO vez_system', lookup);
    END LOOP;
END
$$;
REVOKE CREATE ON SCHEMA public FROM vez_system;
