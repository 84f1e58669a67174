//! Sets of keys of which so many have to sign.

use super::super::codec::{self, DecodeError, DecodeProblem, FieldError, Reader};
use super::super::digest::{Digest, sha256};
use super::super::signature::{PublicKey, check_key};

/// The most keys that can speak for a name.
pub const KEY_SET_KEYS_MAX: usize = 16;

/// Keys, of which at least `threshold` have to sign: k of n. Ascending and distinct, each of them one that signatures can be
/// accepted for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySet {
    threshold: u8,
    keys: Vec<PublicKey>,
}

impl KeySet {
    /// A set of 1 to [`KEY_SET_KEYS_MAX`] keys in any order, of which `threshold` have to sign. O(n) curve points.
    ///
    /// # Errors
    /// No key or too many, a key twice or one that can't sign, a threshold of 0 or above the number of keys.
    pub fn new(threshold: u8, mut keys: Vec<PublicKey>) -> Result<Self, FieldError> {
        const FIELD: &str = "keys";
        if keys.is_empty() || keys.len() > KEY_SET_KEYS_MAX {
            let problem = format!("{} keys, not 1 to {KEY_SET_KEYS_MAX}", keys.len());
            return Err(FieldError::new(FIELD, problem));
        }
        keys.sort_unstable_by_key(|key| *key.as_bytes());
        if let Some(twice) = keys.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(FieldError::new(
                FIELD,
                format!("{} is there twice", twice[0]),
            ));
        }
        if threshold == 0 || usize::from(threshold) > keys.len() {
            let problem = format!("{threshold} of {} keys", keys.len());
            return Err(FieldError::new("threshold", problem));
        }
        for key in &keys {
            check_key(key).map_err(|error| FieldError::new(FIELD, format!("{key}: {error}")))?;
        }
        Ok(Self { threshold, keys })
    }

    /// The set of one key.
    ///
    /// # Errors
    /// A key that can't sign.
    pub fn single(key: PublicKey) -> Result<Self, FieldError> {
        Self::new(1, vec![key])
    }

    /// How many of the keys have to sign.
    #[must_use]
    pub const fn threshold(&self) -> usize {
        self.threshold as usize
    }

    /// The keys, ascending.
    #[must_use]
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// Whether every key has to sign.
    #[must_use]
    pub fn needs_all(&self) -> bool {
        self.threshold() == self.keys.len()
    }

    /// Whether this key is one of them. O(log n).
    #[must_use]
    pub fn contains(&self, key: &PublicKey) -> bool {
        let found = self
            .keys
            .binary_search_by_key(&key.as_bytes(), PublicKey::as_bytes);
        found.is_ok()
    }

    /// SHA-256 over the keys, ascending: how accounts name those that all have to sign.
    #[must_use]
    pub fn keys_digest(&self) -> Digest {
        let parts: Vec<&[u8]> = self.keys.iter().map(|key| &key.as_bytes()[..]).collect();
        Digest(sha256(&parts))
    }

    /// SHA-256 over the canonical bytes, by which an attestation names the set.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut bytes = Vec::with_capacity(5 + 32 * self.keys.len());
        self.encode(&mut bytes);
        Digest(sha256(&[&bytes]))
    }

    /// Appends the canonical bytes: threshold u8, count u8, keys.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.threshold);
        out.push(self.keys.len() as u8);
        for key in &self.keys {
            out.extend_from_slice(key.as_bytes());
        }
    }

    /// Reads a set, and checks its keys: for bytes of anybody. O(n) curve points.
    ///
    /// # Errors
    /// Anything but the canonical bytes of a set.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = reader.clone();
        let set = Self::decode_checked(reader)?;
        match set.keys.iter().all(|key| check_key(key).is_ok()) {
            true => Ok(set),
            false => Err(start.error("keys", DecodeProblem::Value("a key that can't sign"))),
        }
    }

    /// Reads a set whose keys were checked when it was written. O(n).
    ///
    /// # Errors
    /// Anything but the canonical bytes of a set.
    pub fn decode_checked(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        const FIELD: &str = "keys";
        let start = reader.clone();
        let (threshold, count) = (reader.u8(FIELD)?, usize::from(reader.u8(FIELD)?));
        if count == 0
            || count > KEY_SET_KEYS_MAX
            || threshold == 0
            || usize::from(threshold) > count
        {
            return Err(start.error(FIELD, DecodeProblem::Value("not k of 1 to 16 keys")));
        }
        let mut keys: Vec<PublicKey> = Vec::with_capacity(count);
        for _ in 0..count {
            let start = reader.clone();
            let key = PublicKey::from_bytes(reader.array(FIELD)?);
            // One set has one byte string, and no key counts twice.
            if keys
                .last()
                .is_some_and(|last| last.as_bytes() >= key.as_bytes())
            {
                return Err(start.error(FIELD, DecodeProblem::Order));
            }
            keys.push(key);
        }
        Ok(Self { threshold, keys })
    }
}

/// Appends a set or that there is none.
pub(super) fn put_optional(set: Option<&KeySet>, out: &mut Vec<u8>) {
    out.push(set.is_some().into());
    if let Some(set) = set {
        set.encode(out);
    }
}

/// Reads what [`put_optional`] appended.
pub(super) fn optional(reader: &mut Reader<'_>) -> Result<Option<KeySet>, DecodeError> {
    match reader.flag("recovery")? {
        true => KeySet::decode(reader).map(Some),
        false => Ok(None),
    }
}

/// Appends a name, or nothing as an empty one.
pub(super) fn put_optional_name(name: Option<&str>, out: &mut Vec<u8>) {
    codec::put_bytes(out, name.unwrap_or_default().as_bytes());
}
