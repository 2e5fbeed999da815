-- A company that moves to another time zone has no sums by its days any more, even when it moves back before they were counted
-- anew: meanwhile some were added by the days of the other zone.

CREATE FUNCTION vez_forget_measured_zone() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
AS $$
BEGIN
    NEW.measured_zone := NULL;
    RETURN NEW;
END
$$;
CREATE TRIGGER moved BEFORE UPDATE OF time_zone ON tenants FOR EACH ROW
    WHEN (NEW.time_zone IS DISTINCT FROM OLD.time_zone) EXECUTE FUNCTION vez_forget_measured_zone();

-- As in 0014, without what the server notes there for itself: it is nothing that anybody did.
CREATE OR REPLACE FUNCTION vez_write_audit() RETURNS trigger
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
    WHERE was -> key IS DISTINCT FROM became -> key
      AND key NOT IN ('tenant_id', 'inserted_at', 'updated_at', 'measured_zone', TG_ARGV[1])
      AND key NOT LIKE 'lookup\_%';
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
