//! Which server to test, and with whose credentials: read from `demo.json`, or asked of the server itself.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::http::Rest;

/// A person who can log in.
#[derive(Debug, Clone, Deserialize)]
pub struct User {
    pub id: String,
    pub email: String,
    pub password: String,
    /// `attendant`, `supervisor` or `manager`.
    pub role: String,
    pub name: String,
    #[serde(default)]
    pub department_ids: Vec<Arc<str>>,
}

/// A reusable access link.
#[derive(Debug, Clone, Deserialize)]
pub struct Link {
    pub token: String,
    pub department_id: Arc<str>,
}

/// What `vez demo` writes, as far as the tester reads it.
#[derive(Debug, Clone, Deserialize)]
pub struct Target {
    pub base_url: String,
    pub tenant: String,
    pub users: Vec<User>,
    /// One reusable link a department.
    pub links: Vec<Link>,
}

impl Target {
    /// Reads `demo.json`.
    ///
    /// # Errors
    /// When the file is missing or of another shape.
    pub fn from_demo(path: &Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read(path).with_context(|| format!("cannot read {} (is `vez demo` running?)", path.display()))?;
        let target: Self =
            serde_json::from_slice(&text).with_context(|| format!("{} is not a demo.json", path.display()))?;
        if target.links.is_empty() {
            bail!("{} has no links, so no customer could join", path.display());
        }
        Ok(target)
    }

    /// Asks a server: a supervisor's login finds departments and links, and makes a link where there is none.
    /// `agents` are `(email, password)` of attendants.
    ///
    /// # Errors
    /// When a login fails or there is no department.
    pub async fn from_server(
        base_url: &str,
        tenant: &str,
        supervisor: (&str, &str),
        agents: &[(String, String)],
    ) -> anyhow::Result<Self> {
        let rest = Rest::new(base_url)?;
        let login = rest.login(tenant, supervisor.0, supervisor.1).await.context("the supervisor cannot log in")?;
        let mut users = vec![User {
            id: login.user.id.clone(),
            email: supervisor.0.to_owned(),
            password: supervisor.1.to_owned(),
            role: login.user.role,
            name: "Supervisor".to_owned(),
            department_ids: Vec::new(),
        }];
        let mut served: BTreeMap<Arc<str>, ()> = BTreeMap::new();
        for (email, password) in agents {
            let agent = rest.login(tenant, email, password).await.with_context(|| format!("{email} cannot log in"))?;
            let me = rest.value(Method::GET, "/api/v1/users/me", &agent.access_token, None).await?;
            let department_ids: Vec<Arc<str>> = me["departments"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|department| department["id"].as_str().map(Arc::from))
                .collect();
            served.extend(department_ids.iter().map(|id| (Arc::clone(id), ())));
            users.push(User {
                id: agent.user.id,
                email: email.clone(),
                password: password.clone(),
                role: agent.user.role,
                name: me["name"].as_str().unwrap_or(email).to_owned(),
                department_ids,
            });
        }
        let mut links = Vec::new();
        for department_id in served.into_keys() {
            links.push(create_link(&rest, &login.access_token, &department_id).await?);
        }
        if links.is_empty() {
            bail!("no agent has a department; give --agent EMAIL:PASSWORD of attendants who have one");
        }
        Ok(Self { base_url: base_url.to_owned(), tenant: tenant.to_owned(), users, links })
    }

    /// The attendants, who will be the agents.
    #[must_use]
    pub fn attendants(&self) -> Vec<User> {
        self.users.iter().filter(|user| user.role == "attendant" && !user.department_ids.is_empty()).cloned().collect()
    }

    /// Somebody who may change departments and see every call.
    #[must_use]
    pub fn supervisor(&self) -> Option<&User> {
        self.users.iter().find(|user| user.role == "supervisor" || user.role == "manager")
    }
}

/// Makes a reusable link to a department.
///
/// # Errors
/// As the server refuses.
pub async fn create_link(rest: &Rest, access_token: &str, department_id: &Arc<str>) -> anyhow::Result<Link> {
    let fields = json!({ "department_id": department_id, "single_use": false });
    let body = json!({ "access_link": fields });
    let link = rest
        .value(Method::POST, "/api/v1/access-links", access_token, Some(body))
        .await
        .context("cannot make an access link")?;
    let token = link.get("token").and_then(Value::as_str).context("an access link without a token")?;
    Ok(Link { token: token.to_owned(), department_id: Arc::clone(department_id) })
}
