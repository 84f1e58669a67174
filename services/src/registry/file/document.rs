//! The JSON of a registry file: where its nodes are.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::payload::Fields;

/// Nodes in a list, or by name. No name is there twice.
pub(super) struct Entries(pub(super) Vec<(Option<String>, Fields)>);

/// What a file holds, if it has nodes.
pub(super) struct Document(pub(super) Option<Entries>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListOrMap)
    }
}

struct ListOrMap;

impl<'de> Visitor<'de> for ListOrMap {
    type Value = Entries;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of nodes, or an object of nodes by name")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Entries, A::Error> {
        let mut entries = Vec::new();
        while let Some(fields) = list.next_element::<Fields>()? {
            entries.push((None, fields));
        }
        Ok(Entries(entries))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
        let mut entries = Vec::new();
        while let Some((name, fields)) = map.next_entry::<String, Fields>()? {
            entries.push((Some(name), fields));
        }
        Ok(Entries(entries))
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Registry;
        impl<'de> Visitor<'de> for Registry {
            type Value = Document;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a registry: a list of nodes, or an object that has one")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Document, A::Error> {
                ListOrMap
                    .visit_seq(list)
                    .map(|entries| Document(Some(entries)))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
                let mut found = None;
                while let Some(name) = map.next_key::<String>()? {
                    if ["registered_hubs", "nodes", "hubs"].contains(&&*name) {
                        if found.replace(map.next_value::<Entries>()?).is_some() {
                            return Err(A::Error::custom("nodes are listed twice"));
                        }
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Document(found))
            }
        }
        deserializer.deserialize_any(Registry)
    }
}
