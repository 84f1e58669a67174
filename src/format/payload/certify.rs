//! The payload by which anybody hands in that members made a block final.

use serde_json::{Value, json};

use super::super::codec::{self, DecodeError, DecodeProblem, Reader};
use super::super::model::SIGNERS_MAX;
use super::super::signature::{PublicKey, Signature};
use super::super::vote::Vote;
use super::{Form, MEANING_BYTES_MAX, json};

/// Hands in the signatures of members on one vote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certify {
    vote: Vote,
    /// By key, strictly ascending; at least one.
    signatures: Vec<(PublicKey, Signature)>,
}

impl Certify {
    /// The vote with signatures on it in any order, as far as they fit into a payload with a meaning; `None` without any, with two of one key, or
    /// with more than [`SIGNERS_MAX`].
    #[must_use]
    pub fn new(vote: Vote, mut signatures: Vec<(PublicKey, Signature)>) -> Option<Self> {
        signatures.sort_by_key(|(key, _)| *key.as_bytes());
        let is_good = (1..=SIGNERS_MAX).contains(&signatures.len()) && ascend(&signatures);
        is_good.then_some(Self { vote, signatures })
    }

    /// What is signed.
    #[must_use]
    pub const fn vote(&self) -> &Vote {
        &self.vote
    }

    /// By whom, ascending.
    pub fn signers(&self) -> impl Iterator<Item = &PublicKey> {
        self.signatures.iter().map(|(key, _)| key)
    }

    /// Who signed and how, ascending by key.
    pub fn signed(&self) -> impl Iterator<Item = &(PublicKey, Signature)> {
        self.signatures.iter()
    }

    /// Tells `claim` every signature: key, message, signature.
    pub(super) fn claims(&self, mut claim: impl FnMut(PublicKey, &[u8], Signature)) {
        let message = self.vote.message();
        for (key, signature) in &self.signatures {
            claim(*key, &message, *signature);
        }
    }
}

/// Whether keys are in strictly ascending order.
fn ascend(signatures: &[(PublicKey, Signature)]) -> bool {
    signatures.is_sorted_by(|(one, _), (next, _)| one.as_bytes() < next.as_bytes())
}

impl Form for Certify {
    fn encode(&self, out: &mut Vec<u8>) {
        self.vote.encode(out);
        codec::put_count(out, self.signatures.len());
        for (key, signature) in &self.signatures {
            out.extend_from_slice(key.as_bytes());
            out.extend_from_slice(signature.as_bytes());
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let vote = Vote::decode(reader)?;
        let start = reader.clone();
        let count = reader.count("signatures", SIGNERS_MAX, 96)?;
        let mut signatures = Vec::with_capacity(count);
        for _ in 0..count {
            signatures.push((
                PublicKey::from_bytes(reader.array("key")?),
                Signature::from_bytes(reader.array("signature")?),
            ));
        }
        match count > 0 && ascend(&signatures) {
            true => Ok(Self { vote, signatures }),
            false => Err(start.error("signatures", DecodeProblem::Order)),
        }
    }

    fn to_json(&self) -> Value {
        let mut bytes = Vec::new();
        self.encode(&mut bytes);
        json!({ "certificate": hex::encode(bytes) })
    }

    fn from_json(object: &json::Object) -> Option<Self> {
        let text = object.text("certificate", 2 * MEANING_BYTES_MAX)?;
        let bytes = hex::decode(&text).ok()?;
        // One value has one text.
        if hex::encode(&bytes) != text {
            return None;
        }
        let mut reader = Reader::new(&bytes);
        let certify = Self::decode(&mut reader).ok()?;
        reader.finish("certificate").ok()?;
        Some(certify)
    }
}
