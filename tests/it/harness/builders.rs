//! Makes what a test begins with: companies, departments, staff, links. Through the store, so that no route is needed
//! to test another.

use std::fmt;

use tokio::sync::OnceCell;
use vez::auth::sha256_hex;
use vez::auth::tokens::Bearer;
use vez::domain::ids::{DepartmentId, LinkId, NotificationId, SessionId, TenantId, UserId};
use vez::domain::role::Role;
use vez::store::departments::{self, Department, DepartmentChange};
use vez::store::links::{self, NewLink};
use vez::store::notifications::{self, Notification};
use vez::store::sessions::{self, NewSession};
use vez::store::tenants::{self, NewTenant, Plan};
use vez::store::users::{self, NewUser, UserChange};
use vez::store::{Store, Work};

use super::TestApp;
use super::client::Client;

/// Everybody's password.
pub const PASSWORD: &str = "correct horse battery";

/// A company of one application.
pub struct Company<'a> {
    app: &'a TestApp,
    pub tenant: TenantId,
    pub slug: String,
}

/// A member of staff, logged in.
#[derive(Clone, Debug)]
pub struct Member {
    pub id: UserId,
    pub name: String,
    pub email: String,
    pub role: Role,
    /// An access token, good for 15 minutes of the application's clock. [`Company::log_in`] makes a fresh one.
    pub token: String,
    pub client: Client,
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Member {
    /// The user's own topic; joining it holds the agent's lease.
    pub fn topic(&self) -> String {
        format!("notification:{}", self.id)
    }
}

impl TestApp {
    /// A company on the largest plan.
    pub async fn company(&self, slug: &str) -> Company<'_> {
        self.company_on(slug, Plan::Enterprise).await
    }

    /// A company on any plan.
    pub async fn company_on(&self, slug: &str, plan: Plan) -> Company<'_> {
        let tenant = self.ids().next(self.now());
        let new = NewTenant {
            id: tenant,
            slug: slug.to_owned(),
            name: format!("Company {slug}"),
            plan,
            time_zone: chrono_tz::America::Sao_Paulo,
        };
        tenants::create(self.app.store(), new, self.now()).await.unwrap();
        self.company_of(tenant, slug)
    }

    /// A company made before, for an application that was restarted.
    pub fn company_of(&self, tenant: TenantId, slug: &str) -> Company<'_> {
        Company { app: self, tenant, slug: slug.to_owned() }
    }
}

