-- Sums whose seconds add up, estimates that say something, and capacities as they were at the time.

-- Seconds between two times as clocks without fractions show them, never negative: who sees both to the second and subtracts
-- finds this number. `Timestamp::seconds_since` is the same.
CREATE FUNCTION vez_seconds(earlier timestamptz, later timestamptz) RETURNS bigint
    LANGUAGE sql STABLE
RETURN greatest(floor(date_part('epoch', later))::bigint - floor(date_part('epoch', earlier))::bigint, 0);

-- As in 0013, with these seconds. Who was told "no wait" because an agent was free counts for no estimate: the seconds until
-- that agent clicks are no wait in line, and there were so many of them that they hid all others.
CREATE OR REPLACE FUNCTION vez_call_figures(
    inserted_at timestamptz, status text, end_reason text, assigned_at timestamptz, accepted_at timestamptz,
    started_at timestamptz, completed_at timestamptz, wrap_up_ends_at timestamptz, rating smallint,
    service_level_seconds integer, estimated_wait_p90_seconds integer
) RETURNS TABLE (
    completed integer, missed integer, cancelled integer, answered integer, answered_in_time integer, wait_seconds bigint,
    abandoned integer, abandoned_short integer, handled integer, talk_seconds bigint, wrap_up_seconds bigint,
    call_talk_seconds bigint, rated integer, rating_total integer, satisfied integer, estimated integer,
    estimate_kept integer
)
    LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT
        (completed_at IS NOT NULL AND status = 'completed')::integer,
        (completed_at IS NOT NULL AND status = 'missed')::integer,
        (completed_at IS NOT NULL AND status = 'cancelled')::integer,
        (started_at IS NOT NULL)::integer,
        (started_at IS NOT NULL AND waited.seconds <= service_level_seconds)::integer,
        CASE WHEN started_at IS NOT NULL THEN waited.seconds ELSE 0 END,
        gave_up.really::integer,
        (gave_up.really AND vez_seconds(inserted_at, completed_at) < 5)::integer,
        ended.handled::integer,
        CASE WHEN ended.handled THEN vez_seconds(started_at, completed_at) ELSE 0 END,
        CASE WHEN ended.handled THEN coalesce(vez_seconds(completed_at, wrap_up_ends_at), 0) ELSE 0 END,
        CASE WHEN ended.handled AND assigned_at IS NOT NULL
             THEN vez_seconds(greatest(started_at, assigned_at), completed_at) ELSE 0 END,
        (rating IS NOT NULL)::integer,
        coalesce(rating, 0)::integer,
        coalesce(rating >= 4, false)::integer,
        coalesce(started_at IS NOT NULL AND estimated_wait_p90_seconds > 0, false)::integer,
        coalesce(started_at IS NOT NULL AND estimated_wait_p90_seconds > 0
            AND waited.seconds <= estimated_wait_p90_seconds, false)::integer
    FROM
        (SELECT coalesce(vez_seconds(inserted_at, accepted_at), 0) AS seconds) AS waited,
        (SELECT completed_at IS NOT NULL AND started_at IS NULL
            AND coalesce(end_reason IN ('left', 'abandoned', 'never_connected', 'timed_out'), false) AS really) AS gave_up,
        (SELECT completed_at IS NOT NULL AND started_at IS NOT NULL AS handled) AS ended;
END;

-- How many calls an agent may have at once belongs to the time in which he might: a change of it closes the interval, or it
-- would count for the whole time since he came.
ALTER TABLE agents ADD COLUMN measured_capacity smallint NOT NULL DEFAULT 1;
UPDATE agents SET measured_capacity = users.capacity
FROM users WHERE users.tenant_id = agents.tenant_id AND users.id = agents.user_id;

CREATE OR REPLACE FUNCTION vez_measure_agent() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
AS $$
DECLARE
    now_status text := vez_measured_status(NEW.status, NEW.held_cause, NEW.leased);
BEGIN
    IF TG_OP = 'UPDATE' THEN
        -- The record writes none of these; whoever does is the trigger below.
        IF NEW.measured_from IS DISTINCT FROM OLD.measured_from THEN
            RETURN NEW;
        END IF;
        IF OLD.measured_status = now_status AND OLD.measured_reason IS NOT DISTINCT FROM NEW.pause_reason THEN
            RETURN NEW;
        END IF;
        IF OLD.measured_status <> 'offline' AND NEW.updated_at > OLD.measured_from THEN
            INSERT INTO agent_intervals (tenant_id, user_id, status, reason, capacity, started_at, ended_at)
            VALUES (OLD.tenant_id, OLD.user_id, OLD.measured_status, OLD.measured_reason, OLD.measured_capacity,
                    OLD.measured_from, NEW.updated_at);
        END IF;
        -- A capacity may have been changed after this was decided and before it was written.
        NEW.measured_from := greatest(OLD.measured_from, NEW.updated_at);
    ELSE
        NEW.measured_from := NEW.updated_at;
    END IF;
    NEW.measured_status := now_status;
    NEW.measured_reason := NEW.pause_reason;
    RETURN NEW;
END
$$;

-- After the insert, since the one before it also runs for each row that turns out to be there already.
CREATE FUNCTION vez_measure_first_capacity() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
AS $$
BEGIN
    UPDATE agents SET measured_capacity = users.capacity
    FROM users
    WHERE agents.tenant_id = NEW.tenant_id AND agents.user_id = NEW.user_id
      AND users.tenant_id = NEW.tenant_id AND users.id = NEW.user_id AND users.capacity <> agents.measured_capacity;
    RETURN NULL;
END
$$;
CREATE TRIGGER measured_first_capacity AFTER INSERT ON agents FOR EACH ROW EXECUTE FUNCTION vez_measure_first_capacity();

CREATE FUNCTION vez_measure_capacity() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
AS $$
BEGIN
    INSERT INTO agent_intervals (tenant_id, user_id, status, reason, capacity, started_at, ended_at)
    SELECT tenant_id, user_id, measured_status, measured_reason, measured_capacity, measured_from, NEW.updated_at
    FROM agents
    WHERE tenant_id = NEW.tenant_id AND user_id = NEW.id AND measured_status <> 'offline'
      AND measured_from < NEW.updated_at
    FOR UPDATE;
    UPDATE agents SET measured_capacity = NEW.capacity, measured_from = greatest(measured_from, NEW.updated_at)
    WHERE tenant_id = NEW.tenant_id AND user_id = NEW.id;
    RETURN NULL;
END
$$;
CREATE TRIGGER measured_capacity AFTER UPDATE OF capacity ON users FOR EACH ROW
    WHEN (NEW.capacity <> OLD.capacity) EXECUTE FUNCTION vez_measure_capacity();

-- What was summed before is counted anew in the background.
UPDATE tenants SET measured_zone = NULL;
