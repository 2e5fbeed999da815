-- One batch of the record: one statement that is its own transaction, so that a commit costs one round trip. Each array
-- holds one column of rows. This statement's snapshot may be older than the locks it waits for; that does no harm, because
-- `entered` looks at the epoch with a newer one, nobody else writes this shard's calls and agents while the epoch is ours,
-- and rows that others share (counters, links) are read anew once their lock is held.
WITH
entered AS MATERIALIZED (
    SELECT vez_enter_batch($1, $71, $72, $2, $73) AS ok
),
-- The tenants' feed numbers: a transaction outside the writer locks this one row too, and before any call; so calls wait
-- below for these rows and nobody waits in a circle.
counted AS (
    UPDATE tenant_counters AS counter SET event_seq = counter.event_seq + due.events
    FROM unnest($4::uuid[], $5::bigint[]) AS due (tenant_id, events)
    WHERE counter.tenant_id = due.tenant_id
    RETURNING counter.tenant_id, counter.event_seq - due.events AS before
),
counters AS (
    SELECT count(*) AS rows FROM counted
),
-- An older version never replaces a newer one.
written_calls AS (
    INSERT INTO calls AS stored (
        tenant_id, id, number, department_id, link_id, customer_id, customer_name, customer_email, customer_phone, reason,
        priority, requirements, join_key, inserted_at, phase, status, end_reason, user_id, grant_id, assigned_at,
        accepted_at, started_at, completed_at, wrap_up_ends_at, exclusions, last_offer, connected, updated_at, version,
        ranked_at, transfer, service_level_seconds, estimated_wait_seconds, estimated_wait_p90_seconds, epoch
    )
    SELECT
        c.tenant_id, c.id, c.number, c.department_id, c.link_id, c.customer_id, c.customer_name, c.customer_email,
        c.customer_phone, c.reason, c.priority,
        -- An array of arrays would have to be a rectangle, so each call's skills travel as JSON.
        CASE WHEN c.requirements IS NULL THEN '{}'::text[]
             ELSE ARRAY(SELECT jsonb_array_elements_text(c.requirements)) END,
        c.join_key, c.inserted_at, c.phase, c.status, c.end_reason, c.user_id, c.grant_id, c.assigned_at, c.accepted_at,
        c.started_at, c.completed_at, c.wrap_up_ends_at, c.exclusions, c.last_offer, c.connected, c.updated_at, c.version,
        c.ranked_at, c.transfer, c.service_level_seconds, c.estimated_wait_seconds, c.estimated_wait_p90_seconds, $1
    FROM counters CROSS JOIN unnest(
        $6::uuid[], $7::uuid[], $8::bigint[], $9::uuid[], $10::uuid[], $11::uuid[], $12::text[], $13::text[], $14::text[],
        $15::text[], $16::smallint[], $17::jsonb[], $18::text[], $19::timestamptz[], $20::text[], $21::text[],
        $22::text[], $23::uuid[], $24::uuid[], $25::timestamptz[], $26::timestamptz[], $27::timestamptz[],
        $28::timestamptz[], $29::timestamptz[], $30::jsonb[], $31::jsonb[], $32::boolean[], $33::timestamptz[],
        $34::bigint[], $79::timestamptz[], $80::jsonb[], $81::integer[], $82::integer[], $83::integer[]
    ) AS c (
        tenant_id, id, number, department_id, link_id, customer_id, customer_name, customer_email, customer_phone, reason,
        priority, requirements, join_key, inserted_at, phase, status, end_reason, user_id, grant_id, assigned_at,
        accepted_at, started_at, completed_at, wrap_up_ends_at, exclusions, last_offer, connected, updated_at, version,
        ranked_at, transfer, service_level_seconds, estimated_wait_seconds, estimated_wait_p90_seconds
    )
    ON CONFLICT (tenant_id, id) DO UPDATE SET
        department_id = excluded.department_id, link_id = excluded.link_id, customer_id = excluded.customer_id,
        customer_name = excluded.customer_name, customer_email = excluded.customer_email,
        customer_phone = excluded.customer_phone, reason = excluded.reason, priority = excluded.priority,
        requirements = excluded.requirements, join_key = excluded.join_key, phase = excluded.phase,
        status = excluded.status, end_reason = excluded.end_reason, user_id = excluded.user_id,
        grant_id = excluded.grant_id, assigned_at = excluded.assigned_at, accepted_at = excluded.accepted_at,
        started_at = excluded.started_at, completed_at = excluded.completed_at,
        wrap_up_ends_at = excluded.wrap_up_ends_at, exclusions = excluded.exclusions, last_offer = excluded.last_offer,
        connected = excluded.connected, updated_at = excluded.updated_at, version = excluded.version,
        transfer = excluded.transfer, service_level_seconds = excluded.service_level_seconds, epoch = excluded.epoch
    WHERE stored.version < excluded.version
    RETURNING tenant_id, id, link_id, status, completed_at
),
written_agents AS (
    INSERT INTO agents AS stored (
        tenant_id, user_id, status, pause_reason, status_since, after_call_status, after_call_reason, held_cause,
        held_since, misses, leased, wrap_ups, wrap_up_until, idle, rotation, calls_today, updated_at, version, epoch
    )
    SELECT a.*, $1
    FROM unnest(
        $35::uuid[], $36::uuid[], $37::text[], $38::text[], $39::timestamptz[], $40::text[], $41::text[], $42::text[],
        $43::timestamptz[], $44::smallint[], $45::boolean[], $46::jsonb[], $47::timestamptz[], $48::jsonb[], $49::bigint[],
        $50::integer[], $51::timestamptz[], $52::bigint[]
    ) AS a
    ON CONFLICT (tenant_id, user_id) DO UPDATE SET
        status = excluded.status, pause_reason = excluded.pause_reason, status_since = excluded.status_since,
        after_call_status = excluded.after_call_status, after_call_reason = excluded.after_call_reason,
        held_cause = excluded.held_cause, held_since = excluded.held_since, misses = excluded.misses,
        leased = excluded.leased,
        wrap_ups = excluded.wrap_ups, wrap_up_until = excluded.wrap_up_until, idle = excluded.idle,
        rotation = excluded.rotation, calls_today = excluded.calls_today, updated_at = excluded.updated_at,
        version = excluded.version, epoch = excluded.epoch
    WHERE stored.version < excluded.version
    RETURNING 1
),
written_events AS (
    INSERT INTO events (tenant_id, seq, kind, at, call_id, department_id, user_id, data)
    SELECT e.tenant_id, counted.before + e.place, e.kind, e.at, e.call_id, e.department_id, e.user_id, e.data
    FROM unnest(
        $53::uuid[], $54::bigint[], $55::text[], $56::timestamptz[], $57::uuid[], $58::uuid[], $59::uuid[], $60::jsonb[]
    ) AS e (tenant_id, place, kind, at, call_id, department_id, user_id, data)
    JOIN counted USING (tenant_id)
),
written_customers AS (
    INSERT INTO customers (tenant_id, id, name, email, phone, inserted_at, updated_at)
    SELECT c.tenant_id, c.id, c.name, c.email, c.phone, c.at, c.at
    FROM unnest($61::uuid[], $62::uuid[], $63::text[], $64::text[], $65::text[], $66::timestamptz[])
        AS c (tenant_id, id, name, email, phone, at)
    ON CONFLICT (tenant_id, id) DO NOTHING
    RETURNING tenant_id, id
),
used_links AS (
    -- A batch may hold several joins through one link. The queue has seen to it that there are not too many.
    UPDATE access_links AS link SET
        use_count = link.use_count + used.uses,
        used_at = CASE WHEN link.use_count + used.uses >= link.max_uses THEN used.at END,
        call_id = CASE WHEN link.max_uses = 1 THEN used.call_id END
    FROM (
        SELECT tenant_id, id, count(*)::integer AS uses, max(at) AS at, (array_agg(call_id))[1] AS call_id
        FROM unnest($67::uuid[], $68::uuid[], $69::timestamptz[], $70::uuid[]) AS u (tenant_id, id, at, call_id)
        GROUP BY tenant_id, id
    ) AS used
    WHERE link.tenant_id = used.tenant_id AND link.id = used.id AND link.used_at IS NULL
),
-- Whoever acted on what was not his is named in the trail of what staff did, too. The edge knows the request; the record
-- does not.
audited AS (
    INSERT INTO audit (tenant_id, at, user_id, request_id, action, object, object_id)
    SELECT e.tenant_id, e.at, (e.data ->> 'by')::uuid, '', e.kind,
           CASE WHEN e.call_id IS NULL THEN 'agent' ELSE 'call' END, COALESCE(e.call_id, e.user_id)
    FROM unnest($53::uuid[], $55::text[], $56::timestamptz[], $57::uuid[], $59::uuid[], $60::jsonb[])
        AS e (tenant_id, kind, at, call_id, user_id, data)
    WHERE e.data ->> 'by' IS NOT NULL
),
-- The outbox of webhooks; its arrays are empty for companies without any. Every join says that it made a customer, and only
-- the row that was not there yet is told of.
news AS MATERIALIZED (
    SELECT n.*, gen_random_uuid() AS id
    FROM unnest($74::uuid[], $75::text[], $76::uuid[], $77::timestamptz[], $78::text[])
        WITH ORDINALITY AS n (tenant_id, event, subject_id, at, data, place)
    WHERE EXISTS (
            SELECT FROM webhooks WHERE webhooks.tenant_id = n.tenant_id AND active AND n.event = ANY (webhooks.events)
        )
        AND (n.event <> 'customer.created' OR EXISTS (
            SELECT FROM written_customers AS made WHERE made.tenant_id = n.tenant_id AND made.id = n.subject_id
        ))
),
told AS (
    INSERT INTO webhook_events (tenant_id, id, event, subject_id, at, data)
    SELECT tenant_id, id, event, subject_id, at, data::json FROM news ORDER BY place
    RETURNING tenant_id, id, seq, event, subject_id, at
),
due_deliveries AS (
    INSERT INTO webhook_deliveries (tenant_id, webhook_id, event_id, seq, event, subject_id, due_at, inserted_at)
    SELECT told.tenant_id, webhooks.id, told.id, told.seq, told.event, told.subject_id, told.at, told.at
    FROM told JOIN webhooks ON webhooks.tenant_id = told.tenant_id AND active AND told.event = ANY (webhooks.events)
),
-- A completed call that was joined by an appointment's link: whoever follows appointments completes it. Nothing is locked here
-- that staff may be editing. A call that ended more than an hour before its time was another one.
met_appointments AS (
    INSERT INTO appointment_calls (tenant_id, appointment_id, call_id)
    SELECT call.tenant_id, appointment.id, call.id
    FROM written_calls AS call
    JOIN appointments AS appointment ON appointment.tenant_id = call.tenant_id AND appointment.link_id = call.link_id
    WHERE call.status = 'completed' AND appointment.status IN ('scheduled', 'confirmed')
      AND call.completed_at >= appointment.scheduled_at - interval '1 hour'
    ON CONFLICT DO NOTHING
),
marked AS (
    UPDATE writer_marks SET batch_id = $3, epoch = $1 WHERE shard = $2
)
-- An upsert that touched no row is a fault, unless the row was there with this epoch and the same version or a newer one.
SELECT CASE
    WHEN NOT (SELECT ok FROM entered) THEN false
    WHEN (SELECT rows FROM counters) < cardinality($4::uuid[])
        THEN vez_refuse('VZ003', 'a tenant of the batch has no counters')
    WHEN (SELECT count(*) FROM written_calls) < cardinality($6::uuid[])
        AND (SELECT count(*) FROM written_calls) + (
            SELECT count(*) FROM unnest($6::uuid[], $7::uuid[], $34::bigint[]) AS sent (tenant_id, id, version)
            JOIN calls USING (tenant_id, id) WHERE calls.epoch = $1 AND calls.version >= sent.version
        ) < cardinality($6::uuid[])
        THEN vez_refuse('VZ002', 'the record holds another owner''s version of a call')
    WHEN (SELECT count(*) FROM written_agents) < cardinality($35::uuid[])
        AND (SELECT count(*) FROM written_agents) + (
            SELECT count(*) FROM unnest($35::uuid[], $36::uuid[], $52::bigint[]) AS sent (tenant_id, user_id, version)
            JOIN agents USING (tenant_id, user_id) WHERE agents.epoch = $1 AND agents.version >= sent.version
        ) < cardinality($35::uuid[])
        THEN vez_refuse('VZ002', 'the record holds another owner''s version of an agent')
    ELSE true
END AS "written!"
