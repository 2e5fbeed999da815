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

-- A text without what tells apart letters that people type alike: capitals and the accents of our languages. Most names have
-- none, and need not be compared with all of them.
CREATE FUNCTION vez_plain(text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN CASE
    WHEN octet_length($1) = length($1) THEN lower($1)
    ELSE translate(
        lower($1),
        'áàâãäåéèêëíìîïóòôõöúùûüçñýÿÁÀÂÃÄÅÉÈÊËÍÌÎÏÓÒÔÕÖÚÙÛÜÇÑÝ',
        'aaaaaaeeeeiiiiooooouuuucnyyaaaaaaeeeeiiiiooooouuuucny'
    )
END;
