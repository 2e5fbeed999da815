-- Names in the order and by the letters that people expect: "Álvaro" stands among the As, and "alvaro" finds him. By bytes, as
-- the database would, he comes after "Zeca".

-- ICU's root order, whatever the operating system of the database knows; a Postgres that was built without ICU sorts by bytes.
DO $$
BEGIN
    CREATE COLLATION vez_names (provider = icu, locale = 'und');
EXCEPTION WHEN feature_not_supported OR invalid_parameter_value THEN
    CREATE COLLATION vez_names FROM "C";
END
$$;

-- The list of customers, which is the largest, by its index as before.
DROP INDEX customers_name;
CREATE INDEX customers_name ON customers (tenant_id, (lower(name) COLLATE vez_names), id) WHERE merged_into IS NULL;
