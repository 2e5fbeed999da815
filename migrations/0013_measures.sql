-- What calls and agents add up to: sums per department and hour, per agent and day, and how long people waited, kept by
-- triggers in the very transactions that write the record. `domain/measures.rs` says what each figure means. All of them
-- are sums, so that a change of a row is the difference of two contributions, and so that a rebuild is a difference, too.

ALTER TABLE calls
    -- The wait that is in time for this call, as its department had it when the call came to it.
    ADD COLUMN service_level_seconds integer NOT NULL DEFAULT 20,
    -- What was told at the join: half, and nine of ten, wait no longer.
    ADD COLUMN estimated_wait_seconds integer,
    ADD COLUMN estimated_wait_p90_seconds integer;

ALTER TABLE tenants
    -- The zone whose days and hours the sums are kept by; none before they were first counted. While it is another than the
    -- company's, they are being counted anew.
    ADD COLUMN measured_zone text;

CREATE FUNCTION vez_measure_from_start() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
AS $$
BEGIN
    NEW.measured_zone := NEW.time_zone;
    RETURN NEW;
END
$$;
-- A new company has nothing to count yet.
CREATE TRIGGER measured BEFORE INSERT ON tenants FOR EACH ROW EXECUTE FUNCTION vez_measure_from_start();

CREATE TABLE call_hours (
    tenant_id uuid NOT NULL,
    -- The company's day and hour in which the calls joined, and in which offers and transfers happened.
    day date NOT NULL,
    department_id uuid NOT NULL,
    hour smallint NOT NULL,
    completed bigint NOT NULL DEFAULT 0,
    missed bigint NOT NULL DEFAULT 0,
    cancelled bigint NOT NULL DEFAULT 0,
    answered bigint NOT NULL DEFAULT 0,
    answered_in_time bigint NOT NULL DEFAULT 0,
    wait_seconds bigint NOT NULL DEFAULT 0,
    abandoned bigint NOT NULL DEFAULT 0,
    abandoned_short bigint NOT NULL DEFAULT 0,
    handled bigint NOT NULL DEFAULT 0,
    talk_seconds bigint NOT NULL DEFAULT 0,
    wrap_up_seconds bigint NOT NULL DEFAULT 0,
    rated bigint NOT NULL DEFAULT 0,
    rating_total bigint NOT NULL DEFAULT 0,
    satisfied bigint NOT NULL DEFAULT 0,
    estimated bigint NOT NULL DEFAULT 0,
    estimate_kept bigint NOT NULL DEFAULT 0,
    transfers bigint NOT NULL DEFAULT 0,
    offers_missed bigint NOT NULL DEFAULT 0,
    offers_declined bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, day, department_id, hour)
) WITH (fillfactor = 50);
SELECT vez_protect('call_hours');

-- How many of a day's answered calls waited how long, to the second: percentiles and the longest wait come from here.
CREATE TABLE wait_days (
    tenant_id uuid NOT NULL,
    day date NOT NULL,
    department_id uuid NOT NULL,
    wait_seconds integer NOT NULL,
    answered bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, day, department_id, wait_seconds)
) WITH (fillfactor = 50);
SELECT vez_protect('wait_days');

CREATE TABLE agent_days (
    tenant_id uuid NOT NULL,
    day date NOT NULL,
    department_id uuid NOT NULL,
    user_id uuid NOT NULL,
    completed bigint NOT NULL DEFAULT 0,
    missed bigint NOT NULL DEFAULT 0,
    cancelled bigint NOT NULL DEFAULT 0,
    answered bigint NOT NULL DEFAULT 0,
    answered_in_time bigint NOT NULL DEFAULT 0,
    wait_seconds bigint NOT NULL DEFAULT 0,
    handled bigint NOT NULL DEFAULT 0,
    -- Of the calls, from the first start: what handle times are made of.
    talk_seconds bigint NOT NULL DEFAULT 0,
    wrap_up_seconds bigint NOT NULL DEFAULT 0,
    rated bigint NOT NULL DEFAULT 0,
    rating_total bigint NOT NULL DEFAULT 0,
    satisfied bigint NOT NULL DEFAULT 0,
    -- His own part of them, and of those that he gave on or lost: what occupancy is made of.
    call_talk_seconds bigint NOT NULL DEFAULT 0,
    given_talk_seconds bigint NOT NULL DEFAULT 0,
    transfers bigint NOT NULL DEFAULT 0,
    offers_missed bigint NOT NULL DEFAULT 0,
    offers_declined bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, day, department_id, user_id)
) WITH (fillfactor = 50);
SELECT vez_protect('agent_days');

-- The same by month, so that years of many agents are summed in a moment.
CREATE TABLE agent_months (
    tenant_id uuid NOT NULL,
    -- The first day of the month.
    month date NOT NULL,
    department_id uuid NOT NULL,
    user_id uuid NOT NULL,
    completed bigint NOT NULL DEFAULT 0,
    missed bigint NOT NULL DEFAULT 0,
    cancelled bigint NOT NULL DEFAULT 0,
    answered bigint NOT NULL DEFAULT 0,
    answered_in_time bigint NOT NULL DEFAULT 0,
    wait_seconds bigint NOT NULL DEFAULT 0,
    handled bigint NOT NULL DEFAULT 0,
    talk_seconds bigint NOT NULL DEFAULT 0,
    wrap_up_seconds bigint NOT NULL DEFAULT 0,
    rated bigint NOT NULL DEFAULT 0,
    rating_total bigint NOT NULL DEFAULT 0,
    satisfied bigint NOT NULL DEFAULT 0,
    call_talk_seconds bigint NOT NULL DEFAULT 0,
    given_talk_seconds bigint NOT NULL DEFAULT 0,
    transfers bigint NOT NULL DEFAULT 0,
    offers_missed bigint NOT NULL DEFAULT 0,
    offers_declined bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, month, department_id, user_id)
) WITH (fillfactor = 50);
SELECT vez_protect('agent_months');

