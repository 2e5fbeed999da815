//! Owns the rows of transcripts and summaries of calls, which an outside transcriber puts here. One of each for a call.

use serde::{Deserialize, Serialize};

use super::{Result, Store, StoreError, Work};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{CallId, TenantId};

/// A stretch of speech.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Segment {
    /// Milliseconds after the recording's beginning.
    pub start_ms: u64,
    /// Milliseconds after the recording's beginning.
    pub end_ms: u64,
    /// Who speaks, in the transcriber's words.
    pub speaker: Option<String>,
    pub text: String,
}

/// What was said in a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcript {
    pub text: String,
    /// A language tag: `pt-BR`.
    pub language: Option<String>,
    pub segments: Vec<Segment>,
    pub inserted_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What to put; what is `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct TranscriptChange {
    /// Needed when there is none yet.
    pub text: Option<String>,
    pub language: Option<Option<String>>,
    pub segments: Option<Vec<Segment>>,
}

/// What a call was about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    pub text: String,
    /// A language tag: `pt-BR`.
    pub language: Option<String>,
    pub inserted_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What to put; what is `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct SummaryChange {
    /// Needed when there is none yet.
    pub text: Option<String>,
    pub language: Option<Option<String>>,
}

/// The transcript of a call.
pub async fn of_call(store: &Store, tenant: TenantId, call: CallId) -> Result<Option<Transcript>> {
    let mut tx = store.tenant_tx(tenant).await?;
    let row = sqlx::query!(
        "SELECT text, language, segments, inserted_at, updated_at FROM transcripts WHERE tenant_id = $1 AND call_id = $2",
        tenant.0,
        call.0
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Transcript {
        text: row.text,
        language: row.language,
        segments: segments_of(row.segments, call)?,
        inserted_at: row.inserted_at.into(),
        updated_at: row.updated_at.into(),
    }))
}

/// Puts a transcript, or changes the one there is; `None` when there is none and no text was given.
pub async fn put(work: &mut Work, call: CallId, change: TranscriptChange) -> Result<Option<Transcript>> {
    let (tenant, now) = (work.tenant, work.now);
    let segments = change.segments.map(serde_json::to_value).transpose().map_err(|_| corrupt(call))?;
    let row = sqlx::query!(
        "WITH changed AS (
             UPDATE transcripts SET language = CASE WHEN $4 THEN $5 ELSE language END,
                                    segments = COALESCE($6, segments), updated_at = $7
             WHERE tenant_id = $1 AND call_id = $2 AND $3::text IS NULL
             RETURNING text, language, segments, inserted_at, updated_at
         ), made AS (
             INSERT INTO transcripts AS t (tenant_id, call_id, text, language, segments, inserted_at, updated_at)
             SELECT $1, $2, $3, $5, COALESCE($6, '[]'), $7, $7 WHERE $3 IS NOT NULL
             ON CONFLICT (tenant_id, call_id) DO UPDATE
             SET text = excluded.text, language = CASE WHEN $4 THEN $5 ELSE t.language END,
                 segments = COALESCE($6, t.segments), updated_at = $7
             RETURNING text, language, segments, inserted_at, updated_at
         )
         SELECT text AS \"text!\", language, segments AS \"segments!\", inserted_at AS \"inserted_at!\",
                updated_at AS \"updated_at!\"
         FROM (SELECT * FROM changed UNION ALL SELECT * FROM made) put",
        tenant.0,
        call.0,
        change.text,
        change.language.is_some(),
        change.language.flatten(),
        segments,
        now.to_utc()
    )
    .fetch_optional(work.tx())
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Transcript {
        text: row.text,
        language: row.language,
        segments: segments_of(row.segments, call)?,
        inserted_at: row.inserted_at.into(),
        updated_at: row.updated_at.into(),
    }))
}

fn segments_of(value: serde_json::Value, call: CallId) -> Result<Vec<Segment>> {
    serde_json::from_value(value).map_err(|_| corrupt(call))
}

fn corrupt(call: CallId) -> StoreError {
    StoreError::Corrupt { table: "transcripts", column: "segments", row: call.to_string() }
}

/// The summary of a call.
pub async fn summary_of_call(store: &Store, tenant: TenantId, call: CallId) -> Result<Option<Summary>> {
    let mut tx = store.tenant_tx(tenant).await?;
    let row = sqlx::query!(
        "SELECT text, language, inserted_at, updated_at FROM summaries WHERE tenant_id = $1 AND call_id = $2",
        tenant.0,
        call.0
    )
    .fetch_optional(&mut *tx)
    .await?;
    Ok(row.map(|row| Summary {
        text: row.text,
        language: row.language,
        inserted_at: row.inserted_at.into(),
        updated_at: row.updated_at.into(),
    }))
}

/// Puts a summary, or changes the one there is; `None` when there is none and no text was given.
pub async fn put_summary(work: &mut Work, call: CallId, change: SummaryChange) -> Result<Option<Summary>> {
    let (tenant, now) = (work.tenant, work.now);
    let row = sqlx::query!(
        "WITH changed AS (
             UPDATE summaries SET language = CASE WHEN $4 THEN $5 ELSE language END, updated_at = $6
             WHERE tenant_id = $1 AND call_id = $2 AND $3::text IS NULL
             RETURNING text, language, inserted_at, updated_at
         ), made AS (
             INSERT INTO summaries AS s (tenant_id, call_id, text, language, inserted_at, updated_at)
             SELECT $1, $2, $3, $5, $6, $6 WHERE $3 IS NOT NULL
             ON CONFLICT (tenant_id, call_id) DO UPDATE
             SET text = excluded.text, language = CASE WHEN $4 THEN $5 ELSE s.language END, updated_at = $6
             RETURNING text, language, inserted_at, updated_at
         )
         SELECT text AS \"text!\", language, inserted_at AS \"inserted_at!\", updated_at AS \"updated_at!\"
         FROM (SELECT * FROM changed UNION ALL SELECT * FROM made) put",
        tenant.0,
        call.0,
        change.text,
        change.language.is_some(),
        change.language.flatten(),
        now.to_utc()
    )
    .fetch_optional(work.tx())
    .await?;
    Ok(row.map(|row| Summary {
        text: row.text,
        language: row.language,
        inserted_at: row.inserted_at.into(),
        updated_at: row.updated_at.into(),
    }))
}
