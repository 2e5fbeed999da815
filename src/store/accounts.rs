//! Owns reading somebody who logs in together with his company: in one transaction, since a flood of logins must take as
//! little as possible of the connections that everybody else waits for. Whether he may log in is decided at the edge.

use uuid::Uuid;

use super::tenants::{self, Company};
use super::users::{self, User};
use super::{Result, Store};
use crate::domain::ids::{TenantId, UserId};

/// The company with this slug and its user with this address, whatever its case. The same statements run whether or not they
/// exist, so that the time tells nothing.
pub async fn by_names(store: &Store, slug: &str, email: &str) -> Result<Option<(Company, User)>> {
    let tenant = tenants::id_of_slug(store, slug).await?.unwrap_or(TenantId(Uuid::nil()));
    let mut tx = store.tenant_tx(tenant).await?;
    let company = tenants::read(&mut tx, tenant).await?;
    Ok(company.zip(users::read_by_email(&mut tx, tenant, email).await?))
}

/// A company and its user with this id.
pub async fn find(store: &Store, tenant: TenantId, user: UserId) -> Result<Option<(Company, User)>> {
    let mut tx = store.tenant_tx(tenant).await?;
    let company = tenants::read(&mut tx, tenant).await?;
    Ok(company.zip(users::read(&mut tx, tenant, user).await?))
}
