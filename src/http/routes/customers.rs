//! Owns customers on the wire: list, show, create, change, erase, merge. What a merge moves and what an erasure empties is
//! the store's.

use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::domain::ids::CustomerId;
use crate::domain::webhook::Event;
use crate::http::caller::{Staff, Supervisor};
use crate::http::envelope::{Created, Data, Deleted, Page};
use crate::http::error::ApiError;
use crate::http::input::{
    Body, Fields, Ids, Input, NAME_CHARS_MAX, PHONE_CHARS_MAX, Params, Query, QueryInput, described_bodies,
};
use crate::http::state::AppState;
use crate::store::customer_erasure::{self, Erased};
use crate::store::customer_merges::{self, MergeFault, NOTES_CHARS_MAX};
use crate::store::customers::{self, Customer, CustomerChange, CustomerFilter, CustomerSort, NewCustomer};
use crate::store::{self, Sort, SortOrder, Store, webhooks};

/// Most characters of a CPF or CNPJ with its punctuation; other countries' are no longer.
const DOCUMENT_CHARS_MAX: usize = 40;
/// Most customers merged at once; more than a person can have looked at is a mistake.
const DUPLICATES_MAX: usize = 50;

/// `/api/v1/customers/*`.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(merge)).routes(routes!(show, update, remove))
}

/// Query of the list.
#[derive(Debug)]
pub struct CustomerList {
    filter: CustomerFilter,
    sort: Sort<CustomerSort>,
    page: store::Page,
}

impl QueryInput for CustomerList {
    fn read(params: &mut Params) -> Result<Self, ApiError> {
        let (search, duplicates_of) = (params.text("search", NAME_CHARS_MAX), params.id("duplicates_of"));
        let (sort, page) = (params.sort(CustomerSort::Name, SortOrder::Asc), params.page());
        let filter = CustomerFilter { search: search?, duplicates_of: duplicates_of? };
        Ok(Self { filter, sort: sort?, page: page? })
    }
}

/// Body of `POST /customers`.
#[derive(Debug)]
pub struct CreateCustomer {
    name: String,
    email: Option<String>,
    phone: Option<String>,
    document: Option<String>,
    notes: Option<String>,
}

impl Input for CreateCustomer {
    const WRAPPER: Option<&'static str> = Some("customer");

    fn read(fields: &mut Fields) -> Self {
        Self {
            name: fields.required_text("name", NAME_CHARS_MAX),
            email: fields.email("email"),
            phone: fields.text("phone", PHONE_CHARS_MAX),
            document: fields.text("document", DOCUMENT_CHARS_MAX),
            notes: fields.text("notes", NOTES_CHARS_MAX),
        }
    }
}

/// Body of `PUT /customers/:id`: what is absent stays, null empties.
#[derive(Debug)]
pub struct UpdateCustomer(CustomerChange);

impl Input for UpdateCustomer {
    const WRAPPER: Option<&'static str> = Some("customer");

    fn read(fields: &mut Fields) -> Self {
        Self(CustomerChange {
            name: fields.patch_required_text("name", NAME_CHARS_MAX),
            email: fields.patch_email("email"),
            phone: fields.patch_text("phone", PHONE_CHARS_MAX),
            document: fields.patch_text("document", DOCUMENT_CHARS_MAX),
            notes: fields.patch_text("notes", NOTES_CHARS_MAX),
        })
    }
}

/// Body of `POST /customers/merge`.
#[derive(Debug)]
pub struct MergeCustomers {
    /// Who stays.
    customer_id: CustomerId,
    duplicate_ids: Vec<CustomerId>,
}

impl Input for MergeCustomers {
    fn read(fields: &mut Fields) -> Self {
        let customer_id = fields.required_id("customer_id");
        let duplicate_ids = fields.required_ids("duplicate_ids", DUPLICATES_MAX);
        Self { customer_id, duplicate_ids }
    }
}

described_bodies!(CreateCustomer, UpdateCustomer, MergeCustomers);

/// List customers
///
/// `search` is part of a name, an email address or a telephone; a telephone is also found by its digits, however it was
/// typed. `duplicates_of` lists who shares a document, an email address or a telephone with that customer: candidates for a
/// merge. Customers who were merged into others are not listed.
#[utoipa::path(get, path = "/api/v1/customers", tag = "Customers", security(("staff" = ["attendant"])),
    params(Query<CustomerList>), responses((status = 200, body = Page<Customer>)))]
async fn list(
    State(store): State<Store>,
    staff: Staff,
    Query(query): Query<CustomerList>,
) -> Result<Page<Customer>, ApiError> {
    let CustomerList { filter, sort, page } = query;
    Ok(customers::list(&store, staff.tenant, &filter, sort, page).await?.into())
}

/// Show a customer
///
/// The id of somebody who was merged answers with the survivor, whose `id` is then another one.
#[utoipa::path(get, path = "/api/v1/customers/{id}", tag = "Customers", security(("staff" = ["attendant"])),
    responses((status = 200, body = Data<Customer>)))]