-- What one call adds. A call adds to its answers once it was started, and to its end once it ended.
CREATE FUNCTION vez_call_figures(
    inserted_at timestamptz, status text, end_reason text, assigned_at timestamptz, accepted_at timestamptz,
    started_at timestamptz, completed_at timestamptz, wrap_up_ends_at timestamptz, rating smallint,
    service_level_seconds integer, estimated_wait_p90_seconds integer
) RETURNS TABLE (
    completed integer, missed integer, cancelled integer, answered integer, answered_in_time integer, wait_seconds bigint,
    abandoned integer, abandoned_short integer, handled integer, talk_seconds bigint, wrap_up_seconds bigint,
    call_talk_seconds bigint, rated integer, rating_total integer, satisfied integer, estimated integer,
    estimate_kept integer
)
    LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
    SELECT
        (completed_at IS NOT NULL AND status = 'completed')::integer,
        (completed_at IS NOT NULL AND status = 'missed')::integer,
        (completed_at IS NOT NULL AND status = 'cancelled')::integer,
        (started_at IS NOT NULL)::integer,
        (started_at IS NOT NULL AND waited.seconds <= service_level_seconds)::integer,
        CASE WHEN started_at IS NOT NULL THEN waited.seconds ELSE 0 END,
        gave_up.really::integer,
        (gave_up.really AND completed_at < inserted_at + interval '5 seconds')::integer,
        ended.handled::integer,
        CASE WHEN ended.handled THEN floor(date_part('epoch', completed_at - started_at))::bigint ELSE 0 END,
        CASE WHEN ended.handled AND wrap_up_ends_at > completed_at
             THEN floor(date_part('epoch', wrap_up_ends_at - completed_at))::bigint ELSE 0 END,
        CASE WHEN ended.handled AND assigned_at IS NOT NULL
             THEN floor(date_part('epoch', completed_at - greatest(started_at, assigned_at)))::bigint ELSE 0 END,
        (rating IS NOT NULL)::integer,
        coalesce(rating, 0)::integer,
        coalesce(rating >= 4, false)::integer,
        (started_at IS NOT NULL AND estimated_wait_p90_seconds IS NOT NULL)::integer,
        coalesce(started_at IS NOT NULL AND waited.seconds <= estimated_wait_p90_seconds, false)::integer
    FROM
        (SELECT coalesce(floor(date_part('epoch', accepted_at - inserted_at))::bigint, 0) AS seconds) AS waited,
        (SELECT completed_at IS NOT NULL AND started_at IS NULL
            AND coalesce(end_reason IN ('left', 'abandoned', 'never_connected', 'timed_out'), false) AS really) AS gave_up,
        (SELECT completed_at IS NOT NULL AND started_at IS NOT NULL AS handled) AS ended;
END;


-- What one fact adds.
CREATE FUNCTION vez_fact_figures(kind text, data jsonb) RETURNS TABLE (
    transfers integer, offers_missed integer, offers_declined integer, given_talk_seconds bigint
)
    LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
    SELECT
        (kind = 'call_transferred')::integer,
        (kind = 'offer_timed_out')::integer,
        (kind = 'offer_declined')::integer,
        CASE WHEN kind IN ('call_transferred', 'call_returned') THEN coalesce((data ->> 'talk_seconds')::bigint, 0) ELSE 0 END;
END;

-- How an agent's time was spent: each status he had from when to when, with the calls he could have at once. Offline is the
-- absence of an interval; the one that still goes on is in his row of `agents`.
CREATE TABLE agent_intervals (
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    status text NOT NULL CHECK (status IN ('available', 'paused', 'held', 'disconnected')),
    reason text,
    capacity smallint NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL CHECK (ended_at > started_at),
    PRIMARY KEY (tenant_id, user_id, started_at)
);
CREATE INDEX agent_intervals_started_at ON agent_intervals (tenant_id, started_at);
SELECT vez_protect('agent_intervals');

CREATE TABLE agent_status_days (
    tenant_id uuid NOT NULL,
    day date NOT NULL,
    user_id uuid NOT NULL,
    available_seconds bigint NOT NULL DEFAULT 0,
    capacity_seconds bigint NOT NULL DEFAULT 0,
    paused_seconds bigint NOT NULL DEFAULT 0,
    held_seconds bigint NOT NULL DEFAULT 0,
    disconnected_seconds bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, day, user_id)
) WITH (fillfactor = 50);
SELECT vez_protect('agent_status_days');

CREATE TABLE agent_status_months (
    tenant_id uuid NOT NULL,
    month date NOT NULL,
    user_id uuid NOT NULL,
    available_seconds bigint NOT NULL DEFAULT 0,
    capacity_seconds bigint NOT NULL DEFAULT 0,
    paused_seconds bigint NOT NULL DEFAULT 0,
    held_seconds bigint NOT NULL DEFAULT 0,
    disconnected_seconds bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, month, user_id)
) WITH (fillfactor = 50);
SELECT vez_protect('agent_status_months');

ALTER TABLE agents
    -- The status being measured, and since when.
    ADD COLUMN measured_status text,
    ADD COLUMN measured_reason text,
    ADD COLUMN measured_from timestamptz;

-- What of an interval falls on each day, in whole seconds that add up to the whole.
CREATE FUNCTION vez_interval_days(
    started_at timestamptz, ended_at timestamptz, status text, capacity smallint, zone text
) RETURNS TABLE (
    day date, available_seconds bigint, capacity_seconds bigint, paused_seconds bigint, held_seconds bigint,
    disconnected_seconds bigint
)
    LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT
        part.day,
        CASE WHEN status = 'available' THEN part.seconds ELSE 0 END,
        CASE WHEN status = 'available' THEN part.seconds * capacity ELSE 0 END,
        CASE WHEN status = 'paused' THEN part.seconds ELSE 0 END,
        CASE WHEN status = 'held' THEN part.seconds ELSE 0 END,
        CASE WHEN status = 'disconnected' THEN part.seconds ELSE 0 END
    FROM (
        SELECT
            days.at::date AS day,
            floor(date_part('epoch', least(ended_at, (days.at + interval '1 day') AT TIME ZONE zone)))::bigint
                - floor(date_part('epoch', greatest(started_at, days.at AT TIME ZONE zone)))::bigint AS seconds
        FROM generate_series(
            date_trunc('day', started_at AT TIME ZONE zone), date_trunc('day', ended_at AT TIME ZONE zone),
            interval '1 day'
        ) AS days (at)
    ) AS part;
