//! What each command does.
//!
//! Owns: one function for each command, which builds what it needs and says on the standard output what it did.
//! Must not: hold rules; those live in the layers above.

use std::io::Write as _;

use anyhow::{Context as _, bail};

use super::{
    Cli, Command, Demo, Migrate, Serve, TenantCommand, TenantCreate, TenantPlan, TenantShow, UserCommand, UserCreate,
    data, demo, export, report, token,
};
use crate::app::{App, OWNED_WITHIN, Parts};
use crate::auth::{Passwords, hash_worker, passwords};
use crate::config;
use crate::domain::clock::Clock;
use crate::domain::ids::{DepartmentId, IdSource, TenantId, UserId};
use crate::domain::plan::Plan;
use crate::shutdown::Shutdown;
use crate::store::{
    ConnectOptions, Page, Sort, Store, StoreError, departments, migrate_unserved, plans, tenants, users,
};

/// How long stopping may take in all before the process ends anyway (the promise at SIGTERM is ten seconds).
const STOP_WITHIN: std::time::Duration = std::time::Duration::from_secs(9);
/// Random bytes of a made password.
const PASSWORD_BYTES: usize = 12;

/// Does what was asked.
pub async fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Command::Serve(serve) => serve_until_stopped(serve).await,
        Command::Demo(demo) => serve_demo(demo).await,
        Command::Migrate(migrate) => bring_up_to_date(migrate).await,
        Command::Tenant(TenantCommand::Create(tenant)) => create_tenant(tenant).await,
        Command::Tenant(TenantCommand::Plan(plan)) => set_plan(plan).await,
        Command::Tenant(TenantCommand::Show(show)) => show_tenant(show).await,
        Command::User(UserCommand::Create(user)) => create_user(user).await,
        Command::Token(command) => token::run(command).await,
        Command::Report(command) => report::run(command).await,
        Command::HashPasswords => Ok(hash_worker::serve()?),
        Command::Data(command) => data::run(command).await,
        Command::Export(command) => export::run(command).await,
    }
}

/// Says something on the standard output; whoever closed it is not served any less.
pub(super) fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Serves until SIGTERM or Ctrl-C.
async fn serve_until_stopped(serve: Serve) -> anyhow::Result<()> {
    let shutdown = Shutdown::new();
    shutdown.on_signals()?;
    let app = App::start(serve.config, Parts::real()).await?;
    say(&format!("Vez listens on http://{}", app.addr));
    until_stopped(app, &shutdown).await
}

/// Makes the demonstration company once, writes `demo.json`, prints what to open, serves.
async fn serve_demo(demo: Demo) -> anyhow::Result<()> {
    let shutdown = Shutdown::new();
    shutdown.on_signals()?;
    let data_dir = demo.config.database.data_dir.clone();
    let public_url = demo.config.server.public_url.clone();
    let app = App::start(demo.config, Parts::real()).await?;
    let seeded = demo::seed(&app, demo.agents, &data_dir, public_url.as_deref()).await;
    match seeded {
        Ok(text) => say(&text),
        Err(error) => {
            app.shutdown().await;
            return Err(error);
        }
    }
    until_stopped(app, &shutdown).await
}

async fn until_stopped(app: App, shutdown: &Shutdown) -> anyhow::Result<()> {
    let fenced = tokio::select! {
        () = shutdown.soft().cancelled() => false,
        () = app.fenced() => true,
    };
    tokio::select! {
        stopped = tokio::time::timeout(STOP_WITHIN, app.shutdown()) => {
            if stopped.is_err() {
                bail!("stopping took longer than {} s; what was acknowledged is in the record", STOP_WITHIN.as_secs());
            }
        }
        () = shutdown.hard().cancelled() => bail!("stopped at once, as asked by the second signal"),
    }
    if fenced {
        bail!("another process has taken the database; this one wrote nothing since");
    }
    Ok(())
}

