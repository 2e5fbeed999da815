-- What calls have on record besides their own rows: attachments, recordings, transcripts, summaries. The bytes of a file are
-- in the object store under "tenant/kind/id"; nothing else about it is there.

-- Files that are being written. A row is made before the first byte is stored and goes in the transaction that makes the
-- file's own row, so whatever is left here for long belongs to nobody: the upload was cut, or the server died.
CREATE TABLE unfinished_files (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('attachments', 'recordings')),
    inserted_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX unfinished_files_inserted_at ON unfinished_files (inserted_at);
SELECT vez_protect('unfinished_files');

CREATE TABLE uploads (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    call_id uuid NOT NULL,
    file_name text NOT NULL,
    -- What its first bytes say, not what was declared.
    content_type text NOT NULL,
    file_size bigint NOT NULL CHECK (file_size > 0),
    inserted_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (call_id, tenant_id) REFERENCES calls (id, tenant_id)
);
CREATE INDEX uploads_call ON uploads (tenant_id, call_id, inserted_at);
SELECT vez_protect('uploads');
SELECT vez_audit('uploads', 'upload', 'id', '{file_name}');

-- The department keeps a department with recordings from being deleted, whoever forgets to look.
CREATE TABLE recordings (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    call_id uuid NOT NULL,
    department_id uuid NOT NULL,
    format text NOT NULL,
    content_type text NOT NULL,
    -- Seconds; null is as long as the call.
    duration integer CHECK (duration >= 0),
    file_size bigint NOT NULL CHECK (file_size > 0),
    inserted_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT recordings_call_key UNIQUE (tenant_id, call_id),
    FOREIGN KEY (call_id, tenant_id) REFERENCES calls (id, tenant_id),
    FOREIGN KEY (tenant_id, department_id) REFERENCES departments (tenant_id, id)
);
CREATE INDEX recordings_department ON recordings (tenant_id, department_id);
CREATE INDEX recordings_inserted_at ON recordings (inserted_at);
SELECT vez_protect('recordings');
SELECT vez_audit('recordings', 'recording', 'id', '{}');

CREATE TABLE transcripts (
    tenant_id uuid NOT NULL,
    call_id uuid NOT NULL,
    text text NOT NULL,
    language text,
    -- A list of {"start_ms", "end_ms", "speaker", "text"}.
    segments jsonb NOT NULL,
    inserted_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, call_id),
    FOREIGN KEY (call_id, tenant_id) REFERENCES calls (id, tenant_id)
);
SELECT vez_protect('transcripts');
SELECT vez_audit('transcripts', 'transcript', 'call_id', '{text,segments}');

CREATE TABLE summaries (
    tenant_id uuid NOT NULL,
    call_id uuid NOT NULL,
    text text NOT NULL,
    language text,
    inserted_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, call_id),
    FOREIGN KEY (call_id, tenant_id) REFERENCES calls (id, tenant_id)
);
SELECT vez_protect('summaries');
SELECT vez_audit('summaries', 'summary', 'call_id', '{text}');
