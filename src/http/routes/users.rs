//! Owns members of staff on the wire: who manages them sees, makes and changes them here. What everybody may do to himself is
//! `me`'s.

use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access_links::SKILLS_MAX;
use crate::auth::passwords;
use crate::domain::ids::UserId;
use crate::domain::locale::Locale;
use crate::domain::plan::PlanLimit;
use crate::domain::role::Role;
use crate::http::caller::{Manager, Staff};
use crate::http::envelope::{Created, Data, Page};
use crate::http::error::ApiError;
use crate::http::input::{Body, Fields, Ids, Input, NAME_CHARS_MAX, Params, Query, QueryInput, described_bodies};
use crate::http::proof::{prove_password, wrong_password};
use crate::http::state::AppState;
use crate::roster::state::CAPACITY_MAX;
use crate::store::sessions;
use crate::store::users::{self, NewUser, User, UserChange, UserFilter, UserSort};
use crate::store::{self, Sort, SortOrder, StoreError, Work, plans};

/// `/api/v1/users` and `/api/v1/users/{id}`.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(show, update))
}

/// Query of the list.
#[derive(Debug)]
pub struct UserList {
    filter: UserFilter,
    sort: Sort<UserSort>,
    page: store::Page,
}

impl QueryInput for UserList {
    fn read(params: &mut Params) -> Result<Self, ApiError> {
        Ok(Self {
            filter: UserFilter {
                search: params.text("search", NAME_CHARS_MAX)?,
                role: params.word("role")?,
                active: params.boolean("active")?,
            },
            sort: params.sort(UserSort::Name, SortOrder::Asc)?,
            page: params.page()?,
        })
    }
}

/// Body of `POST /users`.
pub struct CreateUser {
    name: String,
    email: String,
    password: String,
    role: Role,
    locale: Option<Locale>,
    capacity: u8,
    skills: Vec<String>,
    active: bool,
    avatar_url: Option<String>,
}

impl Input for CreateUser {
    const WRAPPER: Option<&'static str> = Some("user");

    fn read(fields: &mut Fields) -> Self {
        Self {
            name: fields.required_text("name", NAME_CHARS_MAX),
            email: fields.required_email("email"),
            password: required_new_password(fields),
            role: fields.word("role").unwrap_or(Role::Attendant),
            locale: fields.word("locale"),
            capacity: capacity(fields).unwrap_or(1),
            skills: fields.words("skills", SKILLS_MAX),
            active: fields.boolean("active").unwrap_or(true),
            avatar_url: fields.patch_https_url("avatar_url").flatten(),
        }
    }
}

/// Body of `PUT /users/:id`.
pub struct UpdateUser {
    change: UserChange,
    password: Option<String>,
    current_password: Option<String>,
}

impl Input for UpdateUser {
    const WRAPPER: Option<&'static str> = Some("user");

    fn read(fields: &mut Fields) -> Self {
        Self {
            change: UserChange {
                name: fields.patch_required_text("name", NAME_CHARS_MAX),
                email: fields.patch_required_email("email"),
                password_hash: None,
                role: fields.word("role"),
                active: fields.boolean("active"),
                locale: locale(fields),
                capacity: capacity(fields),
                skills: fields.patch_words("skills", SKILLS_MAX),
                avatar_url: fields.patch_https_url("avatar_url"),
            },
            password: new_password(fields),
            current_password: fields.secret("current_password", passwords::CHARS_MAX),
        }
    }
}

described_bodies!(CreateUser, UpdateUser);

pub(super) fn locale(fields: &mut Fields) -> Option<String> {
    fields.word::<Locale>("locale").map(|locale| locale.as_str().to_owned())
}

fn capacity(fields: &mut Fields) -> Option<u8> {
    let slots = fields.integer("capacity", 1..=i64::from(CAPACITY_MAX))?;
    u8::try_from(slots).ok()
}

