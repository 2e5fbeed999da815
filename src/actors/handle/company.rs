//! Owns what the queues are told when staff change the company itself, or delete a department.

use super::super::tenant::TenantMsg;
use super::{Answer, CallError, Queues};
use crate::domain::ids::{DepartmentId, TenantId};
use crate::queue::Command;

impl Queues {
    /// The company was changed: a running one obeys its new time zone and plan at once.
    pub async fn company_changed(&self, tenant: TenantId) -> Answer<()> {
        Ok(self.system.company_changed(tenant).await?)
    }

    /// Lets nobody join a department any more, whatever the store says. Every join that was answered before this is in the
    /// record when it returns. Undone by `department_changed`.
    pub async fn close_department(&self, tenant: TenantId, department: DepartmentId) -> Answer<()> {
        let entered = self.system.enter(tenant).await?;
        let _turn = entered.link.changes.lock().await;
        let mut settings = self.system.settings(tenant, department).await?.ok_or(CallError::NotFound)?;
        settings.active = false;
        settings.rules = self.system.shared().rules;
        self.command_in(&entered, department, Command::Configure(settings)).await.map(|_| ())
    }

    /// A department was deleted in the store.
    pub async fn department_removed(&self, tenant: TenantId, department: DepartmentId) -> Answer<()> {
        let entered = self.system.enter(tenant).await?;
        self.tell_tenant(&entered, TenantMsg::DepartmentRemoved { department })
    }
}
