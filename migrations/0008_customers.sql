-- Customers who can be merged and erased, links that can be used several times and give their calls more, and tags.

-- Whoever was merged into another keeps his row: it is the redirect, and his address and telephone still find the person.
ALTER TABLE customers
    ADD COLUMN merged_into uuid,
    ADD COLUMN merged_at timestamptz,
    ADD CONSTRAINT customers_merged_into_fkey FOREIGN KEY (tenant_id, merged_into)
        REFERENCES customers (tenant_id, id) ON DELETE CASCADE,
    ADD CONSTRAINT customers_not_merged_into_himself CHECK (merged_into <> id);
CREATE INDEX customers_merged ON customers (tenant_id, merged_into) WHERE merged_into IS NOT NULL;
-- Telephones and documents are compared by their digits: people write the same number in many ways.
DROP INDEX customers_phone;
CREATE INDEX customers_phone ON customers (tenant_id, regexp_replace(phone, '\D', '', 'g')) WHERE phone IS NOT NULL;
CREATE INDEX customers_document ON customers (tenant_id, regexp_replace(document, '\D', '', 'g'))
    WHERE document IS NOT NULL;
CREATE INDEX customers_name ON customers (tenant_id, lower(name), id) WHERE merged_into IS NULL;
SELECT vez_audit('customers', 'customer', 'id', '{*}');

-- The calls of one customer. None of its columns changes while a call is open.
CREATE INDEX calls_customer ON calls (tenant_id, customer_id, inserted_at DESC);

-- An open call's row is its queue's, which knows nothing of a merge. So the version that ends it is the one that follows
-- the redirect; until then whoever asks for a customer's calls asks for those of the merged ids, too.
CREATE FUNCTION vez_follow_merge() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    survivor uuid;
BEGIN
    SELECT merged_into INTO survivor FROM public.customers WHERE tenant_id = NEW.tenant_id AND id = NEW.customer_id;
    IF survivor IS NOT NULL THEN
        NEW.customer_id := survivor;
    END IF;
    RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION vez_follow_merge() FROM PUBLIC;
CREATE TRIGGER calls_follow_merge BEFORE UPDATE ON calls
    FOR EACH ROW WHEN (NEW.phase = 'ended' AND OLD.phase <> 'ended') EXECUTE FUNCTION vez_follow_merge();

-- How often a link may be used, and what it gives the calls that are joined through it.
ALTER TABLE access_links
    -- None: as often as people like.
    ADD COLUMN max_uses integer CHECK (max_uses > 0),
    ADD COLUMN use_count integer NOT NULL DEFAULT 0,
    ADD COLUMN customer_id uuid,
    ADD COLUMN tag_ids uuid[] NOT NULL DEFAULT '{}',
    ADD COLUMN custom_fields jsonb;
-- Row-level security holds for the login that migrates, too, unless it is a superuser's.
SET LOCAL ROLE vez_system;
UPDATE access_links SET max_uses = 1, use_count = CASE WHEN used_at IS NULL THEN 0 ELSE 1 END WHERE single_use;
RESET ROLE;
ALTER TABLE access_links DROP COLUMN single_use;
ALTER TABLE access_links
    ADD COLUMN single_use boolean NOT NULL GENERATED ALWAYS AS (COALESCE(max_uses = 1, false)) STORED;
CREATE INDEX access_links_customer ON access_links (tenant_id, customer_id) WHERE customer_id IS NOT NULL;
-- Links that give something: few, so a join through any other finds nothing at little cost.
CREATE INDEX access_links_giving ON access_links (tenant_id, id) WHERE tag_ids <> '{}' OR custom_fields IS NOT NULL;
-- What it hides has grown.
DROP TRIGGER audited ON access_links;
SELECT vez_audit('access_links', 'access_link', 'id',
    '{token,customer_name,customer_email,customer_phone,custom_fields}');

CREATE TABLE tags (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    name text NOT NULL,
    color text NOT NULL,
    parent_id uuid,
    inserted_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT tags_parent_fkey FOREIGN KEY (tenant_id, parent_id) REFERENCES tags (tenant_id, id)
);
CREATE UNIQUE INDEX tags_name_key
    ON tags (tenant_id, COALESCE(parent_id, '00000000-0000-0000-0000-000000000000'), lower(name));
CREATE INDEX tags_parent ON tags (tenant_id, parent_id) WHERE parent_id IS NOT NULL;
SELECT vez_protect('tags');
SELECT vez_audit('tags', 'tag', 'id', '{}');

-- No foreign key on the tag: a join must never be refused because somebody deletes one of its link's tags. Whoever reads
-- joins the tags, so a row that lost its own is seen by nobody.
CREATE TABLE call_tags (
    tenant_id uuid NOT NULL,
    call_id uuid NOT NULL,
    tag_id uuid NOT NULL,
    inserted_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, call_id, tag_id),
    FOREIGN KEY (tenant_id, call_id) REFERENCES calls (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX call_tags_tag ON call_tags (tenant_id, tag_id);
SELECT vez_protect('call_tags');
SELECT vez_audit('call_tags', 'call_tag', 'call_id', '{}');

-- The custom fields of the link a call was joined through, as they were then.
CREATE TABLE call_fields (
    tenant_id uuid NOT NULL,
    call_id uuid NOT NULL,
    fields jsonb NOT NULL,
    PRIMARY KEY (tenant_id, call_id),
    FOREIGN KEY (tenant_id, call_id) REFERENCES calls (tenant_id, id) ON DELETE CASCADE
);
SELECT vez_protect('call_fields');

-- Gives a call, in the transaction of its join, what its link has for it.
CREATE FUNCTION vez_give_of_link() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    gift record;
BEGIN
    SELECT tag_ids, custom_fields INTO gift FROM public.access_links
    WHERE tenant_id = NEW.tenant_id AND id = NEW.link_id AND (tag_ids <> '{}' OR custom_fields IS NOT NULL);
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    INSERT INTO public.call_tags (tenant_id, call_id, tag_id, inserted_at)
    SELECT NEW.tenant_id, NEW.id, tag.id, NEW.inserted_at FROM public.tags AS tag
    WHERE tag.tenant_id = NEW.tenant_id AND tag.id = ANY (gift.tag_ids)
    ON CONFLICT DO NOTHING;
    IF gift.custom_fields IS NOT NULL THEN
        INSERT INTO public.call_fields (tenant_id, call_id, fields)
        VALUES (NEW.tenant_id, NEW.id, gift.custom_fields) ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION vez_give_of_link() FROM PUBLIC;
CREATE TRIGGER calls_give_of_link AFTER INSERT ON calls
    FOR EACH ROW WHEN (NEW.link_id IS NOT NULL) EXECUTE FUNCTION vez_give_of_link();
