//! The JSON form of payloads (RFC 8259): an object whose known fields have to be of their type and within their limits. Fields that
//! aren't known are passed over, as hubs write more than a service asks for. A name that is there twice makes the payload
//! opaque, since readers of JSON don't agree which one counts.

use std::fmt;

use hubledger::codec::NAME_BYTES_MAX;
use hubledger::digest::Digest;
use hubledger::payload::MEANING_BYTES_MAX;
use serde::Deserialize;
use serde::de::{Error as _, MapAccess, Visitor};
use serde_json::{Map, Value};

/// The field that names the kind of payload.
const ACTION: &str = "action";

/// The fields of an object, of which no two have one name. What they hold may be anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields(Map<String, Value>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Distinct;
        impl<'de> Visitor<'de> for Distinct {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Fields, A::Error> {
                let mut fields = Map::new();
                while let Some((name, value)) = access.next_entry::<String, Value>()? {
                    if fields.insert(name, value).is_some() {
                        return Err(A::Error::custom("a name is there twice"));
                    }
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Distinct)
    }
}

impl Fields {
    /// Reads exactly one object of at most [`MEANING_BYTES_MAX`] bytes.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > MEANING_BYTES_MAX {
            return None;
        }
        serde_json::from_slice(bytes).ok()
    }

    /// The text of an object with the word of its kind.
    #[must_use]
    pub fn named(word: &str, fields: Value) -> String {
        let mut object = Map::new();
        object.insert(ACTION.to_owned(), word.into());
        if let Value::Object(fields) = fields {
            object.extend(fields);
        }
        Value::Object(object).to_string()
    }

    /// The word of the kind.
    #[must_use]
    pub fn action(&self) -> Option<&str> {
        self.0.get(ACTION)?.as_str()
    }

    /// Whether a field is there.
    #[must_use]
    pub fn has(&self, field: &str) -> bool {
        self.0.contains_key(field)
    }

    /// What a field holds.
    #[must_use]
    pub fn value(&self, field: &str) -> Option<&Value> {
        self.0.get(field)
    }

    /// A number of 64 bits; `default` where it isn't there.
    #[must_use]
    pub fn number_or(&self, field: &str, default: u64) -> Option<u64> {
        self.0.get(field).map_or(Some(default), Value::as_u64)
    }

    /// A text within a limit, in bytes.
    #[must_use]
    pub fn text(&self, field: &str, bytes_max: usize) -> Option<&str> {
        let text = self.0.get(field)?.as_str()?;
        (text.len() <= bytes_max).then_some(text)
    }

    /// The same, empty where it isn't there.
    #[must_use]
    pub fn text_or_empty(&self, field: &str, bytes_max: usize) -> Option<&str> {
        match self.has(field) {
            true => self.text(field, bytes_max),
            false => Some(""),
        }
    }

    /// What a word of at most 64 bytes stands for; `default` where it isn't there.
    #[must_use]
    pub fn word_or<T>(&self, field: &str, of: impl Fn(&str) -> Option<T>, default: T) -> Option<T> {
        match self.has(field) {
            true => of(self.text(field, 64)?),
            false => Some(default),
        }
    }

    /// A name of 1 to [`NAME_BYTES_MAX`] bytes.
    #[must_use]
    pub fn name(&self, field: &str) -> Option<&str> {
        self.text(field, NAME_BYTES_MAX)
            .filter(|name| !name.is_empty())
    }

    /// A list of texts; empty where it isn't there.
    #[must_use]
    pub fn texts(&self, field: &str, count_max: usize, bytes_max: usize) -> Option<Vec<String>> {
        let Some(list) = self.0.get(field) else {
            return Some(Vec::new());
        };
        let list = list.as_array().filter(|list| list.len() <= count_max)?;
        let texts = list.iter().map(|text| {
            let text = text.as_str().filter(|text| text.len() <= bytes_max);
            text.map(str::to_owned)
        });
        texts.collect()
    }

    /// A digest in hexadecimal.
    #[must_use]
    pub fn digest(&self, field: &str) -> Option<Digest> {
        self.0.get(field)?.as_str()?.parse().ok()
    }

    /// The names of all fields, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}