fn required_new_password(fields: &mut Fields) -> String {
    let password = fields.required_secret("password", passwords::CHARS_MAX);
    check_new_password(fields, &password);
    password
}

/// A new password that may be left out.
pub(super) fn new_password(fields: &mut Fields) -> Option<String> {
    let password = fields.secret("password", passwords::CHARS_MAX)?;
    check_new_password(fields, &password);
    Some(password)
}

fn check_new_password(fields: &mut Fields, password: &str) {
    if let Some(fault) = passwords::fault_of_new(password).filter(|_| !password.is_empty()) {
        fields.fault("password", fault);
    }
}

/// List users
///
/// `search` is part of a name or address.
#[utoipa::path(get, path = "/api/v1/users", tag = "Users", security(("staff" = ["manager"])),
    params(Query<UserList>), responses((status = 200, body = Page<User>)))]
async fn list(
    State(state): State<AppState>,
    staff: Manager,
    Query(query): Query<UserList>,
) -> Result<Page<User>, ApiError> {
    Ok(users::list(&state.store, staff.tenant, &query.filter, query.sort, query.page).await?.into())
}

/// Show a user
#[utoipa::path(get, path = "/api/v1/users/{id}", tag = "Users", security(("staff" = ["manager"])),
    responses((status = 200, body = Data<User>)))]
async fn show(State(state): State<AppState>, staff: Manager, Ids(id): Ids<UserId>) -> Result<Data<User>, ApiError> {
    users::find(&state.store, staff.tenant, id).await?.map(Data::new).ok_or_else(ApiError::not_found)
}

/// Create a user
///
/// Without a `role` an attendant, without a `locale` one of `pt-BR`. He receives calls once he serves a department, up to
/// `capacity` of them at once; a call that asks for skills goes only to those who have them all. Nobody gives a role above
/// his own. The plan bounds how many users are active.
#[utoipa::path(post, path = "/api/v1/users", tag = "Users", security(("staff" = ["manager"])),
    request_body = CreateUser, responses((status = 201, body = Data<User>)))]
async fn create(
    State(state): State<AppState>,
    staff: Manager,
    Body(new): Body<CreateUser>,
) -> Result<Created<User>, ApiError> {
    staff.require(new.role)?;
    // Before the work is opened: a hash takes its time, and a transaction holds a connection.
    let password_hash = state.passwords.hash(new.password).await?;
    let mut work = state.creation(&staff).await?;
    if new.active {
        plans::check(&mut work, PlanLimit::Users).await??;
    }
    let new = NewUser {
        id: state.ids.next(work.now),
        name: new.name,
        email: new.email,
        password_hash,
        role: new.role,
        locale: new.locale.map(|locale| locale.as_str().to_owned()),
        capacity: new.capacity,
        skills: new.skills,
        active: new.active,
        avatar_url: new.avatar_url,
    };
    let user = users::create(&mut work, new).await.map_err(taken)?;
    let created = state.created(work, &staff, user).await?;
    let user = created.0.id;
    if let Err(error) = state.queues.agent_changed(staff.tenant, user).await {
        // He stands, and the roster asks for whom it does not know; an error now would invite a second one.
        tracing::warn!(tenant = %staff.tenant, %user, ?error, "the roster did not hear of a new user");
    }
    Ok(created)
}

/// Change a user
///
/// What is absent stays as it is. There is no deletion: set `active` to false. Then all logins of the user end, his sockets
/// close, no call is offered to him, and calls he has go back to their lines; his departments are kept, so that `active` true
/// brings him back as he was. A new password ends all his logins, too; another role reaches them at once.
///
/// Nobody changes somebody whose role is above his own, nor gives a role above his own, and a new password or another
/// address takes a login, not an API token (403). Refused with 422 and a code: to deactivate oneself, or to set one's own
/// password here and not by `PUT /api/v1/users/me`, which asks for the present one (both `own_account`); and to deactivate or
/// lower the last active manager or owner (`last_of_role`). Another address of one's own takes `current_password`, since
/// links to a new password go there.
#[utoipa::path(put, path = "/api/v1/users/{id}", tag = "Users", security(("staff" = ["manager"])),
    request_body = UpdateUser, responses((status = 200, body = Data<User>)))]
