//! Owns what a word of a fixed list is: statuses, modes, sort fields. One name for each on the wire, in SQL, in query strings and
//! in the description of the API. Which lists there are, each subject says itself.

/// A word of a fixed list.
pub trait Word: Sized + Copy + 'static {
    /// All of them, as they are written.
    const WORDS: &'static [&'static str];

    /// Reads one; `None` when it is not in the list.
    fn read(text: &str) -> Option<Self>;
}

/// How a list of words is described: a string that is one of them.
pub fn schema_of<W: Word>() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    utoipa::openapi::ObjectBuilder::new()
        .schema_type(utoipa::openapi::schema::Type::String)
        .enum_values(Some(W::WORDS.iter().copied()))
        .into()
}

/// Makes an enum of words, with their one spelling.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$vmeta])* #[serde(rename = $word)] $variant),+ }
        impl $name {
            /// The word used on the wire and in SQL.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word),+ }
            }
            /// Reads the word; `None` when it is not one of ours.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($word => Some($name::$variant),)+ _ => None }
            }
            /// Every value, in order.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];
        }
        $crate::domain::words::described!($name: $($word),+);
    };
}

/// Makes an enum that has `parse` known as a list of words.
macro_rules! described {
    ($name:ident: $($word:literal),+) => {
        impl $crate::domain::words::Word for $name {
            const WORDS: &'static [&'static str] = &[$($word),+];
            fn read(text: &str) -> Option<Self> {
                $name::parse(text)
            }
        }
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                $crate::domain::words::schema_of::<$name>()
            }
        }
        impl utoipa::ToSchema for $name {}
    };
}

pub(crate) use {described, words};
