-- What large companies need: pages and look-ups by an index, erasure that finds everything, and an end of what is kept.

-- A page of calls is found in the index alone, however far back it is; the same order serves the exports.
DROP INDEX calls_inserted_at;
CREATE INDEX calls_inserted_at ON calls (tenant_id, inserted_at DESC, number DESC);
-- The newest customers, and how many there are. The index by name cannot count: it holds no column besides the company's.
CREATE INDEX customers_inserted_at ON customers (tenant_id, inserted_at, id) WHERE merged_into IS NULL;

-- What an erasure looks for. As with customers (0014), comparisons need columns of their own.
ALTER TABLE access_links
    ADD COLUMN lookup_email text GENERATED ALWAYS AS (NULLIF(lower(customer_email), '')) STORED,
    ADD COLUMN lookup_phone text GENERATED ALWAYS AS (NULLIF(regexp_replace(customer_phone, '\D', '', 'g'), '')) STORED;
CREATE INDEX access_links_email ON access_links (tenant_id, lookup_email) WHERE lookup_email IS NOT NULL;
CREATE INDEX access_links_phone ON access_links (tenant_id, lookup_phone) WHERE lookup_phone IS NOT NULL;
ALTER TABLE mails ADD COLUMN lookup_recipient text NOT NULL GENERATED ALWAYS AS (lower(recipient)) STORED;
CREATE INDEX mails_recipient ON mails (tenant_id, lookup_recipient);
CREATE INDEX webhook_events_subject ON webhook_events (tenant_id, subject_id);

-- Whom a notice names. Earlier ones are told by the agent, the title and the name they begin with; what is missed so goes with
-- its time.
ALTER TABLE notifications ADD COLUMN customer_id uuid;
SET LOCAL ROLE vez_system;
UPDATE notifications AS notice SET customer_id = appointment.customer_id
FROM appointments AS appointment
WHERE notice.tenant_id = appointment.tenant_id AND notice.user_id = appointment.user_id
  AND notice.kind LIKE 'appointment\_%' AND starts_with(notice.body, appointment.customer_name || ', ')
  AND right(notice.title, length(appointment.title)) = appointment.title;
RESET ROLE;
CREATE INDEX notifications_customer ON notifications (tenant_id, customer_id) WHERE customer_id IS NOT NULL;

-- What a webhook is told of a call, a customer or an appointment, without the person: the values that an erasure takes from
-- the rows themselves, in the same place and order.
CREATE FUNCTION vez_without_person(event text, data json) RETURNS json
    LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
    SELECT COALESCE(json_object_agg(field.key, CASE
        WHEN field.key = 'customer_name' OR (event LIKE 'customer.%' AND field.key = 'name') THEN '""'::json
        WHEN field.key IN ('customer_email', 'customer_phone')
            OR (event LIKE 'call.%' AND field.key IN ('reason', 'rating_comment'))
            OR (event LIKE 'customer.%' AND field.key IN ('email', 'phone', 'document', 'notes')) THEN 'null'::json
        ELSE field.value
    END ORDER BY field.place), '{}'::json)
    FROM json_each(data) WITH ORDINALITY AS field (key, value, place);
END;

-- Notices and the trail are thrown away when their time is over.
CREATE INDEX notifications_inserted_at ON notifications (inserted_at);
CREATE INDEX audit_at ON audit (at);

-- How many calls carry a tag: what was added and taken, which is summed up now and then. A row that each tagging changed would
-- have the record wait for staff who tag, and both wait in a circle; rows that are only added keep nobody.
CREATE TABLE tag_uses (
    tenant_id uuid NOT NULL,
    tag_id uuid NOT NULL,
    uses bigint NOT NULL,
    is_sum boolean NOT NULL DEFAULT false
);
CREATE INDEX tag_uses_tag ON tag_uses (tenant_id, tag_id) INCLUDE (uses);
CREATE UNIQUE INDEX tag_uses_sum_key ON tag_uses (tenant_id, tag_id) WHERE is_sum;
CREATE INDEX tag_uses_added ON tag_uses (tenant_id, tag_id) WHERE NOT is_sum;
SELECT vez_protect('tag_uses');

CREATE FUNCTION vez_count_tags() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO public.tag_uses (tenant_id, tag_id, uses)
    SELECT tenant_id, tag_id, CASE TG_OP WHEN 'INSERT' THEN count(*) ELSE -count(*) END
    FROM changed_rows GROUP BY tenant_id, tag_id;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION vez_count_tags() FROM PUBLIC;
CREATE TRIGGER counted_new AFTER INSERT ON call_tags REFERENCING NEW TABLE AS changed_rows
    FOR EACH STATEMENT EXECUTE FUNCTION vez_count_tags();
CREATE TRIGGER counted_old AFTER DELETE ON call_tags REFERENCING OLD TABLE AS changed_rows
    FOR EACH STATEMENT EXECUTE FUNCTION vez_count_tags();
SET LOCAL ROLE vez_system;
INSERT INTO tag_uses (tenant_id, tag_id, uses, is_sum)
SELECT tenant_id, tag_id, count(*), true FROM call_tags GROUP BY tenant_id, tag_id;
RESET ROLE;

-- Tags that are gone while calls and links still name them, which nobody sees. A row goes when nothing does any more.
CREATE TABLE removed_tags (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    tag_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, tag_id)
);
SELECT vez_protect('removed_tags');

-- Links that a deleted department leaves behind.
CREATE INDEX departments_deleted ON departments (tenant_id, id) WHERE deleted_at IS NOT NULL;
CREATE INDEX access_links_department ON access_links (tenant_id, department_id) WHERE cancelled_at IS NULL;
