//! `vez token`: API tokens from the command line.
//!
//! Owns: its grammar and what its commands do. Must not: hold rules; those live in the layers above.

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use uuid::Uuid;

use super::commands::{on_store, say};
use super::role_parser;
use crate::auth::api_token;
use crate::config::Database;
use crate::domain::ids::TenantId;
use crate::domain::role::Role;
use crate::store::api_tokens::{self, ApiToken, ApiTokenSort, NewApiToken};
use crate::store::{Page, Sort, SortOrder, Store, tenants, users};

/// Seconds of a day.
const DAY_SECONDS: u64 = 24 * 60 * 60;
/// Rows read at once.
const PAGE_ROWS: u32 = 100;

/// `vez token ...`.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token, and print it once.
    ///
    /// With the private Postgres, stop the server first; with DATABASE_URL this works beside it.
    Create(TokenCreate),
    /// List a company's tokens.
    List(TokenList),
    /// Revoke a token.
    ///
    /// A server that runs beside this notices within ten seconds.
    Revoke(TokenRevoke),
}

/// `vez token create`.
#[derive(Debug, Args)]
#[command(after_help = "Example: vez token create --tenant acme --user ana@acme.example --name CRM --role supervisor")]
pub struct TokenCreate {
    /// The company, by its slug.
    #[arg(long, value_name = "SLUG")]
    pub tenant: String,
    /// In whose name it acts, by mail address.
    #[arg(long, value_name = "EMAIL")]
    pub user: String,
    /// What it is for.
    #[arg(long)]
    pub name: String,
    /// What its holder may do; at most the user's own role.
    #[arg(long, value_name = "ROLE", value_parser = role_parser())]
    pub role: Role,
    /// Days until it expires; never without.
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u64).range(1..=36_500))]
    pub days: Option<u64>,
    /// Which database.
    #[command(flatten)]
    pub database: Database,
}

/// `vez token list`.
#[derive(Debug, Args)]
pub struct TokenList {
    /// The company, by its slug.
    #[arg(long, value_name = "SLUG")]
    pub tenant: String,
    /// Which database.
    #[command(flatten)]
    pub database: Database,
}

/// `vez token revoke`.
#[derive(Debug, Args)]
#[command(after_help = "Example: vez token revoke --tenant acme --id 0197348c-0000-7000-8000-000000000000")]
pub struct TokenRevoke {
    /// The company, by its slug.
    #[arg(long, value_name = "SLUG")]
    pub tenant: String,
    /// The token's id, as `vez token list` shows it.
    #[arg(long, value_name = "ID")]
    pub id: Uuid,
    /// Which database.
    #[command(flatten)]
    pub database: Database,
}

/// Does what was asked.
pub async fn run(command: TokenCommand) -> anyhow::Result<()> {
    match command {
        TokenCommand::Create(create) => make(create).await,
        TokenCommand::List(list) => show_all(list).await,
        TokenCommand::Revoke(one) => revoke(one).await,
    }
}

async fn tenant_of(store: &Store, slug: &str) -> anyhow::Result<TenantId> {
    tenants::id_of_slug(store, slug).await?.with_context(|| format!("there is no company {slug:?}"))
}

async fn make(command: TokenCreate) -> anyhow::Result<()> {
    let token = on_store(&command.database, async |store, clock, ids| {
        let now = clock.now();
        let tenant = tenant_of(store, &command.tenant).await?;
        let user = users::by_email(store, tenant, &command.user).await?.filter(|user| user.active);
        let user = user.with_context(|| format!("there is no active user {:?} in this company", command.user))?;
        if command.role > user.role {
            bail!("{} is {}, so a token in this name cannot be {}", command.user, user.role, command.role);
        }
        let token = api_token::new(ids);
        let new = NewApiToken {
            id: ids.uuid(now),
            name: command.name,
            role: command.role,
            token_hash: api_token::hash(&token),
            hint: api_token::hint(&token),
            user: user.id,
            expires_at: command.days.map(|days| now.plus_seconds(days * DAY_SECONDS)),
        };
        let mut work = store.work(tenant, now, None).await?;
        api_tokens::create(&mut work, new).await?;
        work.commit().await?;
        Ok(token)
    })
    .await?;
    say(&format!("Token, shown once: {token}"));
    Ok(())
}

async fn show_all(command: TokenList) -> anyhow::Result<()> {
    let tokens = on_store(&command.database, async |store, _, _| {
        let tenant = tenant_of(store, &command.tenant).await?;
        let mut tokens: Vec<ApiToken> = Vec::new();
        for number in 1.. {
            let sort = Sort::by(ApiTokenSort::Name, SortOrder::Asc);
            let rows = api_tokens::list(store, tenant, sort, Page::new(number, PAGE_ROWS)).await?.items;
            let last = rows.len() < PAGE_ROWS as usize;
            tokens.extend(rows);
            if last {
                break;
            }
        }
        Ok(tokens)
    })
    .await?;
    if tokens.is_empty() {
        say("There are no tokens.");
    }
    for token in tokens {
        let time =
            |at: Option<crate::domain::clock::Timestamp>| at.map_or_else(|| "never".to_owned(), |at| at.to_string());
        say(&format!(
            "{}  {}...  {:<10}  {}  of {}, used {}, expires {}",
            token.id,
            token.hint,
            token.role.as_str(),
            token.name,
            token.user_name,
            time(token.last_used_at),
            time(token.expires_at)
        ));
    }
    Ok(())
}

async fn revoke(command: TokenRevoke) -> anyhow::Result<()> {
    on_store(&command.database, async |store, clock, _| {
        let tenant = tenant_of(store, &command.tenant).await?;
        let mut work = store.work(tenant, clock.now(), None).await?;
        if !api_tokens::remove(&mut work, command.id).await? {
            bail!("there is no token {} in this company", command.id);
        }
        Ok(work.commit().await?)
    })
    .await?;
    say("Revoked.");
    Ok(())
}
