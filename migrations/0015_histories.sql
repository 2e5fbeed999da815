-- What the histories in other products' formats need.

-- What staff call a link: the page, the poster, the partner it stands for.
ALTER TABLE access_links ADD COLUMN name text;

-- Calls by their customer's telephone, compared by its digits as everywhere. Neither column changes while a call is open, so
-- the record's updates stay in their page.
CREATE INDEX calls_phone ON calls (tenant_id, regexp_replace(customer_phone, '\D', '', 'g'), inserted_at DESC)
    WHERE customer_phone IS NOT NULL;