async fn show(State(store): State<Store>, staff: Staff, Ids(id): Ids<CustomerId>) -> Result<Data<Customer>, ApiError> {
    customers::find(&store, staff.tenant, id).await?.map(Data::new).ok_or_else(ApiError::not_found)
}

/// Create a customer
///
/// Customers are also made by the joins that bring somebody new. Two may share an email address, a telephone or a document:
/// families do. See `duplicates_of` of the list, and merge.
#[utoipa::path(post, path = "/api/v1/customers", tag = "Customers", security(("staff" = ["attendant"])),
    request_body = CreateCustomer, responses((status = 201, body = Data<Customer>)))]
async fn create(
    State(state): State<AppState>,
    staff: Staff,
    Body(body): Body<CreateCustomer>,
) -> Result<Created<Customer>, ApiError> {
    let mut work = state.creation(&staff).await?;
    let CreateCustomer { name, email, phone, document, notes } = body;
    let new = NewCustomer { id: state.ids.next(work.now), name, email, phone, document, notes };
    let customer = customers::create(&mut work, new).await?;
    webhooks::emit(&mut work, Event::CustomerCreated, customer.id.0, &customer).await?;
    state.created(work, &staff, customer).await
}

/// Change a customer
///
/// Fields that are absent stay as they are; null empties one. The id of somebody who was merged changes the survivor.
#[utoipa::path(put, path = "/api/v1/customers/{id}", tag = "Customers", security(("staff" = ["attendant"])),
    request_body = UpdateCustomer, responses((status = 200, body = Data<Customer>)))]
async fn update(
    State(state): State<AppState>,
    staff: Staff,
    Ids(id): Ids<CustomerId>,
    Body(UpdateCustomer(change)): Body<UpdateCustomer>,
) -> Result<Data<Customer>, ApiError> {
    let mut work = state.work(&staff).await?;
    let customer = customers::update(&mut work, id, change).await?.ok_or_else(ApiError::not_found)?;
    work.commit().await?;
    Ok(Data::new(customer))
}

/// Erase a customer
///
/// The erasure a person may demand (LGPD, article 18). The customer goes, with everybody who was merged into him. His calls
/// and appointments stay, without his name, contacts, typed reason and comment, and without custom fields; links made
/// for him stay without his contacts. Notices that name him go; what webhooks were told of him is emptied, and what is still to be
/// sent goes out without his name and contacts. Chat, notes of staff, recordings and transcripts are not touched. Refused with
/// `customer_in_call` while he waits or is served, and with `customer_merged` for the id of a duplicate.
#[utoipa::path(delete, path = "/api/v1/customers/{id}", tag = "Customers", security(("staff" = ["attendant"])),
    responses((status = 200, body = Data<Deleted>)))]
async fn remove(
    State(state): State<AppState>,
    staff: Staff,
    Ids(id): Ids<CustomerId>,
) -> Result<Data<Deleted>, ApiError> {
    let mut work = state.work(&staff).await?;
    match customer_erasure::erase(&mut work, id).await? {
        Erased::Done => {
            work.commit().await?;
            Ok(Deleted::of(id.0))
        }
        Erased::Unknown => Err(ApiError::not_found()),
        Erased::InCall => Err(ApiError::Rejected {
            code: "customer_in_call",
            detail: "The customer waits or is being served. Try again when the call has ended.".into(),
        }),
        Erased::Merged(survivor) => Err(ApiError::Rejected {
            code: "customer_merged",
            detail: format!("The customer was merged into {survivor}. Erase that one.").into(),
        }),
    }
}

/// Merge customers
///
/// Makes `duplicate_ids` (1 to 50) one with `customer_id`, who stays and keeps what he has; an empty email address,
/// telephone or document is taken from the first duplicate that has one, notes are put together. Calls with their tags,
/// appointments and links move to him. The duplicates' ids answer with him from now on, and whoever joins with a
/// duplicate's email address or telephone is him. Merging again what was merged changes nothing. It cannot be undone.
#[utoipa::path(post, path = "/api/v1/customers/merge", tag = "Customers", security(("staff" = ["supervisor"])),
    request_body = MergeCustomers, responses((status = 200, body = Data<Customer>)))]
async fn merge(
    State(state): State<AppState>,
    staff: Supervisor,
    Body(body): Body<MergeCustomers>,
) -> Result<Data<Customer>, ApiError> {
    let mut work = state.work(&staff).await?;
    match customer_merges::merge(&mut work, body.customer_id, &body.duplicate_ids).await? {
        Ok(customer) => {
            work.commit().await?;
            Ok(Data::new(customer))
        }
        Err(MergeFault::UnknownSurvivor) => Err(ApiError::field("customer_id", "does not exist")),
        Err(MergeFault::UnknownDuplicate) => Err(ApiError::field("duplicate_ids", "does not exist")),
        Err(MergeFault::Itself) => Err(ApiError::field("duplicate_ids", "must not contain customer_id")),
    }
}
