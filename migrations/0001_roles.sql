-- The two roles every serving connection assumes, and the one way a table becomes a tenant's.
-- Roles belong to the whole cluster, so another database of it may have made them already, even this very moment.
DO $$
DECLARE
    wanted text;
    may_assume boolean;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['vez_app', 'vez_system'] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = wanted) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;
            END;
        END IF;
        -- Since version 16 being a member is not yet the right to assume the role.
        may_assume := pg_catalog.pg_has_role(current_user, wanted,
            CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END);
        IF NOT may_assume THEN
            EXECUTE format('GRANT %I TO CURRENT_USER', wanted);
        END IF;
    END LOOP;
END
$$;

-- Before version 15 anyone may make objects in this schema. Only the login that migrates needs to.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO vez_app, vez_system;

-- Makes a table a tenant's: row-level security that not even its owner escapes. vez_app sees the rows of the tenant its
-- transaction names, and none when it names none; vez_system sees all.
CREATE FUNCTION vez_protect(protected regclass, tenant_column name DEFAULT 'tenant_id') RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', protected);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', protected);
    EXECUTE format(
        'CREATE POLICY one_tenant ON %s FOR ALL TO vez_app '
        'USING (%2$I = NULLIF(current_setting(''vez.tenant'', true), '''')::uuid) '
        'WITH CHECK (%2$I = NULLIF(current_setting(''vez.tenant'', true), '''')::uuid)',
        protected, tenant_column);
    EXECUTE format('CREATE POLICY every_tenant ON %s FOR ALL TO vez_system USING (true) WITH CHECK (true)', protected);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO vez_app, vez_system', protected);
END
$$;
REVOKE ALL ON FUNCTION vez_protect(regclass, name) FROM PUBLIC;