/// Applies migrations and exits.
async fn bring_up_to_date(command: Migrate) -> anyhow::Result<()> {
    let (embedded, options) = crate::app::connect(&command.database).await?;
    let done = migrate_unserved(&options, OWNED_WITHIN).await.context("cannot bring the database up to date");
    if let Some(embedded) = embedded {
        embedded.stop().await;
    }
    done?;
    say("The database is up to date.");
    Ok(())
}

/// Refuses a data folder without a database: for a command that asks for something, a folder that was mistyped is no reason to
/// make one.
pub(super) fn must_exist(config: &config::Database) -> anyhow::Result<()> {
    if config.connection_url().is_none() && !config.data_dir.join("postgres").join("PG_VERSION").is_file() {
        bail!(
            "there is no database in {}: name its folder with --data-dir, or DATABASE_URL",
            config.data_dir.display()
        );
    }
    Ok(())
}

/// Opens a database that is there, does `work` on its store, closes it.
pub(super) async fn on_store<T>(
    config: &config::Database,
    work: impl AsyncFnOnce(&Store, &Clock, &IdSource) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    must_exist(config)?;
    on_database(config, async |store: &Store, _, clock: &Clock, ids: &IdSource| work(store, clock, ids).await).await
}

/// As `on_store`, for work that needs connections of its own; makes the database if it is not there.
pub(super) async fn on_database<T>(
    config: &config::Database,
    work: impl AsyncFnOnce(&Store, ConnectOptions, &Clock, &IdSource) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let (clock, ids) = (Clock::system(), IdSource::random());
    let (embedded, options) = crate::app::connect(config).await?;
    let done = async {
        migrate_unserved(&options, OWNED_WITHIN).await.context("cannot bring the database up to date")?;
        let store = Store::connect(options.clone(), 2, 1).await?;
        let done = work(&store, options, &clock, &ids).await;
        store.close().await;
        done
    };
    let done = done.await;
    if let Some(embedded) = embedded {
        embedded.stop().await;
    }
    done
}

/// Refuses what is no slug.
pub(super) fn check_slug(slug: &str) -> anyhow::Result<()> {
    let well_formed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if slug.is_empty() || slug.len() > 63 || !slug.chars().all(well_formed) {
        bail!("a company's slug takes 1 to 63 lower-case letters, digits and hyphens");
    }
    Ok(())
}

/// Makes a company.
async fn create_tenant(command: TenantCreate) -> anyhow::Result<()> {
    check_slug(&command.slug)?;
    let plan = plan_of(&command.plan)?;
    let time_zone: chrono_tz::Tz =
        command.zone.parse().ok().context("--zone takes an IANA name such as America/Sao_Paulo")?;
    let slug = command.slug.clone();
    let tenant = on_database(&command.database, async |store: &Store, _, clock: &Clock, ids: &IdSource| {
        let now = clock.now();
        let new = tenants::NewTenant { id: ids.next(now), slug: command.slug, name: command.name, plan, time_zone };
        Ok(tenants::create(store, new, now).await)
    })
    .await?;
    match tenant {
        Ok(tenant) => {
            say(&format!("Made the company {:?} ({}).", tenant.slug, tenant.id));
            Ok(())
        }
        Err(StoreError::Conflict { .. }) => bail!("there is a company {slug:?} already"),
        Err(error) => Err(error.into()),
    }
}

/// Puts a company on another plan.
async fn set_plan(command: TenantPlan) -> anyhow::Result<()> {
    let plan = plan_of(&command.plan)?;
    let name = on_store(&command.database, async |store, clock, _| {
        let tenant = company(store, &command.slug).await?;
        let mut work = store.work(tenant.id, clock.now(), None).await?;
        plans::lock(&mut work).await?;
        plans::set(&mut work, plan).await?;
        work.commit().await?;
        Ok(tenant.name)
    })
    .await?;
    say(&format!("{name:?} is on the {plan} plan. A running server obeys it within some seconds."));
    Ok(())
}

