-- What calls learned after their first release: a rank that is stored, transfers, notes of supervisors.

ALTER TABLE calls
    -- The place in line: the join, or the due time of the appointment when that was earlier, less a minute per step of
    -- priority. Calls from before this column have none and rank by their join.
    ADD COLUMN ranked_at timestamptz,
    -- The last transfer: where the call came from, for whom it is kept a while, how many there were.
    ADD COLUMN transfer jsonb;