async fn update(
    State(state): State<AppState>,
    staff: Manager,
    Ids(id): Ids<UserId>,
    Body(UpdateUser { mut change, password, current_password }): Body<UpdateUser>,
) -> Result<Data<User>, ApiError> {
    let mut proven = None;
    if let Some(email) = &change.email {
        let present = users::find(&state.store, staff.tenant, id).await?.ok_or_else(ApiError::not_found)?;
        if !present.email.eq_ignore_ascii_case(email) {
            // Links to a new password go there.
            staff.require_login()?;
            if id == staff.user {
                prove_password(&state, &staff.slug, &present, current_password).await?;
                proven = Some(present.password_hash);
            }
        }
    }
    if let Some(password) = password {
        staff.require_login()?;
        if id == staff.user {
            // Whoever finds him logged in must not be able to keep his account.
            let detail = "Set your own password by PUT /api/v1/users/me, which asks for the present one";
            return Err(ApiError::Rejected { code: "own_account", detail: detail.into() });
        }
        change.password_hash = Some(state.passwords.hash(password).await?);
    }
    let mut work = state.work(&staff).await?;
    // Who is counted below must stay what he is until this is over.
    plans::lock(&mut work).await?;
    let before = users::lock(&mut work, id).await?.ok_or_else(ApiError::not_found)?;
    if proven.is_some_and(|hash| hash != before.password_hash) {
        // Somebody changed it between the look and the lock.
        return Err(wrong_password());
    }
    allow(&mut work, &staff, &before, &change).await?;
    let (new_password, role) = (change.password_hash.is_some(), change.role);
    let user = users::update(&mut work, id, change).await.map_err(taken)?.ok_or_else(ApiError::not_found)?;
    // What he is now decides, not what he was: a request that died after its commit is made good by its repetition.
    let ended = if !user.active || new_password { Some(sessions::revoke_user(&mut work, id).await?) } else { None };
    work.commit().await?;
    if let Some(ended) = ended {
        state.logins_ended(staff.tenant, id, &ended);
    }
    if user.active && role.is_some_and(|role| role != before.role) {
        // Whatever he listens to is authorised anew, in the role he has now.
        state.role_changed(staff.tenant, id, user.role);
    }
    state.queues.agent_changed(staff.tenant, id).await?;
    Ok(Data::new(user))
}

/// Whether `staff` may change `before` so.
async fn allow(work: &mut Work, staff: &Staff, before: &User, change: &UserChange) -> Result<(), ApiError> {
    staff.require(before.role)?;
    staff.require(change.role.unwrap_or(Role::Attendant))?;
    let leaves = before.active && change.active == Some(false);
    if leaves && before.id == staff.user {
        return Err(ApiError::Rejected { code: "own_account", detail: "Nobody deactivates himself".into() });
    }
    let lowered = change.role.is_some_and(|role| role < before.role);
    if before.active
        && before.role >= Role::Manager
        && (leaves || lowered)
        && !users::others_hold(work, before.id, before.role).await?
    {
        let detail = format!("The last active {} of the company must stay", before.role);
        return Err(ApiError::Rejected { code: "last_of_role", detail: detail.into() });
    }
    if !before.active && change.active == Some(true) {
        plans::check(work, PlanLimit::Users).await??;
    }
    Ok(())
}

pub(super) fn taken(error: StoreError) -> ApiError {
    match error {
        StoreError::Conflict { constraint } if constraint.contains("email") => {
            ApiError::field("email", "has already been taken")
        }
        other => other.into(),
    }
}