/// Says what a company is on and what it uses.
async fn show_tenant(command: TenantShow) -> anyhow::Result<()> {
    let (tenant, usage) = on_store(&command.database, async |store, clock, _| {
        let tenant = company(store, &command.slug).await?;
        let (start, _) = crate::http::routes::billing::month(clock.now(), tenant.time_zone);
        let usage = plans::usage(store, tenant.id, start).await?;
        Ok((tenant, usage))
    })
    .await?;
    let limits = tenant.plan.limits();
    let of = |most: Option<u32>| most.map_or_else(|| "no limit".to_owned(), |most| format!("at most {most}"));
    say(&format!(
        "{} ({}), {}\nplan: {}\nconcurrent calls: {}\nactive users: {}, {}\nactive departments: {}, {}\n\
         calls this month: {}",
        tenant.name,
        tenant.slug,
        tenant.id,
        tenant.plan,
        of(tenant.max_concurrent_calls),
        usage.active_users,
        of(limits.users),
        usage.active_departments,
        of(limits.departments),
        usage.calls_this_month,
    ));
    Ok(())
}

fn plan_of(word: &str) -> anyhow::Result<Plan> {
    Plan::parse(word).context("a plan is free, basic, advanced, professional or enterprise")
}

pub(super) async fn company(store: &Store, slug: &str) -> anyhow::Result<tenants::Tenant> {
    tenants::by_slug(store, slug)
        .await?
        .with_context(|| format!("there is no company {slug:?}; make it by `vez tenant create`"))
}

/// Makes somebody who can log in.
async fn create_user(command: UserCreate) -> anyhow::Result<()> {
    let given = match (&command.password, &command.password_file) {
        (Some(password), _) => Some(password.expose().to_owned()),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            Some(text.lines().next().unwrap_or_default().to_owned())
        }
        (None, None) => None,
    };
    let made = given.is_none();
    if let Some(fault) = given.as_deref().and_then(passwords::fault_of_new) {
        bail!("this password {fault}");
    }
    if !command.email.contains('@') {
        bail!("--email takes an address such as ana@acme.example");
    }
    let email = command.email.clone();
    let password = on_store(&command.database, async |store, clock, ids| {
        let now = clock.now();
        let tenant = company(store, &command.tenant).await?.id;
        let serves = named_departments(store, tenant, &command.departments).await?;
        let password = given.unwrap_or_else(|| ids.secret(PASSWORD_BYTES));
        let hash = Passwords::new(ids.clone(), None)?.hash(password.clone()).await?;
        let id: UserId = ids.next(now);
        let new = users::NewUser {
            id,
            name: command.name,
            email: command.email.clone(),
            password_hash: hash,
            role: command.role,
            locale: None,
            capacity: 1,
            skills: Vec::new(),
            active: true,
            avatar_url: None,
        };
        let mut work = store.work(tenant, now, None).await?;
        match users::create(&mut work, new).await {
            Ok(_) => {}
            Err(StoreError::Conflict { .. }) => bail!("there is a user {:?} in this company already", command.email),
            Err(error) => return Err(error.into()),
        }
        for department in serves {
            departments::add_user(&mut work, department, id).await?;
        }
        work.commit().await?;
        Ok(password)
    })
    .await?;
    say(&format!("Made the user {email:?}."));
    if made {
        say(&format!("Password, shown once: {password}"));
    }
    Ok(())
}

/// The departments with these names.
pub(super) async fn named_departments(
    store: &Store,
    tenant: TenantId,
    names: &[String],
) -> anyhow::Result<Vec<DepartmentId>> {
    let mut found = Vec::new();
    for name in names {
        let page = Page::new(1, 100);
        let matching = departments::list(store, tenant, Some(name), None, Sort::default(), page).await?;
        let department = matching
            .items
            .into_iter()
            .find(|department| department.name.eq_ignore_ascii_case(name))
            .with_context(|| format!("there is no department {name:?}"))?;
        found.push(department.id);
    }
    Ok(found)
}
