//! The demonstration company: made once, told on every start.
//!
//! Owns: its people, departments and links, `demo.json`, and the text that says what to open.
//! Must not: give the demonstration anything a real company could not have.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

use crate::app::App;
use crate::auth::sha256_hex;
use crate::domain::ids::{DepartmentId, TenantId, UserId};
use crate::domain::role::Role;
use crate::store::{Page, Sort, departments, links, tenants, users};

/// The company's slug.
const SLUG: &str = "demo";
const DEPARTMENTS: [&str; 3] = ["Suporte Técnico", "Vendas", "Financeiro"];
/// Names of the first attendants; further ones are numbered.
const NAMES: [&str; 6] = ["Ana Souza", "Bruno Lima", "Carla Mendes", "Diego Rocha", "Elisa Prado", "Fábio Nunes"];
/// Rows read at once.
const PAGE: u32 = 100;

/// What scripts read: `demo.json` in the data folder.
#[derive(Debug, Serialize)]
struct DemoFile {
    base_url: String,
    tenant: &'static str,
    users: Vec<DemoUser>,
    departments: Vec<DemoDepartment>,
    links: Vec<DemoLink>,
}

#[derive(Debug, Serialize)]
struct DemoUser {
    id: UserId,
    email: String,
    password: String,
    role: Role,
    name: String,
    department_ids: Vec<DepartmentId>,
}

#[derive(Debug, Serialize)]
struct DemoDepartment {
    id: DepartmentId,
    name: String,
}

#[derive(Debug, Serialize)]
struct DemoLink {
    token: String,
    department_id: DepartmentId,
    url: String,
}

/// Makes the company if it is not there, writes `demo.json`, and says what to open.
pub async fn seed(app: &App, agents: u32, data_dir: &Path, public_url: Option<&str>) -> anyhow::Result<String> {
    let base_url =
        public_url.map_or_else(|| format!("http://{}", reachable(app)), |url| url.trim_end_matches('/').into());
    // Derived, so that it need not be stored: the same on every start, unknown to anyone without the data folder.
    let password = format!("vez-{}", &sha256_hex(&[app.secret(), b"demo"])[..12]);
    let tenant = match tenants::by_slug(app.store(), SLUG).await? {
        Some(tenant) => tenant.id,
        None => make(app, agents, &password).await.context("cannot make the demonstration company")?,
    };
    let file = read(app, tenant, &base_url, &password).await?;
    write(data_dir, &file).context("cannot write demo.json")?;
    Ok(text(&file, &password))
}

/// An address that a browser on this machine can open.
fn reachable(app: &App) -> String {
    if app.addr.ip().is_unspecified() { format!("127.0.0.1:{}", app.addr.port()) } else { app.addr.to_string() }
}

async fn make(app: &App, agents: u32, password: &str) -> anyhow::Result<TenantId> {
    let (store, ids) = (app.store(), app.ids());
    let now = app.clock().now();
    let tenant: TenantId = ids.next(now);
    // One slow hash serves them all: they share the password.
    let hash = app.passwords().hash(password.to_owned()).await?;
    let new = tenants::NewTenant {
        id: tenant,
        slug: SLUG.to_owned(),
        name: "Demonstração Ltda".to_owned(),
        plan: tenants::Plan::Enterprise,
        time_zone: chrono_tz::America::Sao_Paulo,
    };
    tenants::create(store, new, now).await?;
    let mut made = Vec::new();
    for name in DEPARTMENTS {
        let change = departments::DepartmentChange { name: Some(name.to_owned()), ..Default::default() };
        let mut work = store.work(tenant, now, None).await?;
        let department = departments::create(&mut work, ids.next(now), change).await?;
        let link = links::NewLink::new(ids.next(now), ids.secret(16), department.id);
        links::create(&mut work, &[link]).await?;
        work.commit().await?;
        made.push(department.id);
    }
    let user = |name: String, email: String, role: Role| users::NewUser {
        id: ids.next(now),
        name,
        email,
        password_hash: hash.clone(),
        role,
        locale: None,
        capacity: 1,
        skills: Vec::new(),
        active: true,
        avatar_url: None,
    };
    let mut work = store.work(tenant, now, None).await?;
    users::create(&mut work, user("Marina Alves".into(), "manager@demo.example".into(), Role::Manager)).await?;
    let supervisor = user("Sérgio Dias".into(), "supervisor@demo.example".into(), Role::Supervisor);
    users::create(&mut work, supervisor).await?;
    for index in 0..agents as usize {
        let name = NAMES.get(index).map_or_else(|| format!("Atendente {}", index + 1), |name| (*name).to_owned());
        let email = format!("agent{}@demo.example", index + 1);
        let agent = users::create(&mut work, user(name, email, Role::Attendant)).await?;
        departments::add_user(&mut work, made[index % made.len()], agent.id).await?;
    }
    work.commit().await?;
    Ok(tenant)
}

