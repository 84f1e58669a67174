//! Names that were registered: how they stand, and the keys that speak for them now.

use super::{Table, Tenure, check_name, whole};
use crate::format::codec::{self, DecodeError, DecodeProblem, Reader};
use crate::format::payload::KeySet;

/// How a registered name stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Its keys speak for it.
    Active,
    /// Its keys were revoked. Recovery keys may give it others.
    Revoked,
    /// It left. Nobody speaks for it, for ever.
    Left,
}

impl Standing {
    /// The word that stands for it in outputs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Revoked => "revoked",
            Self::Left => "left",
        }
    }
}

/// A registered name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// How it stands.
    pub standing: Standing,
    /// Whether it joined the federation.
    pub is_member: bool,
    /// The height at which it was registered.
    pub since: u64,
    /// What it put up, and gets back when it leaves.
    pub stake: u64,
    /// Those that may revoke its keys and give it others.
    pub recovery: Option<KeySet>,
    /// How many tenures it has had; the last is `latest`.
    pub tenures: u32,
    /// The keys that speak, or will.
    pub latest: Tenure,
    /// Those before, as long as they may still speak.
    pub before: Option<Tenure>,
}

impl Registration {
    /// The tenures that speak for the name at this height: two in a time of grace, none if it is revoked or left.
    pub fn speaking(&self, height: u64) -> impl Iterator<Item = &Tenure> {
        let tenures = [Some(&self.latest), self.before.as_ref()];
        let is_active = self.standing == Standing::Active;
        let tenures = tenures.into_iter().flatten();
        tenures.filter(move |tenure| is_active && tenure.holds_at(height))
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        out.push(match self.standing {
            Standing::Active => 0,
            Standing::Revoked => 1,
            Standing::Left => 2,
        });
        out.push(self.is_member.into());
        codec::put_u64(&mut out, self.since);
        codec::put_u64(&mut out, self.stake);
        out.push(self.recovery.is_some().into());
        if let Some(recovery) = &self.recovery {
            recovery.encode(&mut out);
        }
        codec::put_u32(&mut out, self.tenures);
        self.latest.encode(&mut out);
        out.push(self.before.is_some().into());
        if let Some(before) = &self.before {
            before.encode(&mut out);
        }
        out
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = reader.clone();
        let standing = match reader.u8("standing")? {
            0 => Standing::Active,
            1 => Standing::Revoked,
            2 => Standing::Left,
            tag => return Err(start.error("standing", DecodeProblem::Tag(tag))),
        };
        Ok(Self {
            standing,
            is_member: reader.flag("is_member")?,
            since: reader.u64("since")?,
            stake: reader.u64("stake")?,
            recovery: match reader.flag("recovery")? {
                true => Some(KeySet::decode_checked(reader)?),
                false => None,
            },
            tenures: reader.u32("tenures")?,
            latest: Tenure::decode(reader)?,
            before: match reader.flag("before")? {
                true => Some(Tenure::decode(reader)?),
                false => None,
            },
        })
    }
}

/// The table of registered names, by name.
#[derive(Debug, Clone, Copy)]
pub struct Registrations;

impl Table for Registrations {
    const NUMBER: u8 = 2;
    type Value = Registration;

    fn check_key(key: &[u8]) -> Result<(), DecodeProblem> {
        check_name(key)
    }

    fn encode(value: &Registration) -> Vec<u8> {
        value.encode()
    }

    fn decode(bytes: &[u8]) -> Result<Registration, DecodeError> {
        whole(bytes, "registration", Registration::decode)
    }
}
