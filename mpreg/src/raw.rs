//! JSON read leniently: the syntax must hold, the types are looked at later.
//!
//! MPREG's loader parses a whole document before it looks at any field, takes the last of duplicate keys
//! and ignores unknown ones. So a field of the wrong type mustn't stop the reading (the height that a
//! verdict names may come after it), and no derived deserializer serves. [`Scalar`] holds a leaf value or
//! what stands in its place; [`Shape`] holds a compound value of type `T` or what stands in its place.
//!
//! Bounds: nesting by serde_json's recursion limit (128); memory in proportion to the text, because compound
//! types keep only what they can use.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use hubledger::original::{Number, NumberError};

/// The key under which serde_json hands over a number's text (feature `arbitrary_precision`).
const NUMBER_KEY: &str = "$serde_json::private::Number";

/// A leaf value, or which other kind of value (or none) stands in its place.
#[derive(Debug, Default)]
pub(super) enum Scalar<'a> {
    #[default]
    Missing,
    Text(Cow<'a, str>),
    Number(Result<Number, NumberError>),
    Bool(bool),
    Null,
    Array,
    Object,
}

impl<'a> Scalar<'a> {
    /// The text, or what is wrong with `field`.
    pub(super) fn text(self, field: &str) -> Result<Cow<'a, str>, String> {
        match self {
            Self::Text(text) => Ok(text),
            other => Err(other.mismatch(field, "a string")),
        }
    }

    /// The number, or what is wrong with `field`.
    pub(super) fn number(self, field: &str) -> Result<Number, String> {
        match self {
            Self::Number(Ok(number)) => Ok(number),
            Self::Number(Err(error)) => Err(format!("{field}: {error}")),
            other => Err(other.mismatch(field, "a number")),
        }
    }

    /// The integer, or what is wrong with `field`.
    pub(super) fn integer(self, field: &str) -> Result<Number, String> {
        let number = self.number(field)?;
        if number.is_integer() {
            Ok(number)
        } else {
            Err(format!("{field} is a float, an integer is expected"))
        }
    }

    fn mismatch(&self, field: &str, expected: &str) -> String {
        let found = match self {
            Self::Missing => return format!("{field} is missing"),
            Self::Text(_) => "a string",
            Self::Number(_) => "a number",
            Self::Bool(_) => "a boolean",
            Self::Null => "null",
            Self::Array => "an array",
            Self::Object => "an object",
        };
        format!("{field} is {found}, {expected} is expected")
    }
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(Ok(value.into())))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(Ok(i128::from(value).into())))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Scalar::Bool(value))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Scalar::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<Skip>()?.is_some() {}
        Ok(Scalar::Array)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while let Some(Key(key)) = map.next_key()? {
            if key == NUMBER_KEY {
                if let NumberText(Some(text)) = map.next_value()? {
                    return Ok(Scalar::Number(Number::parse(&text)));
                }
            } else {
                map.next_value::<Skip>()?;
            }
        }
        Ok(Scalar::Object)
    }
}

/// The text of a number as serde_json hands it over: always an owned string. A string in the document
/// comes borrowed or by reference, so an object that spells out [`NUMBER_KEY`] isn't taken for a number.
struct NumberText(Option<String>);

impl<'de> Deserialize<'de> for NumberText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl<'de> Visitor<'de> for TextVisitor {
            type Value = NumberText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any JSON value")
            }

            fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
                Ok(NumberText(Some(text)))
            }

            fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
                Ok(NumberText(None))
            }

            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(NumberText(None))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(NumberText(None))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(NumberText(None))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(NumberText(None))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error> {
                ScalarVisitor.visit_seq(items).map(|_| NumberText(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                ScalarVisitor.visit_map(map).map(|_| NumberText(None))
            }
        }

        deserializer.deserialize_any(TextVisitor)
    }
}

/// Any value, read and dropped under the recursion limit (`IgnoredAny` would go around it).
pub(super) struct Skip;

impl<'de> Deserialize<'de> for Skip {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Scalar::deserialize(deserializer).map(|_| Self)
    }
}

/// An object's key, borrowed unless it has escapes.
pub(super) struct Key<'a>(pub(super) Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;

        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(KeyVisitor)
    }
}

/// A type that reads itself from an object or from an array. What it isn't read from is dropped and
/// reported by the name of its kind.
pub(super) trait Compound<'de>: Sized {
    /// What this type is read from: "an object" or "an array".
    const EXPECTED: &'static str;

    /// Reads an object.
    fn from_map<A: MapAccess<'de>>(map: A) -> Result<Shape<Self>, A::Error> {
        ScalarVisitor.visit_map(map).map(|value| match value {
            Scalar::Number(_) => Shape::Not("a number"),
            _ => Shape::Not("an object"),
        })
    }

    /// Reads an array.
    fn from_seq<A: SeqAccess<'de>>(items: A) -> Result<Shape<Self>, A::Error> {
        ScalarVisitor
            .visit_seq(items)
            .map(|_| Shape::Not("an array"))
    }
}

