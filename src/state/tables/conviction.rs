//! Who was convicted of what.

use super::{Table, check_name, whole};
use crate::format::codec::{self, DecodeError, DecodeProblem, NAME_BYTES_MAX, Reader};
use crate::format::digest::TransactionId;
use crate::format::spec::BASIS_POINTS;

/// That a member was convicted of a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conviction {
    /// The height of the block that convicted it.
    pub since: u64,
    /// What the fault costs of its stake, in ten thousandths. Where members have no stakes, that took nothing.
    pub basis_points: u16,
    /// The transaction with the evidence.
    pub by: TransactionId,
}

/// The table of convictions, by name, kind of fault, height and round: so nobody is convicted twice of one fault.
#[derive(Debug, Clone, Copy)]
pub struct Convictions;

impl Convictions {
    /// The key of a conviction: the name as byte string behind its length, the number of the
    /// [kind of fault](crate::format::evidence::Evidence::tag), its height as u64 and its round as u32, both in big-endian order.
    #[must_use]
    pub fn key(name: &str, kind: u8, height: u64, round: u32) -> Vec<u8> {
        let mut key = Vec::with_capacity(17 + name.len());
        codec::put_bytes(&mut key, name.as_bytes());
        key.push(kind);
        key.extend_from_slice(&height.to_be_bytes());
        key.extend_from_slice(&round.to_be_bytes());
        key
    }

    /// What a key says: who, the kind of fault, its height and its round.
    #[must_use]
    pub fn parts(key: &[u8]) -> Option<(&str, u8, u64, u32)> {
        let mut reader = Reader::new(key);
        let name = reader.bytes("key", NAME_BYTES_MAX).ok()?;
        check_name(name).ok()?;
        let name = std::str::from_utf8(name).ok()?;
        let kind = reader.u8("key").ok()?;
        let height = u64::from_be_bytes(reader.array("key").ok()?);
        let round = u32::from_be_bytes(reader.array("key").ok()?);
        reader.finish("key").ok()?;
        Some((name, kind, height, round))
    }
}

impl Table for Convictions {
    const NUMBER: u8 = 13;
    type Value = Conviction;

    fn check_key(key: &[u8]) -> Result<(), DecodeProblem> {
        match Self::parts(key) {
            Some(_) => Ok(()),
            None => Err(DecodeProblem::Value("not the key of a conviction")),
        }
    }

    fn encode(value: &Conviction) -> Vec<u8> {
        let mut out = Vec::with_capacity(42);
        codec::put_u64(&mut out, value.since);
        out.extend_from_slice(&value.basis_points.to_le_bytes());
        out.extend_from_slice(&value.by.0);
        out
    }

    fn decode(bytes: &[u8]) -> Result<Conviction, DecodeError> {
        whole(bytes, "conviction", |reader| {
            let since = reader.u64("since")?;
            let start = reader.clone();
            let basis_points = u16::from_le_bytes(reader.array("basis points")?);
            if basis_points > BASIS_POINTS {
                let problem = DecodeProblem::Value("more than the whole");
                return Err(start.error("basis points", problem));
            }
            Ok(Conviction {
                since,
                basis_points,
                by: TransactionId(reader.array("transaction")?),
            })
        })
    }
}
