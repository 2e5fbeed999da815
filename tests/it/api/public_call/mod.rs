//! `/api/v1/call/*`: what a customer asks without any login.

mod evaluate;
mod join;
mod join_again;
mod status;
mod validate;

use crate::harness::TestApp;
use crate::harness::builders::{Company, Member};
use vez::domain::ids::DepartmentId;

/// What customers are told of every link that leads nowhere.
pub(super) const NO_SUCH_LINK: &str = "Invalid or expired access link";

/// A company with one line, one agent who serves it, and a reusable link to it.
struct Scene<'a> {
    company: Company<'a>,
    line: DepartmentId,
    agent: Member,
    link: String,
}

impl Scene<'_> {
    async fn new(app: &TestApp) -> Scene<'_> {
        let company = app.company("acme").await;
        let line = company.department("Suporte").await;
        let agent = company.agent("Ana", &[line]).await;
        let link = company.link(line).await;
        Scene { company, line, agent, link }
    }

    /// Takes a waiting call by hand and talks it to its end.
    async fn serve(&self, call: &str) {
        for action in ["assign", "start", "complete"] {
            self.agent.client.act(call, action).await.expect(200);
        }
    }
}
