//! What each command does.
//!
//! Owns: one function for each command, which builds what it needs and says on the standard output what it did.
//! Must not: hold rules; those live in the layers above.

use anyhow::bail;

use super::{Cli, Command, Demo, Migrate, Serve, TenantCommand, TenantCreate, UserCommand, UserCreate};

/// Does what was asked.
pub async fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Command::Serve(serve) => serve_until_stopped(serve).await,
        Command::Demo(demo) => serve_demo(demo).await,
        Command::Migrate(migrate) => bring_up_to_date(migrate).await,
        Command::Tenant(TenantCommand::Create(tenant)) => create_tenant(tenant).await,
        Command::User(UserCommand::Create(user)) => create_user(user).await,
    }
}

/// Serves until SIGTERM or Ctrl-C.
async fn serve_until_stopped(_serve: Serve) -> anyhow::Result<()> {
    bail!("not wired yet")
}

/// Makes the demonstration company once, writes `demo.json`, prints what to open, serves.
async fn serve_demo(_demo: Demo) -> anyhow::Result<()> {
    bail!("not wired yet")
}

/// Applies migrations and exits.
async fn bring_up_to_date(_migrate: Migrate) -> anyhow::Result<()> {
    bail!("not wired yet")
}

/// Makes a company.
async fn create_tenant(_tenant: TenantCreate) -> anyhow::Result<()> {
    bail!("not wired yet")
}

/// Makes somebody who can log in.
async fn create_user(_user: UserCreate) -> anyhow::Result<()> {
    bail!("not wired yet")
}
