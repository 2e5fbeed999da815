//! The REST API, one file for each resource, named as in its URLs.

mod health;
