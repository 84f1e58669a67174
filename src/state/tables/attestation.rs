//! Who vouches for whose keys, and what for.

use super::{Table, check_name, whole};
use crate::format::codec::{self, DecodeError, DecodeProblem, NAME_BYTES_MAX, Reader};
use crate::format::digest::Digest;
use crate::format::payload::PURPOSE_BYTES_MAX;

/// That somebody vouches for keys of another name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attestation {
    /// [`KeySet::digest`](crate::format::payload::KeySet::digest) of the keys.
    pub keys: Digest,
    /// The height at which it was given.
    pub since: u64,
    /// The height from which on it counts no more; 0 for never.
    pub expiry: u64,
}

/// The table of attestations, by subject, attester and purpose.
#[derive(Debug, Clone, Copy)]
pub struct Attestations;

impl Attestations {
    /// The key of an attestation: subject and attester as byte strings behind their lengths, and the purpose.
    #[must_use]
    pub fn key(subject: &str, attester: &str, purpose: &str) -> Vec<u8> {
        // Names are so short that this can't be too long for a key.
        let mut key = Vec::with_capacity(8 + subject.len() + attester.len() + purpose.len());
        codec::put_bytes(&mut key, subject.as_bytes());
        codec::put_bytes(&mut key, attester.as_bytes());
        key.extend_from_slice(purpose.as_bytes());
        key
    }
}

impl Table for Attestations {
    const NUMBER: u8 = 4;
    type Value = Attestation;

    fn check_key(key: &[u8]) -> Result<(), DecodeProblem> {
        let mut reader = Reader::new(key);
        for _ in 0..2 {
            let name = reader.bytes("key", NAME_BYTES_MAX);
            check_name(name.map_err(|error| error.problem)?)?;
        }
        let purpose = &key[reader.position()..];
        check_name(purpose)?;
        match purpose.len() > PURPOSE_BYTES_MAX {
            true => Err(DecodeProblem::Value("not a purpose")),
            false => Ok(()),
        }
    }

    fn encode(value: &Attestation) -> Vec<u8> {
        let mut out = value.keys.0.to_vec();
        codec::put_u64(&mut out, value.since);
        codec::put_u64(&mut out, value.expiry);
        out
    }

    fn decode(bytes: &[u8]) -> Result<Attestation, DecodeError> {
        whole(bytes, "attestation", |reader| {
            Ok(Attestation {
                keys: Digest(reader.array("keys")?),
                since: reader.u64("since")?,
                expiry: reader.u64("expiry")?,
            })
        })
    }
}
