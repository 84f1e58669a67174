//! The JSON form of payloads (RFC 8259): an object whose known fields have to be of their type and within their limits. Fields that
//! aren't known are passed over, as hubs write more than the chain asks for. A name that is there twice makes the payload
//! opaque, since readers of JSON don't agree which one counts.

use std::fmt;

use serde::Deserialize;
use serde::de::{Error as _, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::super::codec::NAME_BYTES_MAX;
use super::super::digest::Digest;
use super::super::model::Operation;
use super::super::signature::PublicKey;
use super::{KEY_SET_KEYS_MAX, KeySet, MEANING_BYTES_MAX};

/// The field that names the kind of payload.
const ACTION: &str = "action";

/// An object, of whose direct fields no two have one name.
pub(super) struct Object(Map<String, Value>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Object, A::Error> {
                let mut fields = Map::new();
                while let Some((name, value)) = access.next_entry::<String, Value>()? {
                    if fields.insert(name, value).is_some() {
                        return Err(A::Error::custom("a name is there twice"));
                    }
                }
                Ok(Object(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

impl Object {
    /// Reads exactly one object.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > MEANING_BYTES_MAX {
            return None;
        }
        serde_json::from_slice(bytes).ok()
    }

    /// An object within another.
    pub(super) const fn within(fields: Map<String, Value>) -> Self {
        Self(fields)
    }

    /// The word of the kind: what the field says, or without it what goes with the operation in the words of MPREG's hubs.
    pub(super) fn action(&self, operation: Operation) -> Option<&str> {
        match self.0.get(ACTION) {
            Some(action) => action.as_str(),
            None => match operation {
                Operation::NodeRegister | Operation::FederationJoin => Some("register"),
                _ => None,
            },
        }
    }

    pub(super) fn has(&self, field: &str) -> bool {
        self.0.contains_key(field)
    }

    pub(super) fn value(&self, field: &str) -> Option<&Value> {
        self.0.get(field)
    }

    /// A number of 64 bits; `default` where it isn't there.
    pub(super) fn number_or(&self, field: &str, default: u64) -> Option<u64> {
        self.0.get(field).map_or(Some(default), Value::as_u64)
    }

    /// A text within a limit.
    pub(super) fn text(&self, field: &str, bytes_max: usize) -> Option<String> {
        let text = self.0.get(field)?.as_str()?;
        (text.len() <= bytes_max).then(|| text.to_owned())
    }

    /// The same, empty where it isn't there.
    pub(super) fn text_or_empty(&self, field: &str, bytes_max: usize) -> Option<String> {
        match self.has(field) {
            true => self.text(field, bytes_max),
            false => Some(String::new()),
        }
    }

    /// A name of 1 to [`NAME_BYTES_MAX`] bytes.
    pub(super) fn name(&self, field: &str) -> Option<String> {
        self.text(field, NAME_BYTES_MAX)
            .filter(|name| !name.is_empty())
    }

    /// The same, where it is there.
    pub(super) fn optional_name(&self, field: &str) -> Option<Option<String>> {
        match self.has(field) {
            true => self.name(field).map(Some),
            false => Some(None),
        }
    }

    /// A list of texts; empty where it isn't there.
    pub(super) fn texts(
        &self,
        field: &str,
        count_max: usize,
        bytes_max: usize,
    ) -> Option<Vec<String>> {
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
    pub(super) fn digest(&self, field: &str) -> Option<Digest> {
        self.0.get(field)?.as_str()?.parse().ok()
    }

    /// Keys and how many of them have to sign, all where that isn't said: `one` holds a single key, `many` a list.
    pub(super) fn key_set(&self, one: &str, many: &str, threshold: &str) -> Option<KeySet> {
        let keys: Vec<PublicKey> = match (self.0.get(one), self.0.get(many)) {
            (Some(key), None) => vec![key.as_str()?.parse().ok()?],
            (None, Some(list)) => {
                let list = list
                    .as_array()
                    .filter(|list| list.len() <= KEY_SET_KEYS_MAX)?;
                let keys = list.iter().map(|key| key.as_str()?.parse().ok());
                keys.collect::<Option<_>>()?
            }
            _ => return None,
        };
        let all = keys.len() as u64;
        let threshold = u8::try_from(self.number_or(threshold, all)?).ok()?;
        KeySet::new(threshold, keys).ok()
    }

    /// Those that may give new keys, where they are there.
    pub(super) fn recovery(&self) -> Option<Option<KeySet>> {
        let is_there = self.has("recovery_key") || self.has("recovery_keys");
        match is_there {
            true => self
                .key_set("recovery_key", "recovery_keys", "recovery_threshold")
                .map(Some),
            false => Some(None),
        }
    }
}

/// Writes keys as [`Object::key_set`] reads them.
pub(super) fn put_key_set(
    set: &KeySet,
    [one, many, threshold]: [&str; 3],
    object: &mut Map<String, Value>,
) {
    let keys: Vec<String> = set.keys().iter().map(ToString::to_string).collect();
    match &keys[..] {
        [key] => object.insert(one.to_owned(), key.clone().into()),
        keys => object.insert(many.to_owned(), keys.into()),
    };
    if !set.needs_all() {
        object.insert(threshold.to_owned(), set.threshold().into());
    }
}

/// The names of the fields with a set's keys.
pub(super) const KEYS: [&str; 3] = ["public_key", "public_keys", "threshold"];
/// The same of those that may give new keys.
pub(super) const RECOVERY: [&str; 3] = ["recovery_key", "recovery_keys", "recovery_threshold"];

/// The text of an object with the word of its kind.
pub(super) fn named(word: &str, fields: Value) -> String {
    let mut object = Map::new();
    object.insert(ACTION.to_owned(), word.into());
    if let Value::Object(fields) = fields {
        object.extend(fields);
    }
    Value::Object(object).to_string()
}
