-- What calls learned after their first release: a rank that is stored, transfers, notes of supervisors.

ALTER TABLE calls
    -- The place in line: the join, or the due time of the appointment when that was earlier, less a minute per step of
    -- priority. Calls from before this column have none and rank by their join.
    ADD COLUMN ranked_at timestamptz,
    -- The last transfer: where the call came from, for whom it is kept a while, how many there were.
    ADD COLUMN transfer jsonb;

ALTER TABLE calls
    -- What supervisors wrote, for supervisors.
    ADD COLUMN manager_notes text,
    -- As typed by whoever took the call out of the line.
    ADD COLUMN cancel_reason text;

-- Named by column, so that the record's own writes, which name none of these, do not run it.
CREATE TRIGGER audited_notes AFTER UPDATE OF notes, manager_notes, cancel_reason ON calls
    FOR EACH ROW EXECUTE FUNCTION vez_write_audit('call', 'id', '{notes,manager_notes,cancel_reason}');