async fn read(app: &App, tenant: TenantId, base_url: &str, password: &str) -> anyhow::Result<DemoFile> {
    let store = app.store();
    let mut people = Vec::new();
    for number in 1.. {
        let page = Page::new(number, PAGE);
        let rows = users::list(store, tenant, &users::UserFilter::default(), Sort::default(), page).await?.items;
        let last = rows.len() < PAGE as usize;
        for user in rows {
            let serves = users::departments_of(store, tenant, user.id).await?;
            people.push(DemoUser {
                id: user.id,
                email: user.email,
                password: password.to_owned(),
                role: user.role,
                name: user.name,
                department_ids: serves.into_iter().map(|(id, _)| id).collect(),
            });
        }
        if last {
            break;
        }
    }
    let page = Page::new(1, PAGE);
    let named = departments::list(store, tenant, None, None, Sort::default(), page).await?.items;
    let open = links::LinkFilter { status: Some(links::LinkStatus::Active), ..Default::default() };
    let links = links::list(store, tenant, &open, Sort::default(), page, app.clock().now()).await?.items;
    Ok(DemoFile {
        base_url: base_url.to_owned(),
        tenant: SLUG,
        users: people,
        departments: named.into_iter().map(|d| DemoDepartment { id: d.id, name: d.name }).collect(),
        links: links
            .into_iter()
            .filter(|link| !link.single_use)
            .map(|link| DemoLink {
                url: format!("{base_url}/call/{}", link.token),
                token: link.token,
                department_id: link.department_id,
            })
            .collect(),
    })
}

/// Written aside and renamed, so that a script never reads half of it; readable by this user alone.
fn write(data_dir: &Path, file: &DemoFile) -> anyhow::Result<()> {
    std::fs::create_dir_all(data_dir)?;
    let aside = data_dir.join("demo.json.new");
    let mut out = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    out.write_all(&serde_json::to_vec_pretty(file)?)?;
    std::fs::rename(&aside, data_dir.join("demo.json"))?;
    Ok(())
}

fn text(file: &DemoFile, password: &str) -> String {
    let mut lines = vec![
        String::new(),
        format!("Vez is serving the demonstration company at {}", file.base_url),
        String::new(),
        format!("  Everybody's password: {password}"),
    ];
    let first = |role: Role| file.users.iter().find(|user| user.role == role);
    for role in [Role::Manager, Role::Supervisor, Role::Attendant] {
        if let Some(user) = first(role) {
            lines.push(format!("  {role:<10}  {}", user.email));
        }
    }
    let agents = file.users.iter().filter(|user| user.role == Role::Attendant).count();
    lines.push(format!("  ({agents} attendants in {} departments; all in demo.json)", file.departments.len()));
    lines.push(String::new());
    lines.push("  Take a place in line:".to_owned());
    for link in &file.links {
        let name = file.departments.iter().find(|d| d.id == link.department_id).map_or("", |d| d.name.as_str());
        lines.push(format!(
            "    curl -s -X POST {}/api/v1/call/{}/join -H 'Content-Type: application/json' -d '{{\"name\":\"Maria\"}}'   # {name}",
            file.base_url, link.token
        ));
    }
    lines.push(String::new());
    lines.push("  The line of every department as it changes, metrics, health: README.md. Ctrl-C stops.".to_owned());
    lines.join("\n")
}