impl Company<'_> {
    fn store(&self) -> &Store {
        self.app.app.store()
    }

    /// A change of the company's rows by the server itself.
    pub async fn work(&self) -> Work {
        self.store().work(self.tenant, self.app.now(), None).await.unwrap()
    }

    /// A department with every setting at its default.
    pub async fn department(&self, name: &str) -> DepartmentId {
        self.department_with(name, DepartmentChange::default()).await.id
    }

    /// A department with some settings of its own.
    pub async fn department_with(&self, name: &str, change: DepartmentChange) -> Department {
        let change = DepartmentChange { name: Some(name.to_owned()), ..change };
        let id = self.app.ids().next(self.app.now());
        let mut work = self.work().await;
        let department = departments::create(&mut work, id, change).await.unwrap();
        work.commit().await.unwrap();
        // As the route does: a company that runs already has to hear of it.
        self.app.app.queues().department_changed(self.tenant, id).await.unwrap();
        department
    }

    /// An attendant with one slot who serves these departments.
    pub async fn agent(&self, name: &str, serves: &[DepartmentId]) -> Member {
        self.agent_with(name, serves, 1, &[]).await
    }

    /// An attendant with `capacity` slots and skills.
    pub async fn agent_with(&self, name: &str, serves: &[DepartmentId], capacity: u8, skills: &[&str]) -> Member {
        self.member(name, Role::Attendant, serves, capacity, skills).await
    }

    /// A user of any role who serves no department.
    pub async fn user(&self, name: &str, role: Role) -> Member {
        self.member(name, role, &[], 1, &[]).await
    }

    async fn member(&self, name: &str, role: Role, serves: &[DepartmentId], capacity: u8, skills: &[&str]) -> Member {
        let now = self.app.now();
        let id = self.app.ids().next(now);
        let email = format!("{}@{}.example", name.to_lowercase().replace(' ', "."), self.slug);
        let new = NewUser {
            id,
            name: name.to_owned(),
            email: email.clone(),
            password_hash: self.password_hash().await,
            role,
            locale: None,
            capacity,
            skills: skills.iter().map(|skill| (*skill).to_owned()).collect(),
            active: true,
            avatar_url: None,
        };
        let mut work = self.work().await;
        users::create(&mut work, new).await.unwrap();
        for department in serves {
            departments::add_user(&mut work, *department, id).await.unwrap();
        }
        work.commit().await.unwrap();
        let (token, _) = self.log_in(id, role).await;
        let client = self.app.client_of(&token);
        Member { id, name: name.to_owned(), email, role, token, client }
    }

    /// Locks a user out in the store alone: nobody is told.
    pub async fn deactivate(&self, user: UserId) {
        let mut work = self.work().await;
        let change = UserChange { active: Some(false), ..UserChange::default() };
        users::update(&mut work, user, change).await.unwrap().unwrap();
        sessions::revoke_user(&mut work, user).await.unwrap();
        work.commit().await.unwrap();
    }

    /// A login as the route makes one, without the price of a password: an access token and its session.
    pub async fn log_in(&self, user: UserId, role: Role) -> (String, SessionId) {
        let now = self.app.now();
        let session = self.app.ids().next(now);
        let bearer = Bearer { tenant: self.tenant, slug: self.slug.as_str().into(), user, role, session };
        let tokens = self.app.app.tokens();
        let (refresh, expires_at) = tokens.issue_refresh(&bearer, self.app.ids().uuid(now)).unwrap();
        let hash = sha256_hex(&[refresh.as_bytes()]);
        let new = NewSession { user, session, token_hash: &hash, expires_at, password_hash: None };
        assert!(sessions::create(self.store(), self.tenant, new, now).await.unwrap());
        (tokens.issue_access(&bearer).unwrap(), session)
    }

    /// A notice kept for a user; gives its id.
    pub async fn notification(&self, user: UserId, title: &str) -> NotificationId {
        let now = self.app.now();
        let mut work = self.store().work(self.tenant, now, None).await.unwrap();
        let notice = Notification {
            id: self.app.ids().next(now),
            kind: "note".into(),
            title: title.into(),
            body: "...".into(),
            inserted_at: now,
            read_at: None,
        };
        assert!(notifications::create(&mut work, user, &notice).await.unwrap());
        work.commit().await.unwrap();
        notice.id
    }

    /// A reusable link to a department; gives its token.
    pub async fn link(&self, department: DepartmentId) -> String {
        self.link_with(department, |_| {}).await.1
    }

    /// A link with wishes; gives its id and token.
    pub async fn link_with(&self, department: DepartmentId, change: impl FnOnce(&mut NewLink)) -> (LinkId, String) {
        let now = self.app.now();
        let mut new = NewLink::new(self.app.ids().next(now), self.app.ids().secret(16), department);
        change(&mut new);
        let (id, token) = (new.id, new.token.clone());
        let mut work = self.store().work(self.tenant, now, None).await.unwrap();
        links::create(&mut work, &[new]).await.unwrap();
        work.commit().await.unwrap();
        (id, token)
    }

    /// The hash of everybody's password, computed once: it is slow on purpose.
    async fn password_hash(&self) -> String {
        static HASH: OnceCell<String> = OnceCell::const_new();
        let hash = || async { self.app.app.passwords().hash(PASSWORD.to_owned()).await.unwrap() };
        HASH.get_or_init(hash).await.clone()
    }
}
