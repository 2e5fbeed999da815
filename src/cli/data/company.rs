//! The company that `vez data generate` fills: itself, its departments, its people.
//!
//! Owns: making whatever of them is missing. Must not: change or remove what is there.

use anyhow::{Context as _, bail};
use chrono::NaiveDate;

use super::{AGENTS_MAX, Generate};
use crate::auth::Passwords;
use crate::cli::commands::check_slug;
use crate::cli::generate::{self, Desk, Worker};
use crate::domain::clock::Clock;
use crate::domain::ids::{IdSource, TenantId, UserId};
use crate::domain::role::Role;
use crate::store::{Page, Sort, Store, departments, links, tenants, users};

/// Departments made when the company has none.
const DEPARTMENTS: usize = 4;
/// Rows read at once.
const PAGE_ROWS: u32 = 100;
/// Random bytes of the password and of the departments' links.
const SECRET_BYTES: usize = 16;
/// Every so many agents also serve the next department.
const SERVES_TWO: usize = 4;
const NAMES: [&str; 8] =
    ["Suporte Técnico", "Vendas", "Plantão", "Financeiro", "Cancelamentos", "Agendamentos", "Ouvidoria", "Corporativo"];

/// The company and its zone; made unless it is there.
pub(super) async fn find_or_make(
    store: &Store,
    clock: &Clock,
    command: &Generate,
) -> anyhow::Result<(TenantId, chrono_tz::Tz)> {
    if let Some(tenant) = tenants::by_slug(store, &command.tenant).await? {
        return Ok((tenant.id, tenant.time_zone));
    }
    let time_zone = command.zone.parse().ok().context("--zone takes an IANA name such as America/Sao_Paulo")?;
    check_slug(&command.tenant)?;
    let now = clock.now();
    let new = tenants::NewTenant {
        id: IdSource::random().next(now),
        slug: command.tenant.clone(),
        name: "Empresa Gerada Ltda".to_owned(),
        plan: tenants::Plan::Enterprise,
        time_zone,
    };
    let tenant = tenants::create(store, new, now).await?;
    Ok((tenant.id, time_zone))
}

/// The company that is filled.
pub(super) struct Filled<'a> {
    pub store: &'a Store,
    pub clock: &'a Clock,
    /// Seeded: what is made anew gets the same ids every time.
    pub ids: &'a IdSource,
    /// Never seeded.
    pub secrets: &'a IdSource,
    pub tenant: TenantId,
    pub command: &'a Generate,
}

/// Who takes part.
pub(super) struct Staff {
    pub agents: Vec<Worker>,
    pub supervisor: Option<UserId>,
    /// The manager's address and password, when somebody was made.
    pub login: Option<(String, String)>,
}

