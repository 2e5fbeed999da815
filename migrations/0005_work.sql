-- What staff do: a trail of it, answers kept for those who ask twice, and sectors.

-- Who did what to which object, a row for each row changed, in the transaction that changed it.
CREATE TABLE audit (
    tenant_id uuid NOT NULL,
    id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL,
    -- The member of staff; rows outlive him.
    user_id uuid NOT NULL,
    -- The API token he used, if any.
    token_id uuid,
    request_id text NOT NULL,
    action text NOT NULL,
    object text NOT NULL,
    object_id uuid NOT NULL,
    -- Of each changed column what it was and what it became; of hidden columns null.
    changes jsonb,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX audit_object ON audit (tenant_id, object_id, id);
SELECT vez_protect('audit');

-- Arguments: the object's word, the column of its id, the columns whose values are not kept ('*' for all).
CREATE FUNCTION vez_write_audit() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    author text := NULLIF(current_setting('vez.author', true), '');
    hidden text[] := TG_ARGV[2]::text[];
    was jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) ELSE '{}' END;
    became jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) ELSE '{}' END;
    kept jsonb := CASE WHEN TG_OP = 'DELETE' THEN to_jsonb(OLD) ELSE to_jsonb(NEW) END;
    changed jsonb;
BEGIN
    IF author IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT jsonb_object_agg(key, CASE WHEN key = ANY (hidden) OR '*' = ANY (hidden) THEN NULL
                                      ELSE jsonb_build_array(was -> key, became -> key) END)
    INTO changed
    FROM jsonb_object_keys(was || became) AS key
    WHERE was -> key IS DISTINCT FROM became -> key AND key NOT IN ('tenant_id', 'inserted_at', 'updated_at', TG_ARGV[1]);
    IF TG_OP = 'UPDATE' AND changed IS NULL THEN
        RETURN NULL;
    END IF;
    INSERT INTO public.audit (tenant_id, at, user_id, token_id, request_id, action, object, object_id, changes)
    VALUES (
        COALESCE(kept ->> 'tenant_id', kept ->> 'id')::uuid, current_setting('vez.at')::timestamptz, author::uuid,
        NULLIF(current_setting('vez.token', true), '')::uuid, COALESCE(current_setting('vez.request', true), ''),
        CASE TG_OP WHEN 'INSERT' THEN 'created' WHEN 'UPDATE' THEN 'updated' ELSE 'deleted' END,
        TG_ARGV[0], (kept ->> TG_ARGV[1])::uuid, changed
    );
    RETURN NULL;
END
$$;
GRANT EXECUTE ON FUNCTION vez_write_audit() TO vez_app, vez_system;

-- Puts a table under audit. `hidden` names the columns whose values must not be kept: secrets, and what erasing a person
-- must erase; '{*}' hides all values.
CREATE FUNCTION vez_audit(audited regclass, object text, id_column name DEFAULT 'id', hidden text[] DEFAULT '{}') RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    EXECUTE format(
        -- The condition is asked first: what the record writes has no author, and pays next to nothing for the trigger.
        'CREATE TRIGGER audited AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW '
        'WHEN (COALESCE(current_setting(''vez.author'', true), '''') <> '''') '
        'EXECUTE FUNCTION public.vez_write_audit(%L, %L, %L)',
        audited, object, id_column, hidden);
END
$$;
REVOKE ALL ON FUNCTION vez_audit(regclass, text, name, text[]) FROM PUBLIC;

-- Answers to POSTs that carried an Idempotency-Key, sealed, for a day.
CREATE TABLE idempotency_keys (
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    key text NOT NULL,
    -- SHA-256 of method, path and body.
    fingerprint bytea NOT NULL,
    status smallint NOT NULL,
    answer text NOT NULL,
    inserted_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, user_id, key)
);
CREATE INDEX idempotency_keys_inserted_at ON idempotency_keys (inserted_at);
SELECT vez_protect('idempotency_keys');

CREATE TABLE sectors (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    name text NOT NULL,
    description text,
    active boolean NOT NULL DEFAULT true,
    inserted_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
SELECT vez_protect('sectors');
SELECT vez_audit('sectors', 'sector');

UPDATE departments SET sector_id = NULL;
ALTER TABLE departments ADD CONSTRAINT departments_sector FOREIGN KEY (tenant_id, sector_id)
    REFERENCES sectors (tenant_id, id);
CREATE INDEX departments_sector ON departments (tenant_id, sector_id) WHERE sector_id IS NOT NULL;
SELECT vez_audit('departments', 'department');
SELECT vez_audit('department_users', 'department_user', 'department_id');
SELECT vez_audit('access_links', 'access_link', 'id', '{token,customer_name,customer_email,customer_phone}');
SELECT vez_audit('users', 'user', 'id', '{password_hash,name,email}');
SELECT vez_audit('tenants', 'company', 'id');