END;

CREATE FUNCTION vez_measured_status(status text, held_cause text, leased boolean) RETURNS text
    LANGUAGE sql IMMUTABLE
RETURN CASE
    WHEN status <> 'available' THEN status
    WHEN held_cause IS NOT NULL THEN 'held'
    WHEN NOT leased THEN 'disconnected'
    ELSE 'available'
END;

UPDATE agents SET
    measured_status = vez_measured_status(status, held_cause, leased), measured_reason = pause_reason,
    measured_from = updated_at;

-- Closes the interval when the status is another one.
CREATE FUNCTION vez_measure_agent() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
AS $$
DECLARE
    now_status text := vez_measured_status(NEW.status, NEW.held_cause, NEW.leased);
BEGIN
    IF TG_OP = 'UPDATE' THEN
        NEW.measured_from := OLD.measured_from;
        NEW.measured_status := OLD.measured_status;
        NEW.measured_reason := OLD.measured_reason;
        IF OLD.measured_status = now_status AND OLD.measured_reason IS NOT DISTINCT FROM NEW.pause_reason THEN
            RETURN NEW;
        END IF;
        IF OLD.measured_status <> 'offline' AND NEW.updated_at > OLD.measured_from THEN
            INSERT INTO agent_intervals (tenant_id, user_id, status, reason, capacity, started_at, ended_at)
            SELECT OLD.tenant_id, OLD.user_id, OLD.measured_status, OLD.measured_reason, coalesce(users.capacity, 1),
                   OLD.measured_from, NEW.updated_at
            FROM (SELECT 1) AS one
            LEFT JOIN users ON users.tenant_id = OLD.tenant_id AND users.id = OLD.user_id;
        END IF;
    END IF;
    NEW.measured_status := now_status;
    NEW.measured_reason := NEW.pause_reason;
    NEW.measured_from := NEW.updated_at;
    RETURN NEW;
END
$$;
CREATE TRIGGER measured BEFORE INSERT OR UPDATE ON agents FOR EACH ROW EXECUTE FUNCTION vez_measure_agent();

-- A wrap-up that its agent ended early, or made longer, is told by his own row; here the call's row learns what it really was.
CREATE FUNCTION vez_measure_wrap_ups() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
AS $$
BEGIN
    UPDATE calls SET wrap_up_ends_at = own.ends_at
    FROM (
        SELECT (wrap_up ->> 'call_id')::uuid AS call_id,
               'epoch'::timestamptz + (wrap_up ->> 'ends_at_micros')::bigint * interval '1 microsecond' AS ends_at
        FROM jsonb_array_elements(NEW.wrap_ups) AS wrap_up
        WHERE wrap_up ->> 'department_id' IS NULL
    ) AS own
    WHERE calls.id = own.call_id AND calls.tenant_id = NEW.tenant_id AND calls.completed_at IS NOT NULL
      AND calls.wrap_up_ends_at <> own.ends_at AND own.ends_at >= calls.completed_at;
    RETURN NULL;
END
$$;
CREATE TRIGGER measured_wrap_ups AFTER UPDATE OF wrap_ups ON agents FOR EACH ROW
    WHEN (NEW.wrap_ups IS NOT NULL AND NEW.wrap_ups IS DISTINCT FROM OLD.wrap_ups)
    EXECUTE FUNCTION vez_measure_wrap_ups();

