-- What large companies need: pages and look-ups by an index, erasure that finds everything, and an end of what is kept.

-- A page of calls is found in the index alone, however far back it is; the same order serves the exports.
DROP INDEX calls_inserted_at;
CREATE INDEX calls_inserted_at ON calls (tenant_id, inserted_at DESC, number DESC);
-- The newest customers, and how many there are. The index by name cannot count: it holds no column besides the company's.
CREATE INDEX customers_inserted_at ON customers (tenant_id, inserted_at, id) WHERE merged_into IS NULL;