/// A compound value, or which other kind of value (or none) stands in its place.
#[derive(Debug, Default)]
pub(super) enum Shape<T> {
    #[default]
    Missing,
    Is(T),
    Not(&'static str),
}

impl<T> Shape<T> {
    /// The value, or what is wrong with `field`.
    pub(super) fn get<'de>(self, field: &str) -> Result<T, String>
    where
        T: Compound<'de>,
    {
        match self {
            Self::Is(value) => Ok(value),
            Self::Missing => Err(format!("{field} is missing")),
            Self::Not(kind) => Err(format!("{field} is {kind}, {} is expected", T::EXPECTED)),
        }
    }
}

impl<'de, T: Compound<'de>> Deserialize<'de> for Shape<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShapeVisitor(PhantomData))
    }
}

struct ShapeVisitor<T>(PhantomData<T>);

impl<'de, T: Compound<'de>> Visitor<'de> for ShapeVisitor<T> {
    type Value = Shape<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Shape::Not("a string"))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Shape::Not("a number"))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Shape::Not("a number"))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Shape::Not("a boolean"))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Shape::Not("null"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error> {
        T::from_seq(items)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::from_map(map)
    }
}

/// Declares an object of the named fields, each a [`Scalar`] or a [`Shape`]: the last of duplicate keys
/// counts, unknown keys are dropped, absent ones stay missing.
macro_rules! lenient_object {
    ($(#[$doc:meta])* $name:ident<$life:lifetime> { $($field:ident: $kind:ty,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub(super) struct $name<$life> {
            $($field: $kind,)+
        }

        impl<$life> $crate::raw::Compound<$life> for $name<$life> {
            const EXPECTED: &'static str = "an object";

            fn from_map<A: serde::de::MapAccess<$life>>(
                mut map: A,
            ) -> Result<$crate::raw::Shape<Self>, A::Error> {
                let mut object = Self::default();
                while let Some($crate::raw::Key(key)) = map.next_key()? {
                    match &*key {
                        $(stringify!($field) => object.$field = map.next_value()?,)+
                        _ => {
                            map.next_value::<$crate::raw::Skip>()?;
                        }
                    }
                }
                Ok($crate::raw::Shape::Is(object))
            }
        }
    };
}

pub(super) use lenient_object;

/// `text`, cut to a length fit for a message.
pub(super) fn clip(text: &str) -> String {
    const LONGEST: usize = 80;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(json: &str) -> Scalar<'_> {
        serde_json::from_str(json).expect(json)
    }

    #[test]
    fn a_scalar_keeps_the_text_of_every_number() {
        for (json, python) in [
            ("7", "7"),
            ("-7", "-7"),
            ("-0", "0"),
            ("18446744073709551616", "18446744073709551616"),
            ("1e5", "100000.0"),
            ("2E-3", "0.002"),
        ] {
            assert_eq!(scalar(json).number("n").expect(json).to_string(), python);
        }
        let long = "9".repeat(5000);
        assert!(scalar(&long).number("n").is_err());
    }

    #[test]
    fn an_object_that_imitates_a_number_is_an_object() {
        for json in [
            r#"{"$serde_json::private::Number": "12"}"#,
            r#"{"$serde_json::private::Number": "\u0031"}"#,
            r#"{"$serde_json::private::Number": 12}"#,
            r#"{"$serde_json::private::Number": 1.5}"#,
            r#"{"$serde_json::private::Number": [{}]}"#,
            r#"{"a": 1, "$serde_json::private::Number": "12"}"#,
        ] {
            assert!(matches!(scalar(json), Scalar::Object), "{json}");
        }
    }

    #[test]
    fn other_kinds_are_named_not_errors() {
        for (json, kind) in [
            ("true", "a boolean"),
            ("null", "null"),
            ("[[1.5]]", "an array"),
            ("{\"a\":{}}", "an object"),
            ("\"x\"", "a string"),
        ] {
            let detail = scalar(json).number("fee").expect_err(json);
            assert_eq!(detail, format!("fee is {kind}, a number is expected"));
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = "[".repeat(100_000);
        assert!(serde_json::from_str::<Scalar<'_>>(&deep).is_err());
        let balanced = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
        assert!(serde_json::from_str::<Scalar<'_>>(&balanced).is_err());
    }

    #[test]
    fn clipping_respects_characters() {
        assert_eq!(clip("é"), "é");
        assert_eq!(clip(&"é".repeat(100)), format!("{}…", "é".repeat(80)));
    }
}
