//! Owns how bodies and query strings are described to integrators: out of the notes their readers take. It reads no request.

use std::borrow::Cow;

use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{Schema, SchemaType, Type};
use utoipa::openapi::{ObjectBuilder, RefOr, Required};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::body::{Body, Input};
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

impl<T: Input> PartialSchema for Body<T> {
    fn schema() -> RefOr<Schema> {
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
}

impl<T: Input> ToSchema for Body<T> {
    fn name() -> Cow<'static, str> {
        let name = std::any::type_name::<T>();
        Cow::Borrowed(name.rsplit("::").next().unwrap_or(name))
    }
}

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
