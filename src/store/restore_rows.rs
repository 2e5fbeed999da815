//! Owns turning stored rows of the record back into the snapshots they were written from (`record_columns` is the other
//! direction). A word that is none of ours is an error that names the row; nothing is guessed.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::calls::corrupt_call;
use super::restore::AgentRow;
use super::{Result, StoreError};
use crate::domain::agent::{AgentSnapshot, AgentStatus, Held, HeldCause, Intent};
use crate::domain::call::{CallSnapshot, Caller, EndReason, Phase, WaitEstimate, ranked_at};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{CallId, CustomerId, DepartmentId, GrantId, LinkId, UserId};

/// The columns of `calls` that the core owns, with the agent's name.
pub(super) struct SnapshotRow {
    pub id: Uuid,
    pub number: i64,
    pub department_id: Uuid,
    pub link_id: Option<Uuid>,
    pub customer_id: Uuid,
    pub customer_name: String,
    pub customer_email: Option<String>,
    pub customer_phone: Option<String>,
    pub reason: Option<String>,
    pub priority: i16,
    pub requirements: Vec<String>,
    pub join_key: Option<String>,
    pub inserted_at: DateTime<Utc>,
    pub phase: String,
    pub end_reason: Option<String>,
    pub user_id: Option<Uuid>,
    pub user_name: Option<String>,
    pub grant_id: Option<Uuid>,
    pub assigned_at: Option<DateTime<Utc>>,
    pub accepted_at: Option<DateTime<Utc>>,
    pub started_at: Option<DateTime<Utc>>,
    pub completed_at: Option<DateTime<Utc>>,
    pub wrap_up_ends_at: Option<DateTime<Utc>>,
    pub exclusions: Option<Value>,
    pub last_offer: Option<Value>,
    pub ranked_at: Option<DateTime<Utc>>,
    pub transfer: Option<Value>,
    pub connected: bool,
    pub service_level_seconds: i32,
    pub estimated_wait_seconds: Option<i32>,
    pub estimated_wait_p90_seconds: Option<i32>,
    pub updated_at: DateTime<Utc>,
    pub version: i64,
}

impl TryFrom<SnapshotRow> for CallSnapshot {
    type Error = StoreError;

    fn try_from(row: SnapshotRow) -> Result<Self> {
        let corrupt = |column| corrupt_call(column, row.id);
        let priority = u8::try_from(row.priority).map_err(|_| corrupt("priority"))?;
        let joined_at = Timestamp::from(row.inserted_at);
        Ok(Self {
            // A call from before ranks were stored ranks by its join.
            ranked_at: row.ranked_at.map_or_else(|| ranked_at(joined_at, None, priority), Timestamp::from),
            transfer: json(row.transfer).map_err(|_| corrupt("transfer"))?,
            phase: Phase::parse(&row.phase).ok_or_else(|| corrupt("phase"))?,
            end_reason: match &row.end_reason {
                Some(word) => Some(EndReason::parse(word).ok_or_else(|| corrupt("end_reason"))?),
                None => None,
            },
            priority,
            exclusions: json(row.exclusions).map_err(|_| corrupt("exclusions"))?.unwrap_or_default(),
            last_offer: json(row.last_offer).map_err(|_| corrupt("last_offer"))?,
            id: CallId(row.id),
            number: row.number,
            department_id: DepartmentId(row.department_id),
            link_id: row.link_id.map(LinkId),
            caller: Arc::new(Caller {
                customer_id: CustomerId(row.customer_id),
                name: row.customer_name.into(),
                email: row.customer_email.map(Arc::from),
                phone: row.customer_phone.map(Arc::from),
                reason: row.reason.map(Arc::from),
            }),
            requirements: row.requirements.into_iter().map(Arc::from).collect(),
            join_key: row.join_key.map(Arc::from),
            joined_at,
            user_id: row.user_id.map(UserId),
            user_name: row.user_name.map(Arc::from),
            grant_id: row.grant_id.map(GrantId),
            assigned_at: row.assigned_at.map(Timestamp::from),
            accepted_at: row.accepted_at.map(Timestamp::from),
            started_at: row.started_at.map(Timestamp::from),
            ended_at: row.completed_at.map(Timestamp::from),
            wrap_up_ends_at: row.wrap_up_ends_at.map(Timestamp::from),
            connected: row.connected,
            service_level_seconds: row.service_level_seconds.unsigned_abs(),
            estimate: WaitEstimate {
                p50_seconds: row.estimated_wait_seconds.map(|seconds| u64::from(seconds.unsigned_abs())),
                p90_seconds: row.estimated_wait_p90_seconds.map(|seconds| u64::from(seconds.unsigned_abs())),
            },
            version: row.version,
            changed_at: row.updated_at.into(),
        })
    }
}

