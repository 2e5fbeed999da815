//! Owns the shapes of good answers: `{"data": ...}`, and for lists `meta` beside it (Voki's overview page).

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::store::Paged;

/// 200 with one object, or a list that is not paged.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Data<T> {
    pub data: T,
}

impl<T> Data<T> {
    /// Wraps `data`.
    pub fn new(data: T) -> Self {
        Self { data }
    }
}

impl<T: Serialize> IntoResponse for Data<T> {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

/// 201 with the object that was made.
#[derive(Clone, Debug)]
pub struct Created<T>(pub T);

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, Json(Data { data: self.0 })).into_response()
    }
}

/// The id of what was deleted (the documented codes have no 204).
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Deleted {
    #[schema(value_type = Uuid)]
    pub id: Uuid,
}

impl Deleted {
    /// 200 with the id.
    pub fn of(id: Uuid) -> Data<Self> {
        Data::new(Self { id })
    }
}

/// Where a page stands in its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Meta {
    /// From 1.
    pub current_page: u32,
    pub page_size: u32,
    /// 0 for an empty list.
    pub total_pages: u64,
    pub total_count: u64,
}

/// 200 with one page of a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Page<T> {
    pub data: Vec<T>,
    pub meta: Meta,
}

impl<T> Page<T> {
    /// The page `current_page` of `total_count` rows.
    pub fn new(data: Vec<T>, current_page: u32, page_size: u32, total_count: u64) -> Self {
        let total_pages = total_count.div_ceil(u64::from(page_size.max(1)));
        Self { data, meta: Meta { current_page, page_size, total_pages, total_count } }
    }
}

impl<T> From<Paged<T>> for Page<T> {
    fn from(paged: Paged<T>) -> Self {
        let total_count = u64::try_from(paged.total_count).unwrap_or(0);
        Self::new(paged.items, paged.page.number(), paged.page.size(), total_count)
    }
}

impl<T: Serialize> IntoResponse for Page<T> {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    #[test]
    fn the_envelopes_are_vokis() {
        assert_eq!(serde_json::to_value(Data::new(json!({"id": 1}))).unwrap(), json!({"data": {"id": 1}}));
        assert_eq!(
            serde_json::to_value(Page::new(vec![1, 2], 1, 20, 41)).unwrap(),
            json!({"data": [1, 2],
                   "meta": {"current_page": 1, "page_size": 20, "total_pages": 3, "total_count": 41}})
        );
        assert_eq!(Page::new(Vec::<u8>::new(), 1, 20, 0).meta.total_pages, 0);
        assert_eq!(Created(1).into_response().status(), StatusCode::CREATED);
    }
}