impl Filled<'_> {
    /// The departments that are served: those there are, and as many more as are wanted.
    pub async fn desks(&self) -> anyhow::Result<Vec<Desk>> {
        let Self { store, ids, tenant, command, .. } = *self;
        let now = self.clock.now();
        let page = Page::new(1, PAGE_ROWS);
        let mut found = departments::list(store, tenant, None, Some(true), Sort::default(), page).await?.items;
        found.sort_by_key(|department| department.number);
        let wanted =
            command.departments.map_or(if found.is_empty() { DEPARTMENTS } else { found.len() }, |k| k as usize);
        found.truncate(wanted);
        let mut desks = Vec::new();
        for place in 0..wanted {
            let mut work = store.work(tenant, now, None).await?;
            let department = match found.get(place) {
                Some(department) => department.clone(),
                None => {
                    let name =
                        NAMES.get(place).map_or_else(|| format!("Setor {}", place + 1), |name| (*name).to_owned());
                    let change = departments::DepartmentChange {
                        name: Some(name),
                        // The largest lets nobody wait for ever.
                        max_wait_time: (place == 0).then_some(Some(900)),
                        wrap_up_seconds: Some([15, 30, 20, 45][place % 4]),
                        ..Default::default()
                    };
                    departments::create(&mut work, ids.next(now), change).await?
                }
            };
            let link = links::NewLink::new(ids.next(now), self.secrets.secret(SECRET_BYTES), department.id);
            let link = links::create(&mut work, &[link]).await?.first().map(|link| link.id);
            work.commit().await?;
            desks.push(Desk {
                department: department.id,
                opening: generate::opening(place),
                share: generate::share(place),
                link,
                max_wait_seconds: department.max_wait_time,
                offer_timeout_seconds: department.offer_timeout_seconds,
                wrap_up_seconds: department.wrap_up_seconds,
                grace_seconds: department.reconnect_grace_seconds,
                service_level_seconds: department.service_level_seconds,
            });
        }
        Ok(desks)
    }

    /// The agents there are, and as many more as are wanted; a manager and a supervisor for who looks at it all.
    pub async fn staff(&self, desks: &[Desk], first_day: NaiveDate) -> anyhow::Result<Staff> {
        let Self { store, ids, tenant, command, .. } = *self;
        let now = self.clock.now();
        let needed = generate::agents_needed(desks, command.calls, first_day, command.days);
        let sum: usize = needed.iter().sum();
        let wanted: Vec<usize> = match command.agents.map(|agents| agents as usize) {
            None if sum > AGENTS_MAX => {
                bail!("these calls need {sum} agents; spread them over more days, or give --agents")
            }
            None => needed,
            Some(agents) if agents < desks.len() => {
                bail!("every department needs an agent: --agents {} or more", desks.len())
            }
            Some(agents) => {
                // One each, the others where they are needed most.
                let weights: Vec<f64> = needed.iter().map(|needed| *needed as f64).collect();
                let spare = (agents - desks.len()) as u64;
                generate::calendar::divide(spare, &weights).iter().map(|part| *part as usize + 1).collect()
            }
        };
        let mut agents = Vec::new();
        let mut missing = Vec::new();
        for (place, desk) in desks.iter().enumerate() {
            let mut here = Vec::new();
            for number in 1.. {
                let page = Page::new(number, PAGE_ROWS);
                let rows = departments::users(store, tenant, desk.department, page).await?;
                let rows = rows.map_or_else(Vec::new, |page| page.items);
                let last = rows.len() < PAGE_ROWS as usize;
                here.extend(
                    rows.into_iter().filter(|user| user.active && user.role == Role::Attendant).map(|user| user.id),
                );
                if last {
                    break;
                }
            }
            // Whoever took part in what is there already cannot have been in two places at once.
            here.retain(|user| !command.append && agents.iter().all(|worker: &Worker| worker.user != *user));
            here.sort_unstable();
            here.truncate(wanted[place]);
            missing.extend(std::iter::repeat_n(place, wanted[place] - here.len()));
            agents.extend(here.into_iter().map(|user| Worker { user, desks: vec![place] }));
        }
        let everybody =
            users::list(store, tenant, &users::UserFilter::default(), Sort::default(), Page::new(1, PAGE_ROWS)).await?;
        let mut supervisor = everybody.items.iter().find(|user| user.role == Role::Supervisor).map(|user| user.id);
        if missing.is_empty() {
            return Ok(Staff { agents, supervisor, login: None });
        }
        let password = self.secrets.secret(SECRET_BYTES);
        // One slow hash serves them all.
        let hash = Passwords::new(self.secrets.clone(), None)?.hash(password.clone()).await?;
        let made_before = everybody.total_count;
        let new_user = |name: String, email: String, role: Role| users::NewUser {
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
        let domain = format!("{}.example", command.tenant);
        let manager = format!("manager{made_before}@{domain}");
        let mut work = store.work(tenant, now, None).await?;
        users::create(&mut work, new_user("Gerente".into(), manager.clone(), Role::Manager)).await?;
        if supervisor.is_none() {
            let new = new_user("Supervisão".into(), format!("supervisor{made_before}@{domain}"), Role::Supervisor);
            supervisor = Some(users::create(&mut work, new).await?.id);
        }
        for (index, place) in missing.into_iter().enumerate() {
            let number = made_before as usize + index + 1;
            let new = new_user(format!("Atendente {number:03}"), format!("agent{number}@{domain}"), Role::Attendant);
            let user = users::create(&mut work, new).await?.id;
            let mut serves = vec![place];
            if index % SERVES_TWO == SERVES_TWO - 1 && desks.len() > 1 {
                serves.push((place + 1) % desks.len());
            }
            for desk in &serves {
                departments::add_user(&mut work, desks[*desk].department, user).await?;
            }
            agents.push(Worker { user, desks: serves });
        }
        work.commit().await?;
        Ok(Staff { agents, supervisor, login: Some((manager, password)) })
    }
}