-- Adds what rows of calls contribute now, less what they did before. Runs once a statement; only started and ended calls
-- contribute, so most statements of the hot path end at the first test. Sums are added in the order of their keys, so that two
-- who add to the same ones never wait in a circle.
CREATE FUNCTION vez_measure_new_calls() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM new_rows WHERE started_at IS NOT NULL OR completed_at IS NOT NULL) THEN
        RETURN NULL;
    END IF;
    WITH
    changed AS MATERIALIZED (
        SELECT
            call.sign, call.tenant_id, call.department_id, call.user_id, local.at::date AS day,
            date_trunc('month', local.at)::date AS month, date_part('hour', local.at)::smallint AS hour, figures.*
        FROM (
            SELECT 1 AS sign, tenant_id, department_id, user_id, inserted_at, status, end_reason, assigned_at, accepted_at, started_at,
                   completed_at, wrap_up_ends_at, rating, service_level_seconds, estimated_wait_p90_seconds
            FROM new_rows
        ) AS call
        JOIN tenants ON tenants.id = call.tenant_id
        CROSS JOIN LATERAL (SELECT call.inserted_at AT TIME ZONE tenants.time_zone AS at) AS local
        CROSS JOIN LATERAL vez_call_figures(
            call.inserted_at, call.status, call.end_reason, call.assigned_at, call.accepted_at, call.started_at,
            call.completed_at, call.wrap_up_ends_at, call.rating, call.service_level_seconds,
            call.estimated_wait_p90_seconds
        ) AS figures
        WHERE call.started_at IS NOT NULL OR call.completed_at IS NOT NULL
    ),
    hours AS (
        INSERT INTO call_hours AS stored (
            tenant_id, day, department_id, hour, completed, missed, cancelled, answered, answered_in_time,
            wait_seconds, abandoned, abandoned_short, handled, talk_seconds, wrap_up_seconds, rated, rating_total,
            satisfied, estimated, estimate_kept
        )
        SELECT
            tenant_id, day, department_id, hour, completed, missed, cancelled, answered, answered_in_time,
            wait_seconds, abandoned, abandoned_short, handled, talk_seconds, wrap_up_seconds, rated, rating_total,
            satisfied, estimated, estimate_kept
        FROM (
            SELECT
                tenant_id, day, department_id, hour, sum(sign * completed)::bigint AS completed, sum(sign *
                missed)::bigint AS missed, sum(sign * cancelled)::bigint AS cancelled, sum(sign * answered)::bigint AS
                answered, sum(sign * answered_in_time)::bigint AS answered_in_time, sum(sign * wait_seconds)::bigint
                AS wait_seconds, sum(sign * abandoned)::bigint AS abandoned, sum(sign * abandoned_short)::bigint AS
                abandoned_short, sum(sign * handled)::bigint AS handled, sum(sign * talk_seconds)::bigint AS
                talk_seconds, sum(sign * wrap_up_seconds)::bigint AS wrap_up_seconds, sum(sign * rated)::bigint AS
                rated, sum(sign * rating_total)::bigint AS rating_total, sum(sign * satisfied)::bigint AS satisfied,
                sum(sign * estimated)::bigint AS estimated, sum(sign * estimate_kept)::bigint AS estimate_kept
            FROM changed GROUP BY tenant_id, day, department_id, hour
        ) AS summed
        WHERE (
            completed, missed, cancelled, answered, answered_in_time, wait_seconds, abandoned, abandoned_short,
            handled, talk_seconds, wrap_up_seconds, rated, rating_total, satisfied, estimated, estimate_kept
        ) <> (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
        ORDER BY tenant_id, day, department_id, hour
        ON CONFLICT (tenant_id, day, department_id, hour) DO UPDATE SET
            completed = stored.completed + excluded.completed, missed = stored.missed + excluded.missed, cancelled =
            stored.cancelled + excluded.cancelled, answered = stored.answered + excluded.answered, answered_in_time =
            stored.answered_in_time + excluded.answered_in_time, wait_seconds = stored.wait_seconds +
            excluded.wait_seconds, abandoned = stored.abandoned + excluded.abandoned, abandoned_short =
            stored.abandoned_short + excluded.abandoned_short, handled = stored.handled + excluded.handled,
            talk_seconds = stored.talk_seconds + excluded.talk_seconds, wrap_up_seconds = stored.wrap_up_seconds +
            excluded.wrap_up_seconds, rated = stored.rated + excluded.rated, rating_total = stored.rating_total +
            excluded.rating_total, satisfied = stored.satisfied + excluded.satisfied, estimated = stored.estimated +
            excluded.estimated, estimate_kept = stored.estimate_kept + excluded.estimate_kept
    ),
    waits AS (
        INSERT INTO wait_days AS stored (
            tenant_id, day, department_id, wait_seconds, answered
        )
        SELECT
            tenant_id, day, department_id, wait_seconds, answered
        FROM (
            SELECT
                tenant_id, day, department_id, wait_seconds, sum(sign * answered)::bigint AS answered
            FROM changed WHERE answered > 0 GROUP BY tenant_id, day, department_id, wait_seconds
        ) AS summed
        WHERE (
            answered
        ) <> (0)
        ORDER BY tenant_id, day, department_id, wait_seconds
        ON CONFLICT (tenant_id, day, department_id, wait_seconds) DO UPDATE SET
            answered = stored.answered + excluded.answered
    ),
    months AS (
        INSERT INTO agent_months AS stored (
            tenant_id, month, department_id, user_id, completed, missed, cancelled, answered, answered_in_time,
            wait_seconds, handled, talk_seconds, wrap_up_seconds, rated, rating_total, satisfied, call_talk_seconds
        )
        SELECT
            tenant_id, month, department_id, user_id, completed, missed, cancelled, answered, answered_in_time,
            wait_seconds, handled, talk_seconds, wrap_up_seconds, rated, rating_total, satisfied, call_talk_seconds
        FROM (
            SELECT
                tenant_id, month, department_id, user_id, sum(sign * completed)::bigint AS completed, sum(sign *
                missed)::bigint AS missed, sum(sign * cancelled)::bigint AS cancelled, sum(sign * answered)::bigint AS
                answered, sum(sign * answered_in_time)::bigint AS answered_in_time, sum(sign * wait_seconds)::bigint AS
                wait_seconds, sum(sign * handled)::bigint AS handled, sum(sign * talk_seconds)::bigint AS talk_seconds,
                sum(sign * wrap_up_seconds)::bigint AS wrap_up_seconds, sum(sign * rated)::bigint AS rated, sum(sign *
                rating_total)::bigint AS rating_total, sum(sign * satisfied)::bigint AS satisfied, sum(sign *
                call_talk_seconds)::bigint AS call_talk_seconds
            FROM changed WHERE user_id IS NOT NULL GROUP BY tenant_id, month, department_id, user_id
        ) AS summed
        WHERE (
            completed, missed, cancelled, answered, answered_in_time, wait_seconds, handled, talk_seconds,
            wrap_up_seconds, rated, rating_total, satisfied, call_talk_seconds
        ) <> (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
        ORDER BY tenant_id, month, department_id, user_id
        ON CONFLICT (tenant_id, month, department_id, user_id) DO UPDATE SET
            completed = stored.completed + excluded.completed, missed = stored.missed + excluded.missed, cancelled =
            stored.cancelled + excluded.cancelled, answered = stored.answered + excluded.answered, answered_in_time =
            stored.answered_in_time + excluded.answered_in_time, wait_seconds = stored.wait_seconds +
            excluded.wait_seconds, handled = stored.handled + excluded.handled, talk_seconds = stored.talk_seconds +
            excluded.talk_seconds, wrap_up_seconds = stored.wrap_up_seconds + excluded.wrap_up_seconds, rated =
            stored.rated + excluded.rated, rating_total = stored.rating_total + excluded.rating_total, satisfied =
            stored.satisfied + excluded.satisfied, call_talk_seconds = stored.call_talk_seconds +
            excluded.call_talk_seconds
    )
    INSERT INTO agent_days AS stored (
        tenant_id, day, department_id, user_id, completed, missed, cancelled, answered, answered_in_time,
        wait_seconds, handled, talk_seconds, wrap_up_seconds, rated, rating_total, satisfied, call_talk_seconds
    )
    SELECT
        tenant_id, day, department_id, user_id, completed, missed, cancelled, answered, answered_in_time,
        wait_seconds, handled, talk_seconds, wrap_up_seconds, rated, rating_total, satisfied, call_talk_seconds
    FROM (
        SELECT
            tenant_id, day, department_id, user_id, sum(sign * completed)::bigint AS completed, sum(sign *
            missed)::bigint AS missed, sum(sign * cancelled)::bigint AS cancelled, sum(sign * answered)::bigint AS
            answered, sum(sign * answered_in_time)::bigint AS answered_in_time, sum(sign * wait_seconds)::bigint AS
            wait_seconds, sum(sign * handled)::bigint AS handled, sum(sign * talk_seconds)::bigint AS talk_seconds,
            sum(sign * wrap_up_seconds)::bigint AS wrap_up_seconds, sum(sign * rated)::bigint AS rated, sum(sign *
            rating_total)::bigint AS rating_total, sum(sign * satisfied)::bigint AS satisfied, sum(sign *
            call_talk_seconds)::bigint AS call_talk_seconds
        FROM changed WHERE user_id IS NOT NULL GROUP BY tenant_id, day, department_id, user_id
    ) AS summed
    WHERE (
        completed, missed, cancelled, answered, answered_in_time, wait_seconds, handled, talk_seconds,
        wrap_up_seconds, rated, rating_total, satisfied, call_talk_seconds
    ) <> (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    ORDER BY tenant_id, day, department_id, user_id
    ON CONFLICT (tenant_id, day, department_id, user_id) DO UPDATE SET
        completed = stored.completed + excluded.completed, missed = stored.missed + excluded.missed, cancelled =
        stored.cancelled + excluded.cancelled, answered = stored.answered + excluded.answered, answered_in_time =
        stored.answered_in_time + excluded.answered_in_time, wait_seconds = stored.wait_seconds +
        excluded.wait_seconds, handled = stored.handled + excluded.handled, talk_seconds = stored.talk_seconds +
        excluded.talk_seconds, wrap_up_seconds = stored.wrap_up_seconds + excluded.wrap_up_seconds, rated =
        stored.rated + excluded.rated, rating_total = stored.rating_total + excluded.rating_total, satisfied =
        stored.satisfied + excluded.satisfied, call_talk_seconds = stored.call_talk_seconds +
        excluded.call_talk_seconds;
    RETURN NULL;
END
$$;
CREATE TRIGGER measured_new AFTER INSERT ON calls REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION vez_measure_new_calls();

CREATE FUNCTION vez_measure_changed_calls() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM new_rows WHERE started_at IS NOT NULL OR completed_at IS NOT NULL) THEN
        RETURN NULL;
    END IF;
    WITH
    changed AS MATERIALIZED (
        SELECT
            call.sign, call.tenant_id, call.department_id, call.user_id, local.at::date AS day,
            date_trunc('month', local.at)::date AS month, date_part('hour', local.at)::smallint AS hour, figures.*
        FROM (
            SELECT 1 AS sign, tenant_id, department_id, user_id, inserted_at, status, end_reason, assigned_at, accepted_at, started_at,
                   completed_at, wrap_up_ends_at, rating, service_level_seconds, estimated_wait_p90_seconds
            FROM new_rows
            UNION ALL
            SELECT -1 AS sign, tenant_id, department_id, user_id, inserted_at, status, end_reason, assigned_at, accepted_at, started_at,
                   completed_at, wrap_up_ends_at, rating, service_level_seconds, estimated_wait_p90_seconds
            FROM old_rows
        ) AS call
        JOIN tenants ON tenants.id = call.tenant_id
        CROSS JOIN LATERAL (SELECT call.inserted_at AT TIME ZONE tenants.time_zone AS at) AS local
        CROSS JOIN LATERAL vez_call_figures(
            call.inserted_at, call.status, call.end_reason, call.assigned_at, call.accepted_at, call.started_at,
            call.completed_at, call.wrap_up_ends_at, call.rating, call.service_level_seconds,
            call.estimated_wait_p90_seconds
        ) AS figures
        WHERE call.started_at IS NOT NULL OR call.completed_at IS NOT NULL
    ),
    hours AS (
        INSERT INTO call_hours AS stored (
            tenant_id, day, department_id, hour, completed, missed, cancelled, answered, answered_in_time,
            wait_seconds, abandoned, abandoned_short, handled, talk_seconds, wrap_up_seconds, rated, rating_total,
            satisfied, estimated, estimate_kept
        )
        SELECT
            tenant_id, day, department_id, hour, completed, missed, cancelled, answered, answered_in_time,
            wait_seconds, abandoned, abandoned_short, handled, talk_seconds, wrap_up_seconds, rated, rating_total,
            satisfied, estimated, estimate_kept
        FROM (
            SELECT
                tenant_id, day, department_id, hour, sum(sign * completed)::bigint AS completed, sum(sign *
                missed)::bigint AS missed, sum(sign * cancelled)::bigint AS cancelled, sum(sign * answered)::bigint AS
                answered, sum(sign * answered_in_time)::bigint AS answered_in_time, sum(sign * wait_seconds)::bigint
                AS wait_seconds, sum(sign * abandoned)::bigint AS abandoned, sum(sign * abandoned_short)::bigint AS
                abandoned_short, sum(sign * handled)::bigint AS handled, sum(sign * talk_seconds)::bigint AS
                talk_seconds, sum(sign * wrap_up_seconds)::bigint AS wrap_up_seconds, sum(sign * rated)::bigint AS
                rated, sum(sign * rating_total)::bigint AS rating_total, sum(sign * satisfied)::bigint AS satisfied,
                sum(sign * estimated)::bigint AS estimated, sum(sign * estimate_kept)::bigint AS estimate_kept
            FROM changed GROUP BY tenant_id, day, department_id, hour
        ) AS summed
        WHERE (
            completed, missed, cancelled, answered, answered_in_time, wait_seconds, abandoned, abandoned_short,
            handled, talk_seconds, wrap_up_seconds, rated, rating_total, satisfied, estimated, estimate_kept
        ) <> (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
        ORDER BY tenant_id, day, department_id, hour
        ON CONFLICT (tenant_id, day, department_id, hour) DO UPDATE SET
            completed = stored.completed + excluded.completed, missed = stored.missed + excluded.missed, cancelled =
            stored.cancelled + excluded.cancelled, answered = stored.answered + excluded.answered, answered_in_time =
            stored.answered_in_time + excluded.answered_in_time, wait_seconds = stored.wait_seconds +
            excluded.wait_seconds, abandoned = stored.abandoned + excluded.abandoned, abandoned_short =
            stored.abandoned_short + excluded.abandoned_short, handled = stored.handled + excluded.handled,
            talk_seconds = stored.talk_seconds + excluded.talk_seconds, wrap_up_seconds = stored.wrap_up_seconds +
            excluded.wrap_up_seconds, rated = stored.rated + excluded.rated, rating_total = stored.rating_total +
            excluded.rating_total, satisfied = stored.satisfied + excluded.satisfied, estimated = stored.estimated +
            excluded.estimated, estimate_kept = stored.estimate_kept + excluded.estimate_kept
    ),
    waits AS (
        INSERT INTO wait_days AS stored (
            tenant_id, day, department_id, wait_seconds, answered
        )
        SELECT
            tenant_id, day, department_id, wait_seconds, answered
        FROM (
            SELECT
                tenant_id, day, department_id, wait_seconds, sum(sign * answered)::bigint AS answered
            FROM changed WHERE answered > 0 GROUP BY tenant_id, day, department_id, wait_seconds
        ) AS summed
        WHERE (
            answered
        ) <> (0)
        ORDER BY tenant_id, day, department_id, wait_seconds
        ON CONFLICT (tenant_id, day, department_id, wait_seconds) DO UPDATE SET
            answered = stored.answered + excluded.answered
    ),
    months AS (
        INSERT INTO agent_months AS stored (
            tenant_id, month, department_id, user_id, completed, missed, cancelled, answered, answered_in_time,
            wait_seconds, handled, talk_seconds, wrap_up_seconds, rated, rating_total, satisfied, call_talk_seconds
        )
        SELECT
            tenant_id, month, department_id, user_id, completed, missed, cancelled, answered, answered_in_time,
            wait_seconds, handled, talk_seconds, wrap_up_seconds, rated, rating_total, satisfied, call_talk_seconds
        FROM (
            SELECT
                tenant_id, month, department_id, user_id, sum(sign * completed)::bigint AS completed, sum(sign *
                missed)::bigint AS missed, sum(sign * cancelled)::bigint AS cancelled, sum(sign * answered)::bigint AS
                answered, sum(sign * answered_in_time)::bigint AS answered_in_time, sum(sign * wait_seconds)::bigint AS
                wait_seconds, sum(sign * handled)::bigint AS handled, sum(sign * talk_seconds)::bigint AS talk_seconds,
                sum(sign * wrap_up_seconds)::bigint AS wrap_up_seconds, sum(sign * rated)::bigint AS rated, sum(sign *
                rating_total)::bigint AS rating_total, sum(sign * satisfied)::bigint AS satisfied, sum(sign *
                call_talk_seconds)::bigint AS call_talk_seconds
            FROM changed WHERE user_id IS NOT NULL GROUP BY tenant_id, month, department_id, user_id
        ) AS summed
        WHERE (
            completed, missed, cancelled, answered, answered_in_time, wait_seconds, handled, talk_seconds,
            wrap_up_seconds, rated, rating_total, satisfied, call_talk_seconds
        ) <> (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
        ORDER BY tenant_id, month, department_id, user_id
        ON CONFLICT (tenant_id, month, department_id, user_id) DO UPDATE SET
            completed = stored.completed + excluded.completed, missed = stored.missed + excluded.missed, cancelled =
            stored.cancelled + excluded.cancelled, answered = stored.answered + excluded.answered, answered_in_time =
            stored.answered_in_time + excluded.answered_in_time, wait_seconds = stored.wait_seconds +
            excluded.wait_seconds, handled = stored.handled + excluded.handled, talk_seconds = stored.talk_seconds +
            excluded.talk_seconds, wrap_up_seconds = stored.wrap_up_seconds + excluded.wrap_up_seconds, rated =
            stored.rated + excluded.rated, rating_total = stored.rating_total + excluded.rating_total, satisfied =
            stored.satisfied + excluded.satisfied, call_talk_seconds = stored.call_talk_seconds +
            excluded.call_talk_seconds
    )
    INSERT INTO agent_days AS stored (
        tenant_id, day, department_id, user_id, completed, missed, cancelled, answered, answered_in_time,
        wait_seconds, handled, talk_seconds, wrap_up_seconds, rated, rating_total, satisfied, call_talk_seconds
    )
    SELECT
        tenant_id, day, department_id, user_id, completed, missed, cancelled, answered, answered_in_time,
        wait_seconds, handled, talk_seconds, wrap_up_seconds, rated, rating_total, satisfied, call_talk_seconds
    FROM (
        SELECT
            tenant_id, day, department_id, user_id, sum(sign * completed)::bigint AS completed, sum(sign *
            missed)::bigint AS missed, sum(sign * cancelled)::bigint AS cancelled, sum(sign * answered)::bigint AS
            answered, sum(sign * answered_in_time)::bigint AS answered_in_time, sum(sign * wait_seconds)::bigint AS
            wait_seconds, sum(sign * handled)::bigint AS handled, sum(sign * talk_seconds)::bigint AS talk_seconds,
            sum(sign * wrap_up_seconds)::bigint AS wrap_up_seconds, sum(sign * rated)::bigint AS rated, sum(sign *
            rating_total)::bigint AS rating_total, sum(sign * satisfied)::bigint AS satisfied, sum(sign *
            call_talk_seconds)::bigint AS call_talk_seconds
        FROM changed WHERE user_id IS NOT NULL GROUP BY tenant_id, day, department_id, user_id
    ) AS summed
    WHERE (
        completed, missed, cancelled, answered, answered_in_time, wait_seconds, handled, talk_seconds,
        wrap_up_seconds, rated, rating_total, satisfied, call_talk_seconds
    ) <> (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    ORDER BY tenant_id, day, department_id, user_id
    ON CONFLICT (tenant_id, day, department_id, user_id) DO UPDATE SET
        completed = stored.completed + excluded.completed, missed = stored.missed + excluded.missed, cancelled =
        stored.cancelled + excluded.cancelled, answered = stored.answered + excluded.answered, answered_in_time =
        stored.answered_in_time + excluded.answered_in_time, wait_seconds = stored.wait_seconds +
        excluded.wait_seconds, handled = stored.handled + excluded.handled, talk_seconds = stored.talk_seconds +
        excluded.talk_seconds, wrap_up_seconds = stored.wrap_up_seconds + excluded.wrap_up_seconds, rated =
        stored.rated + excluded.rated, rating_total = stored.rating_total + excluded.rating_total, satisfied =
        stored.satisfied + excluded.satisfied, call_talk_seconds = stored.call_talk_seconds +
        excluded.call_talk_seconds;
    RETURN NULL;
END
$$;
CREATE TRIGGER measured_changed AFTER UPDATE ON calls REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION vez_measure_changed_calls();

-- What facts add, in the hour they happened: transfers, missed and declined offers, and the talk of agents who gave a call on or
-- lost it.
CREATE FUNCTION vez_measure_facts() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM new_rows WHERE kind IN ('call_transferred', 'call_returned', 'offer_timed_out', 'offer_declined')
    ) THEN
        RETURN NULL;
    END IF;
    WITH
    changed AS MATERIALIZED (
        SELECT
            fact.tenant_id, fact.department_id, fact.user_id, local.at::date AS day,
            date_trunc('month', local.at)::date AS month, date_part('hour', local.at)::smallint AS hour, figures.*
        FROM new_rows AS fact
        JOIN tenants ON tenants.id = fact.tenant_id
        CROSS JOIN LATERAL (SELECT fact.at AT TIME ZONE tenants.time_zone AS at) AS local
        CROSS JOIN LATERAL vez_fact_figures(fact.kind, fact.data) AS figures
        WHERE fact.kind IN ('call_transferred', 'call_returned', 'offer_timed_out', 'offer_declined')
          AND fact.department_id IS NOT NULL
    ),
    hours AS (
        INSERT INTO call_hours AS stored (
            tenant_id, day, department_id, hour, transfers, offers_missed, offers_declined
        )
        SELECT
            tenant_id, day, department_id, hour, transfers, offers_missed, offers_declined
        FROM (
            SELECT
                tenant_id, day, department_id, hour, sum(transfers)::bigint AS transfers, sum(offers_missed)::bigint
                AS offers_missed, sum(offers_declined)::bigint AS offers_declined
            FROM changed GROUP BY tenant_id, day, department_id, hour
        ) AS summed
        WHERE (
            transfers, offers_missed, offers_declined
        ) <> (0, 0, 0)
        ORDER BY tenant_id, day, department_id, hour
        ON CONFLICT (tenant_id, day, department_id, hour) DO UPDATE SET
            transfers = stored.transfers + excluded.transfers, offers_missed = stored.offers_missed +
            excluded.offers_missed, offers_declined = stored.offers_declined + excluded.offers_declined
    ),
    months AS (
        INSERT INTO agent_months AS stored (
            tenant_id, month, department_id, user_id, transfers, offers_missed, offers_declined, given_talk_seconds
        )
        SELECT
            tenant_id, month, department_id, user_id, transfers, offers_missed, offers_declined, given_talk_seconds
        FROM (
            SELECT
                tenant_id, month, department_id, user_id, sum(transfers)::bigint AS transfers, sum(offers_missed)::bigint AS
                offers_missed, sum(offers_declined)::bigint AS offers_declined, sum(given_talk_seconds)::bigint AS
                given_talk_seconds
            FROM changed WHERE user_id IS NOT NULL GROUP BY tenant_id, month, department_id, user_id
        ) AS summed
        WHERE (
            transfers, offers_missed, offers_declined, given_talk_seconds
        ) <> (0, 0, 0, 0)
        ORDER BY tenant_id, month, department_id, user_id
        ON CONFLICT (tenant_id, month, department_id, user_id) DO UPDATE SET
            transfers = stored.transfers + excluded.transfers, offers_missed = stored.offers_missed +
            excluded.offers_missed, offers_declined = stored.offers_declined + excluded.offers_declined,
            given_talk_seconds = stored.given_talk_seconds + excluded.given_talk_seconds
    )
    INSERT INTO agent_days AS stored (
        tenant_id, day, department_id, user_id, transfers, offers_missed, offers_declined, given_talk_seconds
    )
    SELECT
        tenant_id, day, department_id, user_id, transfers, offers_missed, offers_declined, given_talk_seconds
    FROM (
        SELECT
            tenant_id, day, department_id, user_id, sum(transfers)::bigint AS transfers, sum(offers_missed)::bigint AS
            offers_missed, sum(offers_declined)::bigint AS offers_declined, sum(given_talk_seconds)::bigint AS
            given_talk_seconds
        FROM changed WHERE user_id IS NOT NULL GROUP BY tenant_id, day, department_id, user_id
    ) AS summed
    WHERE (
        transfers, offers_missed, offers_declined, given_talk_seconds
    ) <> (0, 0, 0, 0)
    ORDER BY tenant_id, day, department_id, user_id
    ON CONFLICT (tenant_id, day, department_id, user_id) DO UPDATE SET
        transfers = stored.transfers + excluded.transfers, offers_missed = stored.offers_missed +
        excluded.offers_missed, offers_declined = stored.offers_declined + excluded.offers_declined,
        given_talk_seconds = stored.given_talk_seconds + excluded.given_talk_seconds;
    RETURN NULL;
END
$$;
CREATE TRIGGER measured AFTER INSERT ON events REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION vez_measure_facts();

CREATE FUNCTION vez_measure_intervals() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
AS $$
BEGIN
    WITH
    changed AS MATERIALIZED (
        SELECT spent.tenant_id, spent.user_id, date_trunc('month', days.day)::date AS month, days.*
        FROM new_rows AS spent
        JOIN tenants ON tenants.id = spent.tenant_id
        CROSS JOIN LATERAL vez_interval_days(
            spent.started_at, spent.ended_at, spent.status, spent.capacity, tenants.time_zone
        ) AS days
    ),
    months AS (
        INSERT INTO agent_status_months AS stored (
            tenant_id, month, user_id, available_seconds, capacity_seconds, paused_seconds, held_seconds,
            disconnected_seconds
        )
        SELECT
            tenant_id, month, user_id, available_seconds, capacity_seconds, paused_seconds, held_seconds,
            disconnected_seconds
        FROM (
            SELECT
                tenant_id, month, user_id, sum(available_seconds)::bigint AS available_seconds,
                sum(capacity_seconds)::bigint AS capacity_seconds, sum(paused_seconds)::bigint AS paused_seconds,
                sum(held_seconds)::bigint AS held_seconds, sum(disconnected_seconds)::bigint AS disconnected_seconds
            FROM changed GROUP BY tenant_id, month, user_id
        ) AS summed
        WHERE (
            available_seconds, capacity_seconds, paused_seconds, held_seconds, disconnected_seconds
        ) <> (0, 0, 0, 0, 0)
        ORDER BY tenant_id, month, user_id
        ON CONFLICT (tenant_id, month, user_id) DO UPDATE SET
            available_seconds = stored.available_seconds + excluded.available_seconds, capacity_seconds =
            stored.capacity_seconds + excluded.capacity_seconds, paused_seconds = stored.paused_seconds +
            excluded.paused_seconds, held_seconds = stored.held_seconds + excluded.held_seconds, disconnected_seconds =
            stored.disconnected_seconds + excluded.disconnected_seconds
    )
    INSERT INTO agent_status_days AS stored (
        tenant_id, day, user_id, available_seconds, capacity_seconds, paused_seconds, held_seconds,
        disconnected_seconds
    )
    SELECT
        tenant_id, day, user_id, available_seconds, capacity_seconds, paused_seconds, held_seconds,
        disconnected_seconds
    FROM (
        SELECT
            tenant_id, day, user_id, sum(available_seconds)::bigint AS available_seconds,
            sum(capacity_seconds)::bigint AS capacity_seconds, sum(paused_seconds)::bigint AS paused_seconds,
            sum(held_seconds)::bigint AS held_seconds, sum(disconnected_seconds)::bigint AS disconnected_seconds
        FROM changed GROUP BY tenant_id, day, user_id
    ) AS summed
    WHERE (
        available_seconds, capacity_seconds, paused_seconds, held_seconds, disconnected_seconds
    ) <> (0, 0, 0, 0, 0)
    ORDER BY tenant_id, day, user_id
    ON CONFLICT (tenant_id, day, user_id) DO UPDATE SET
        available_seconds = stored.available_seconds + excluded.available_seconds, capacity_seconds =
        stored.capacity_seconds + excluded.capacity_seconds, paused_seconds = stored.paused_seconds +
        excluded.paused_seconds, held_seconds = stored.held_seconds + excluded.held_seconds, disconnected_seconds =
        stored.disconnected_seconds + excluded.disconnected_seconds;
    RETURN NULL;
END
$$;
CREATE TRIGGER measured AFTER INSERT ON agent_intervals REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION vez_measure_intervals();

-- How many customers each day brought; who was merged into another, or erased, counts no more.
CREATE TABLE customer_days (
    tenant_id uuid NOT NULL,
    day date NOT NULL,
    customers bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, day)
) WITH (fillfactor = 50);
SELECT vez_protect('customer_days');

CREATE FUNCTION vez_measure_new_customers() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
AS $$
BEGIN
    WITH changed AS MATERIALIZED (
        SELECT 1 AS customers, tenant_id, inserted_at FROM new_rows WHERE merged_into IS NULL
    )
    INSERT INTO customer_days AS stored (tenant_id, day, customers)
    SELECT tenant_id, day, customers
    FROM (
        SELECT changed.tenant_id, (changed.inserted_at AT TIME ZONE tenants.time_zone)::date AS day,
               sum(changed.customers)::bigint AS customers
        FROM changed JOIN tenants ON tenants.id = changed.tenant_id
        GROUP BY changed.tenant_id, day
    ) AS summed
    WHERE customers <> 0
    ORDER BY tenant_id, day
    ON CONFLICT (tenant_id, day) DO UPDATE SET customers = stored.customers + excluded.customers;
    RETURN NULL;
END
$$;
CREATE TRIGGER measured_new AFTER INSERT ON customers REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION vez_measure_new_customers();

CREATE FUNCTION vez_measure_changed_customers() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
AS $$
BEGIN
    WITH changed AS MATERIALIZED (
        SELECT 1 AS customers, tenant_id, inserted_at FROM new_rows WHERE merged_into IS NULL
        UNION ALL
        SELECT -1 AS customers, tenant_id, inserted_at FROM old_rows WHERE merged_into IS NULL
    )
    INSERT INTO customer_days AS stored (tenant_id, day, customers)
    SELECT tenant_id, day, customers
    FROM (
        SELECT changed.tenant_id, (changed.inserted_at AT TIME ZONE tenants.time_zone)::date AS day,
               sum(changed.customers)::bigint AS customers
        FROM changed JOIN tenants ON tenants.id = changed.tenant_id
        GROUP BY changed.tenant_id, day
    ) AS summed
    WHERE customers <> 0
    ORDER BY tenant_id, day
    ON CONFLICT (tenant_id, day) DO UPDATE SET customers = stored.customers + excluded.customers;
    RETURN NULL;
END
$$;
CREATE TRIGGER measured_changed AFTER UPDATE ON customers REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION vez_measure_changed_customers();

CREATE FUNCTION vez_measure_gone_customers() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
AS $$
BEGIN
    WITH changed AS MATERIALIZED (
        SELECT -1 AS customers, tenant_id, inserted_at FROM old_rows WHERE merged_into IS NULL
    )
    INSERT INTO customer_days AS stored (tenant_id, day, customers)
    SELECT tenant_id, day, customers
    FROM (
        SELECT changed.tenant_id, (changed.inserted_at AT TIME ZONE tenants.time_zone)::date AS day,
               sum(changed.customers)::bigint AS customers
        FROM changed JOIN tenants ON tenants.id = changed.tenant_id
        GROUP BY changed.tenant_id, day
    ) AS summed
    WHERE customers <> 0
    ORDER BY tenant_id, day
    ON CONFLICT (tenant_id, day) DO UPDATE SET customers = stored.customers + excluded.customers;
    RETURN NULL;
END
$$;
CREATE TRIGGER measured_gone AFTER DELETE ON customers REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION vez_measure_gone_customers();
