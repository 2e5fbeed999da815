//! Owns how bodies and query strings are described to integrators: out of the notes their readers take. It reads no request.

use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{Schema, SchemaType, Type};
use utoipa::openapi::{ObjectBuilder, RefOr, Required};

use super::body::Input;
use super::fields::Fields;
use super::params::{Params, Query, QueryInput};

/// The object of `T`'s fields, unwrapped.
pub fn fields_schema<T: Input>() -> Schema {
    let mut object = ObjectBuilder::new().schema_type(SchemaType::new(Type::Object));
    for note in Fields::of::<T>() {
        object = object.property(note.name, note.schema);
        if note.required {
            object = object.required(note.name);
        }
    }
    Schema::Object(object.build())
}

/// The whole body: the fields, in their wrapper if they have one.
pub fn body_schema<T: Input>() -> RefOr<Schema> {
    match T::WRAPPER {
        None => fields_schema::<T>().into(),
        Some(wrapper) => ObjectBuilder::new()
            .schema_type(SchemaType::new(Type::Object))
            .description(Some("The fields may also be sent flat, without the wrapper."))
            .property(wrapper, fields_schema::<T>())
            .required(wrapper)
            .into(),
    }
}

/// Makes bodies known to the description of the API by the notes of their readers.
macro_rules! described_bodies {
    ($($body:ty),+ $(,)?) => {$(
        impl utoipa::PartialSchema for $body {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                $crate::http::input::body_schema::<$body>()
            }
        }
        impl utoipa::ToSchema for $body {}
    )+};
}
pub(crate) use described_bodies;

impl<T: QueryInput> IntoParams for Query<T> {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let parameter = |note: super::notes::Note| {
            ParameterBuilder::new()
                .name(note.name)
                .parameter_in(ParameterIn::Query)
                .required(if note.required { Required::True } else { Required::False })
                .schema(Some(note.schema))
                .build()
        };
        Params::of::<T>().into_iter().map(parameter).collect()
    }
}
