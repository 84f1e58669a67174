//! What transactions say to services (`FORMAT.md`, "Service payloads").
//!
//! Such a payload is written as those that the chain itself understands: [`MARK`], the tag of its kind, and the canonical bytes of its fields; or
//! it is a JSON object whose field `action` names the kind. To the chain it is opaque, and its kinds are unknown to the core. What is
//! neither, or is in a transaction of another operation, is recorded like any payload and counts for nothing.
//!
//! A service lists its kinds by [`service_payloads!`](crate::service_payloads), each of which is a struct with a [`Form`]; a kind's tag and word are also
//! in [`KINDS`], so that no two services give one tag two meanings.

mod fields;

pub use hubledger::payload::{MARK, MEANING_BYTES_MAX};

pub use self::fields::Fields;
use hubledger::codec::{DecodeError, Reader};

/// The lowest tag of a service's payload: those below are the chain's own.
pub const FIRST_TAG: u8 = 32;

/// The tags and words of all kinds.
pub const KINDS: &[(u8, &str)] = &[
    // Message queue: 32 to 39.
    (32, "enqueue"),
    (33, "acknowledge"),
    (34, "refuse"),
    (35, "subscribe"),
    (36, "limit"),
    // Hub registry: 40 to 47.
    (40, "heartbeat"),
    (41, "update_profile"),
    (42, "announce"),
    // Routing and causal order: 48 to 55.
    (48, "message_route"),
    (49, "message_forward"),
    (50, "causal_event"),
    // Cache synchronisation: 56 to 63.
    (56, "cache_put"),
    (57, "cache_invalidate"),
    (58, "cache_checkpoint"),
    // Performance records: 64 to 67.
    (64, "performance_record"),
    // State updates: 68 to 75.
    (68, "state_update"),
];

/// A kind of payload.
pub trait Form: Sized {
    /// Appends the canonical bytes behind the tag.
    fn encode(&self, out: &mut Vec<u8>);

    /// Reads what [`Form::encode`] appended.
    ///
    /// # Errors
    /// Anything else, values beyond their limits included.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// The JSON form: an object without the field `action`.
    fn to_json(&self) -> serde_json::Value;

    /// Reads the JSON form. `None` of anything else than the kind's fields with values within their limits; fields of other names are passed over.
    fn from_fields(fields: &Fields) -> Option<Self>;
}

/// Whether a kind is in [`KINDS`], for whoever lists it.
#[must_use]
pub const fn is_listed(tag: u8, word: &str) -> bool {
    let mut at = 0;
    while at < KINDS.len() {
        let (listed, name) = KINDS[at];
        if listed == tag && is_same(name.as_bytes(), word.as_bytes()) {
            return true;
        }
        at += 1;
    }
    false
}

const fn is_same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// Makes an enum of the kinds of payloads of a service, with both forms and with what finds one in an
/// [`Entry`](crate::view::Entry). A kind is a struct of its name with a [`Form`], and a line:
/// `Kind = TAG, "word", [Operations in whose transactions it has its meaning];`.
#[macro_export]
macro_rules! service_payloads {
    ($(#[$meta:meta])* $name:ident { $($(#[doc = $doc:literal])+ $kind:ident = $tag:literal, $word:literal, [$($operation:ident),+];)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[doc = $doc])+ $kind($kind),)+
        }

        $(const _: () = assert!($crate::payload::is_listed($tag, $word), "a line in payload::KINDS is missing");)+

        impl $name {
            /// The word that stands for the kind in JSON and in outputs.
            #[must_use]
            pub const fn word(&self) -> &'static str {
                match self {
                    $(Self::$kind(_) => $word,)+
                }
            }

            /// The operations in whose transactions a payload of this kind has its meaning.
            #[must_use]
            pub const fn operations(&self) -> &'static [::hubledger::model::Operation] {
                match self {
                    $(Self::$kind(_) => &[$(::hubledger::model::Operation::$operation),+],)+
                }
            }

            /// The canonical bytes.
            #[must_use]
            pub fn encode(&self) -> Vec<u8> {
                let mut out = $crate::payload::MARK.to_vec();
                match self {
                    $(Self::$kind(one) => {
                        out.push($tag);
                        $crate::payload::Form::encode(one, &mut out);
                    })+
                }
                out
            }

            /// Reads exactly one payload in canonical bytes.
            ///
            /// # Errors
            /// Anything else.
            pub fn decode(bytes: &[u8]) -> Result<Self, ::hubledger::codec::DecodeError> {
                let mut reader = ::hubledger::codec::Reader::new(bytes);
                let is_marked = bytes.len() <= $crate::payload::MEANING_BYTES_MAX
                    && reader.take("mark", $crate::payload::MARK.len())? == $crate::payload::MARK;
                if !is_marked {
                    let problem = ::hubledger::codec::DecodeProblem::Value("no payload with a meaning");
                    return Err(::hubledger::codec::Reader::new(bytes).error("mark", problem));
                }
                let start = reader.clone();
                let payload = match reader.u8("tag")? {
                    $($tag => Self::$kind($crate::payload::Form::decode(&mut reader)?),)+
                    tag => return Err(start.error("tag", ::hubledger::codec::DecodeProblem::Tag(tag))),
                };
                reader.finish("payload")?;
                Ok(payload)
            }

            /// The JSON form, as a text.
            #[must_use]
            pub fn to_json(&self) -> String {
                match self {
                    $(Self::$kind(one) => $crate::payload::Fields::named($word, $crate::payload::Form::to_json(one)),)+
                }
            }

            /// Reads the JSON form of a payload; `None` of anything else.
            #[must_use]
            pub fn from_fields(fields: &$crate::payload::Fields) -> Option<Self> {
                match fields.action()? {
                    $($word => $crate::payload::Form::from_fields(fields).map(Self::$kind),)+
                    _ => None,
                }
            }

            /// What a transaction says to this service, for whoever has it outside of a block.
            #[must_use]
            pub fn of_transaction(transaction: &::hubledger::model::Transaction) -> Option<Self> {
                if transaction.kind() != ::hubledger::model::Kind::Native {
                    return None;
                }
                let bytes = transaction.payload();
                let payload = match bytes.first()? {
                    0 => Self::decode(bytes).ok()?,
                    _ => Self::from_fields(&$crate::payload::Fields::read(bytes)?)?,
                };
                payload.operations().contains(&transaction.operation()).then_some(payload)
            }

            /// What a transaction says to this service; `None` if that is nothing. O(1) for what begins as no payload of it does.
            #[must_use]
            #[allow(clippy::manual_range_patterns, reason = "tags are listed one by one")]
            pub fn of(entry: &$crate::view::Entry<'_>) -> Option<Self> {
                let payload = match entry.tag() {
                    Some(tag) if [$($tag),+].contains(&tag) => Self::decode(entry.transaction().payload()).ok()?,
                    Some(_) => return None,
                    None => Self::from_fields(entry.fields()?)?,
                };
                payload.operations().contains(&entry.operation()).then_some(payload)
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::{FIRST_TAG, KINDS};

    #[test]
    fn no_two_kinds_have_one_tag_or_one_word() {
        for (at, (tag, word)) in KINDS.iter().enumerate() {
            assert!(*tag >= FIRST_TAG);
            let others = &KINDS[at + 1..];
            assert!(
                others
                    .iter()
                    .all(|(other, name)| other != tag && name != word)
            );
        }
    }
}