/// A user with his memberships and, when he ever had a status, his row of `agents`.
pub(super) struct StoredAgent {
    pub id: Uuid,
    pub name: String,
    pub role: String,
    pub active: bool,
    pub capacity: i16,
    pub skills: Vec<String>,
    pub department_ids: Vec<Uuid>,
    pub status: Option<String>,
    pub pause_reason: Option<String>,
    pub status_since: Option<DateTime<Utc>>,
    pub after_call_status: Option<String>,
    pub after_call_reason: Option<String>,
    pub held_cause: Option<String>,
    pub held_since: Option<DateTime<Utc>>,
    pub misses: Option<i16>,
    pub leased: Option<bool>,
    pub wrap_ups: Option<Value>,
    pub idle: Option<Value>,
    pub rotation: Option<i64>,
    pub calls_today: Option<i32>,
    pub updated_at: Option<DateTime<Utc>>,
    pub version: Option<i64>,
}

impl TryFrom<StoredAgent> for AgentRow {
    type Error = StoreError;

    fn try_from(mut row: StoredAgent) -> Result<Self> {
        let snapshot = snapshot(&mut row)?;
        let corrupt = |column| StoreError::Corrupt { table: "users", column, row: row.id.to_string() };
        Ok(Self {
            role: row.role.parse().map_err(|_| corrupt("role"))?,
            capacity: u8::try_from(row.capacity).map_err(|_| corrupt("capacity"))?,
            user_id: UserId(row.id),
            name: row.name,
            active: row.active,
            skills: row.skills,
            department_ids: row.department_ids.into_iter().map(DepartmentId).collect(),
            snapshot,
            running: Vec::new(),
            recent_wrap_ups: Vec::new(),
        })
    }
}

fn snapshot(row: &mut StoredAgent) -> Result<Option<AgentSnapshot>> {
    let user = row.id;
    let corrupt = |column| StoreError::Corrupt { table: "agents", column, row: user.to_string() };
    let (
        Some(word),
        Some(intent_since),
        Some(misses),
        Some(rotation),
        Some(calls_today),
        Some(updated_at),
        Some(version),
    ) = (row.status.take(), row.status_since, row.misses, row.rotation, row.calls_today, row.updated_at, row.version)
    else {
        return Ok(None);
    };
    let status = |word: &str, column| AgentStatus::parse(word).ok_or_else(|| corrupt(column));
    Ok(Some(AgentSnapshot {
        user_id: UserId(user),
        intent: Intent { status: status(&word, "status")?, reason: row.pause_reason.take().map(Arc::from) },
        intent_since: intent_since.into(),
        after_call: match &row.after_call_status {
            Some(word) => Some(Intent {
                status: status(word, "after_call_status")?,
                reason: row.after_call_reason.take().map(Arc::from),
            }),
            None => None,
        },
        held: match (&row.held_cause, row.held_since) {
            (Some(word), Some(since)) => {
                Some(Held { cause: HeldCause::parse(word).ok_or_else(|| corrupt("held_cause"))?, since: since.into() })
            }
            _ => None,
        },
        leased: row.leased.unwrap_or(false),
        misses: u8::try_from(misses).map_err(|_| corrupt("misses"))?,
        wrap_ups: json(row.wrap_ups.take()).map_err(|_| corrupt("wrap_ups"))?.unwrap_or_default(),
        idle: json(row.idle.take()).ok().flatten().ok_or_else(|| corrupt("idle"))?,
        rotation,
        calls_today,
        version,
        changed_at: updated_at.into(),
    }))
}

fn json<T: DeserializeOwned>(value: Option<Value>) -> serde_json::Result<Option<T>> {
    value.map(serde_json::from_value).transpose()
}
