-- Mail that waits to leave, appointments, and what is still to be done for them.

-- The outbox of mail. A row is written in the transaction of the change it tells of, and delivered at least once.
CREATE TABLE mails (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    recipient text NOT NULL,
    locale text NOT NULL,
    kind text NOT NULL,
    -- What the text is made of. It may hold secrets (the link that sets a password), so it goes when the mail has left or
    -- is given up.
    message jsonb,
    -- When it is to leave at the earliest.
    send_at timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    -- The next try; while one is under way, when it counts as lost.
    due_at timestamptz NOT NULL,
    sent_at timestamptz,
    dead_at timestamptz,
    last_error text,
    inserted_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX mails_due ON mails (due_at) WHERE sent_at IS NULL AND dead_at IS NULL;
CREATE INDEX mails_inserted_at ON mails (inserted_at);
SELECT vez_protect('mails');

CREATE TABLE appointments (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    title text NOT NULL,
    description text,
    status text NOT NULL CHECK (status IN ('scheduled', 'confirmed', 'completed', 'cancelled', 'no_show')),
    scheduled_at timestamptz NOT NULL,
    duration_minutes integer NOT NULL CHECK (duration_minutes > 0),
    -- scheduled_at and the duration; the first moment that is free again.
    ends_at timestamptz NOT NULL,
    department_id uuid NOT NULL,
    user_id uuid NOT NULL,
    -- Without a foreign key, as in calls: a customer may be erased or merged.
    customer_id uuid NOT NULL,
    customer_name text NOT NULL,
    customer_email text,
    customer_phone text,
    notes text,
    cancellation_reason text,
    -- The language of what the customer is sent.
    locale text NOT NULL,
    -- The access link he joins by.
    link_id uuid NOT NULL,
    -- How this server was called when the appointment was made: what later mails' links begin with.
    base_url text NOT NULL,
    inserted_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT appointments_link_key UNIQUE (tenant_id, link_id),
    FOREIGN KEY (tenant_id, department_id) REFERENCES departments (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX appointments_scheduled_at ON appointments (tenant_id, scheduled_at);
CREATE INDEX appointments_customer ON appointments (tenant_id, customer_id);
-- The look-up of conflicts.
CREATE INDEX appointments_busy ON appointments (tenant_id, user_id, scheduled_at)
    WHERE status IN ('scheduled', 'confirmed');
SELECT vez_protect('appointments');
SELECT vez_audit('appointments', 'appointment', 'id',
    '{title,description,customer_name,customer_email,customer_phone,notes,cancellation_reason}');

-- Reminders still to be given; a row goes with the transaction that gives it.
CREATE TABLE appointment_reminders (
    tenant_id uuid NOT NULL,
    appointment_id uuid NOT NULL,
    due_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, appointment_id, due_at),
    FOREIGN KEY (tenant_id, appointment_id) REFERENCES appointments (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX appointment_reminders_due ON appointment_reminders (due_at);
SELECT vez_protect('appointment_reminders');

-- Appointments whose call was completed, and which are not completed yet. Written by the record with the call; a row goes
-- with the transaction that completes the appointment. A table of its own, so that the record never waits for somebody
-- who edits an appointment.
CREATE TABLE appointment_calls (
    tenant_id uuid NOT NULL,
    appointment_id uuid NOT NULL,
    call_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, appointment_id)
);
SELECT vez_protect('appointment_calls');

-- A user's list of notices, the newest first.
CREATE INDEX notifications_user ON notifications (tenant_id, user_id, inserted_at DESC);
