-- Departments' further settings, and service providers: the companies whose people take a company's calls.

ALTER TABLE departments
    -- `push`: calls are offered to free agents. `pull`: agents take them by hand.
    ADD COLUMN mode text NOT NULL DEFAULT 'push' CHECK (mode IN ('push', 'pull')),
    -- Each step shifts the rank this department is granted slots by, by a minute; higher is sooner.
    ADD COLUMN weight smallint NOT NULL DEFAULT 0 CHECK (weight BETWEEN -10 AND 10),
    -- Who is answered within so many seconds is answered in time.
    ADD COLUMN service_level_seconds integer NOT NULL DEFAULT 20 CHECK (service_level_seconds BETWEEN 1 AND 3600),
    -- A department that is deleted stays as a name in the history of its calls and links, and nowhere else.
    ADD COLUMN deleted_at timestamptz;

-- What is deleted holds no identifier.
ALTER TABLE departments DROP CONSTRAINT departments_identifier_key;
CREATE UNIQUE INDEX departments_identifier_key ON departments (tenant_id, identifier) WHERE deleted_at IS NULL;

CREATE TABLE service_providers (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    name text NOT NULL,
    -- A CNPJ or CPF as it was given, with its punctuation.
    document text,
    email text,
    phone text,
    active boolean NOT NULL DEFAULT true,
    inserted_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
SELECT vez_protect('service_providers');

CREATE TABLE service_provider_users (
    tenant_id uuid NOT NULL,
    service_provider_id uuid NOT NULL,
    user_id uuid NOT NULL,
    inserted_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, service_provider_id, user_id),
    FOREIGN KEY (tenant_id, service_provider_id) REFERENCES service_providers (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX service_provider_users_user ON service_provider_users (tenant_id, user_id);
SELECT vez_protect('service_provider_users');

SELECT vez_audit('service_providers', 'service_provider', 'id', '{document,email,phone}');
SELECT vez_audit('service_provider_users', 'service_provider_user', 'service_provider_id');
