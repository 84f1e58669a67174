//! What is put up behind each name, in pools of which holders have shares: a penalty lowers what a pool holds, and with it what every
//! share is worth, without a walk over the holders.

use super::{Table, check_name, whole};
use crate::format::codec::{self, DecodeError, DecodeProblem, Reader};
use crate::format::signature::PublicKey;
use crate::format::spec::RELEASE_EPOCHS_MAX;

/// The most pools of one name that wait to be paid out and can still be punished.
pub const RELEASES_MAX: usize = 2 * RELEASE_EPOCHS_MAX as usize;

/// Value that is shared by those who put it up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// The value in it; at most as much as there are shares, since penalties alone change what a share is worth.
    pub tokens: u64,
    /// All shares in it.
    pub shares: u64,
    /// What else is known of what counts behind a name; `None` of what was taken back.
    pub bond: Option<Bond>,
}

impl Pool {
    /// What so many of the shares are worth, rounded down.
    #[must_use]
    pub fn worth(&self, shares: u64) -> u64 {
        match self.shares {
            0 => 0,
            all => {
                let worth = u128::from(shares) * u128::from(self.tokens) / u128::from(all);
                // No more than there is, since nobody has more shares than all.
                u64::try_from(worth).unwrap_or(u64::MAX).min(self.tokens)
            }
        }
    }
}

/// What goes with the pool that counts behind a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bond {
    /// The key that the name takes part with.
    pub key: PublicKey,
    /// The boundaries of the pools that were taken back and may still be punished, ascending.
    pub releases: Vec<u64>,
}

/// The table of pools, by the name behind which the value is, and the height from which on it doesn't count any more: 0 of what
/// still counts.
#[derive(Debug, Clone, Copy)]
pub struct Pools;

impl Pools {
    /// The key of a pool: the name, and the height as u64 in big-endian order.
    #[must_use]
    pub fn key(name: &str, boundary: u64) -> Vec<u8> {
        [name.as_bytes(), &boundary.to_be_bytes()].concat()
    }

    /// What a key says: whose pool, and which.
    #[must_use]
    pub fn parts(key: &[u8]) -> Option<(&str, u64)> {
        let (name, boundary) = key.split_last_chunk()?;
        check_name(name).ok()?;
        Some((
            std::str::from_utf8(name).ok()?,
            u64::from_be_bytes(*boundary),
        ))
    }
}

impl Table for Pools {
    const NUMBER: u8 = 10;
    type Value = Pool;

    fn check_key(key: &[u8]) -> Result<(), DecodeProblem> {
        match Self::parts(key) {
            Some(_) => Ok(()),
            None => Err(DecodeProblem::Value("not the key of a pool")),
        }
    }

    fn encode(value: &Pool) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        codec::put_u64(&mut out, value.tokens);
        codec::put_u64(&mut out, value.shares);
        out.push(value.bond.is_some().into());
        if let Some(bond) = &value.bond {
            out.extend_from_slice(bond.key.as_bytes());
            codec::put_count(&mut out, bond.releases.len());
            for boundary in &bond.releases {
                codec::put_u64(&mut out, *boundary);
            }
        }
        out
    }

    fn decode(bytes: &[u8]) -> Result<Pool, DecodeError> {
        whole(bytes, "pool", |reader| {
            let start = reader.clone();
            let (tokens, shares) = (reader.u64("tokens")?, reader.u64("shares")?);
            let bond = match reader.flag("bond")? {
                false => None,
                true => Some(decode_bond(reader)?),
            };
            let is_empty = shares == 0 && bond.as_ref().is_none_or(|bond| bond.releases.is_empty());
            if tokens > shares || is_empty {
                return Err(start.error("pool", DecodeProblem::Value("not a pool")));
            }
            Ok(Pool {
                tokens,
                shares,
                bond,
            })
        })
    }
}

fn decode_bond(reader: &mut Reader<'_>) -> Result<Bond, DecodeError> {
    let key = PublicKey::from_bytes(reader.array("key")?);
    let start = reader.clone();
    let count = reader.count("releases", RELEASES_MAX, 8)?;
    let mut releases = Vec::with_capacity(count);
    for _ in 0..count {
        releases.push(reader.u64("releases")?);
    }
    match releases.is_sorted_by(|one, next| one < next) && releases.first() != Some(&0) {
        true => Ok(Bond { key, releases }),
        false => Err(start.error("releases", DecodeProblem::Value("not ascending"))),
    }
}
