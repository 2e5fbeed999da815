//! What the tester sets up in a company before a run and takes back afterwards: no wrap-up for its agents, and
//! departments that nobody serves for its backlog.

use std::sync::Arc;

use anyhow::{Context, bail};
use hyper::Method;
use serde_json::{Map, Value, json};

use crate::client::http::{Rest, RestError};
use crate::target::{Link, Target, create_link};

/// The wrap-up of a department whose answer does not tell it.
const DEFAULT_WRAP_UP_SECONDS: u64 = 15;
/// Longest grace the server allows: a backlog must outlast the run.
const LONGEST_GRACE_SECONDS: u64 = 86_400;

/// A supervisor's session on the server under test.
#[derive(Debug)]
pub struct Supervisor {
    rest: Rest,
    access_token: String,
}

/// The wrap-ups before the run.
#[derive(Debug)]
pub struct WrapUps(Vec<(Arc<str>, u64)>);

impl Supervisor {
    /// # Errors
    /// When the target has no supervisor or the login fails.
    pub async fn login(rest: &Rest, target: &Target) -> anyhow::Result<Self> {
        let user = target.supervisor().context("the target has no supervisor or manager")?;
        let login =
            rest.login(&target.tenant, &user.email, &user.password).await.context("the supervisor cannot log in")?;
        Ok(Self { rest: rest.clone(), access_token: login.access_token })
    }

    #[must_use]
    pub fn access_token(&self) -> &str {
        &self.access_token
    }

    /// Sets the wrap-up of these departments to nothing, so that an agent is free at once after a call.
    ///
    /// # Errors
    /// As the server refuses.
    pub async fn drop_wrap_ups(&self, department_ids: &[Arc<str>]) -> anyhow::Result<WrapUps> {
        let mut before = Vec::new();
        for id in department_ids {
            let path = format!("/api/v1/departments/{id}");
            let department = self.rest.value(Method::GET, &path, &self.access_token, None).await?;
            let seconds = department["wrap_up_seconds"].as_u64().unwrap_or(DEFAULT_WRAP_UP_SECONDS);
            before.push((Arc::clone(id), seconds));
            self.update(id, &json!({ "wrap_up_seconds": 0 })).await?;
        }
        Ok(WrapUps(before))
    }

    /// Sets the wrap-ups as they were.
    ///
    /// # Errors
    /// As the server refuses.
    pub async fn restore_wrap_ups(&self, before: &WrapUps) -> anyhow::Result<()> {
        for (id, seconds) in &before.0 {
            self.update(id, &json!({ "wrap_up_seconds": seconds })).await?;
        }
        Ok(())
    }

    /// A department that nobody serves, with a reusable link, whose customers may stay for a day.
    ///
    /// # Errors
    /// As the server refuses.
    pub async fn create_unserved(&self, name: &str) -> anyhow::Result<Link> {
        let path = "/api/v1/departments";
        let body = json!({ "department": { "name": name } });
        let department = match self.rest.value(Method::POST, path, &self.access_token, Some(body)).await {
            // Voki's page shows no wrapper for departments; a server may take the fields bare.
            Err(RestError::Refused { status: 400 | 422, .. }) => {
                self.rest.value(Method::POST, path, &self.access_token, Some(json!({ "name": name }))).await
            }
            outcome => outcome,
        }
        .context("cannot make a department")?;
        let id: Arc<str> = department["id"].as_str().map(Arc::from).context("a department without an id")?;
        self.update(&id, &json!({ "max_queue_size": null, "reconnect_grace_seconds": LONGEST_GRACE_SECONDS })).await?;
        create_link(&self.rest, &self.access_token, &id).await
    }

    /// Lets customers who are away keep their places for a day, as a test that kills the server needs.
    ///
    /// # Errors
    /// As the server refuses.
    pub async fn lengthen_grace(&self, department_ids: &[Arc<str>]) -> anyhow::Result<()> {
        for id in department_ids {
            self.update(id, &json!({ "reconnect_grace_seconds": LONGEST_GRACE_SECONDS })).await?;
        }
        Ok(())
    }

    /// Puts a department that the tester made out of use.
    ///
    /// # Errors
    /// As the server refuses.
    pub async fn retire(&self, department_id: &str) -> anyhow::Result<()> {
        self.update(department_id, &json!({ "active": false })).await
    }

    /// A partial update that is checked in the answer, so that a wrapper the server ignores is noticed.
    async fn update(&self, id: &str, fields: &Value) -> anyhow::Result<()> {
        let path = format!("/api/v1/departments/{id}");
        let empty = Map::new();
        let wanted = fields.as_object().unwrap_or(&empty);
        for body in [json!({ "department": fields }), fields.clone()] {
            match self.rest.value(Method::PUT, &path, &self.access_token, Some(body)).await {
                Ok(department) if wanted.iter().all(|(field, value)| &department[field] == value) => return Ok(()),
                Ok(_) | Err(RestError::Refused { status: 400 | 422, .. }) => {}
                Err(error) => return Err(error).with_context(|| format!("cannot change department {id}")),
            }
        }
        bail!("the server did not take {fields} for department {id}")
    }
}
