-- The only ways from something a stranger holds to the tenant it belongs to: one function each, answering with the
-- tenant's id and nothing else. They run as vez_system, so that they do not depend on what the
-- migrating login may see.

CREATE FUNCTION vez_tenant_of_slug(wanted text) RETURNS uuid
    LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'SELECT id FROM public.tenants WHERE slug = wanted';

CREATE FUNCTION vez_tenant_of_link(wanted text) RETURNS uuid
    LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'SELECT tenant_id FROM public.access_links WHERE token = wanted';

CREATE FUNCTION vez_tenant_of_call(wanted uuid) RETURNS uuid
    LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'SELECT tenant_id FROM public.calls WHERE id = wanted LIMIT 1';

CREATE FUNCTION vez_tenant_of_refresh(wanted text) RETURNS uuid
    LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'SELECT tenant_id FROM public.refresh_tokens WHERE token_hash = wanted LIMIT 1';

-- A new owner must be allowed to make objects where the function stands.
GRANT CREATE ON SCHEMA public TO vez_system;
DO $$
DECLARE
    lookup text;
BEGIN
    FOREACH lookup IN ARRAY ARRAY['vez_tenant_of_slug(text)', 'vez_tenant_of_link(text)', 'vez_tenant_of_call(uuid)',
                                  'vez_tenant_of_refresh(text)'] LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', lookup);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO vez_app', lookup);
        EXECUTE format('ALTER FUNCTION %s OWNER TO vez_system', lookup);
    END LOOP;
END
$$;
REVOKE CREATE ON SCHEMA public FROM vez_system;
