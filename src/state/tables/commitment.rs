//! What members have committed to, and how far they have revealed it.

use super::{Table, check_name, whole};
use crate::format::codec::{self, DecodeError, DecodeProblem};
use crate::format::digest::Digest;

/// The layers that a member reveals next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commitment {
    /// The layer around the one that is revealed next, from an epoch on.
    pub layer: Digest,
    /// That epoch. In those before, `before` counts.
    pub since: u64,
    /// The same of the commitment before, if there was one.
    pub before: Option<Digest>,
    /// The height of the last reveal; 0 if there was none.
    pub revealed: u64,
}

impl Commitment {
    /// The layer around the one that is revealed next in an epoch; `None` if no commitment counts there yet.
    #[must_use]
    pub const fn layer_in(&self, epoch: u64) -> Option<Digest> {
        match self.since <= epoch {
            true => Some(self.layer),
            false => self.before,
        }
    }
}

/// The table of commitments, by name.
#[derive(Debug, Clone, Copy)]
pub struct Commitments;

impl Table for Commitments {
    const NUMBER: u8 = 14;
    type Value = Commitment;

    fn check_key(key: &[u8]) -> Result<(), DecodeProblem> {
        check_name(key)
    }

    fn encode(value: &Commitment) -> Vec<u8> {
        let mut out = Vec::with_capacity(81);
        out.extend_from_slice(&value.layer.0);
        codec::put_u64(&mut out, value.since);
        out.push(value.before.is_some().into());
        if let Some(before) = &value.before {
            out.extend_from_slice(&before.0);
        }
        codec::put_u64(&mut out, value.revealed);
        out
    }

    fn decode(bytes: &[u8]) -> Result<Commitment, DecodeError> {
        whole(bytes, "commitment", |reader| {
            let (layer, since) = (Digest(reader.array("layer")?), reader.u64("since")?);
            let before = match reader.flag("before")? {
                true => Some(Digest(reader.array("before")?)),
                false => None,
            };
            Ok(Commitment {
                layer,
                since,
                before,
                revealed: reader.u64("revealed")?,
            })
        })
    }
}
