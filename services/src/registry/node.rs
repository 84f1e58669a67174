//! A node as it is after an event, and what an event makes of it.

use hubledger::codec::{self, DecodeError, DecodeProblem, Reader};
use hubledger::payload::{KeySet, Payload, Profile, Recover, Register, Rotate};
use hubledger::state::tables::{Standing, Tenure};

use super::event::{Place, Said};
use super::payload::{Announce, Heartbeat, RegistryPayload, put_profile, read_profile};

/// A node, as after its last event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// So many nodes were entered before it.
    pub number: u32,
    /// How it stands. It is active while this is [`Standing::Active`].
    pub standing: Standing,
    /// Whether it joined the federation, and didn't only register.
    pub is_member: bool,
    /// What it has put up.
    pub stake: u64,
    /// The transaction by which it was registered.
    pub registered: Place,
    /// That of its last event.
    pub changed: Place,
    /// How many events it has had.
    pub events: u64,
    /// The keys that speak for it, or will; none if it was entered without.
    pub latest: Option<Tenure>,
    /// Those before.
    pub before: Option<Tenure>,
    /// The keys that may revoke the others, and give it new ones.
    pub recovery: Option<KeySet>,
    /// What it says of itself.
    pub profile: Profile,
}

impl Node {
    /// A node that isn't registered yet.
    pub(super) fn before_all(number: u32, place: &Place) -> Self {
        Self {
            number,
            standing: Standing::Left,
            is_member: false,
            stake: 0,
            registered: *place,
            changed: *place,
            events: 0,
            latest: None,
            before: None,
            recovery: None,
            profile: Profile::default(),
        }
    }

    /// Whether it is a node of the federation now.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.standing == Standing::Active
    }

    /// The keys that speak for it in the block of a height, which is above that of its last event: two sets in a time of grace.
    pub fn speaking(&self, height: u64) -> impl Iterator<Item = &Tenure> {
        let tenures = [self.latest.as_ref(), self.before.as_ref()];
        let is_active = self.is_active();
        let tenures = tenures.into_iter().flatten();
        tenures.filter(move |tenure| is_active && tenure.holds_at(height))
    }

    /// Takes in what its sender said. `joins` says whether in a transaction that joins the federation, `stake` what it has put up afterwards.
    /// Whether that counts: a node that left says nothing any more but that it is there again.
    pub(super) fn hear(&mut self, said: &Said, place: &Place, joins: bool, stake: u64) -> bool {
        if self.standing == Standing::Left && !said.registers() {
            return false;
        }
        let next = place.height.saturating_add(1);
        match said {
            Said::Chain(Payload::Register(said)) => self.register(said, place, joins),
            Said::Registry(RegistryPayload::Announce(said)) => self.announce(said, place, joins),
            Said::Chain(Payload::Rotate(said)) => self.rotate(said, next),
            Said::Chain(Payload::Revoke(_)) => self.end(Standing::Revoked, next),
            Said::Chain(Payload::Recover(said)) => self.recover(said, next),
            Said::Chain(Payload::Leave(_)) => {
                self.is_member = false;
                self.end(Standing::Left, next);
            }
            Said::Registry(RegistryPayload::UpdateProfile(said)) => said.apply(&mut self.profile),
            Said::Chain(_) | Said::Registry(_) => return false,
        }
        self.stake = stake;
        self.changed = *place;
        self.events += 1;
        true
    }

    fn enter(&mut self, place: &Place, joins: bool) {
        if self.standing == Standing::Left {
            self.registered = *place;
            (self.latest, self.before, self.recovery) = (None, None, None);
            self.is_member = false;
        }
        self.standing = Standing::Active;
        self.is_member |= joins;
    }

    fn register(&mut self, said: &Register, place: &Place, joins: bool) {
        self.enter(place, joins);
        self.profile.clone_from(&said.profile);
        let latest = self.latest.as_ref();
        if latest.is_some_and(|latest| latest.keys == said.keys && latest.until == 0) {
            // It joins with the keys that it has, and what may recover them stays.
            return;
        }
        self.replace_keys(&said.keys, place.height);
        self.recovery.clone_from(&said.recovery);
    }

    fn announce(&mut self, said: &Announce, place: &Place, joins: bool) {
        self.enter(place, joins);
        self.profile.clone_from(&said.profile);
    }

    fn rotate(&mut self, said: &Rotate, next: u64) {
        let from = said.effective.max(next);
        if let Some(before) = &mut self.before {
            before.end_at(next);
        }
        if let Some(latest) = &mut self.latest {
            latest.end_at(from.saturating_add(said.grace.into()));
        }
        self.replace_keys(&said.keys, from);
    }

    fn recover(&mut self, said: &Recover, next: u64) {
        self.end(Standing::Active, next);
        self.replace_keys(&said.keys, next);
        if said.recovery.is_some() {
            self.recovery.clone_from(&said.recovery);
        }
    }

    fn end(&mut self, standing: Standing, next: u64) {
        self.standing = standing;
        for tenure in [&mut self.latest, &mut self.before].into_iter().flatten() {
            tenure.end_at(next);
        }
    }

    /// Lets keys speak from a height on. Those before end there, unless that was said otherwise.
    fn replace_keys(&mut self, keys: &KeySet, from: u64) {
        let latest = Tenure {
            from,
            until: 0,
            keys: keys.clone(),
        };
        self.before = self.latest.replace(latest);
        if let Some(before) = self.before.as_mut().filter(|before| before.until == 0) {
            before.end_at(from);
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(256);
        codec::put_u32(&mut row, self.number);
        put_standing(self.standing, &mut row);
        row.push(self.is_member.into());
        codec::put_u64(&mut row, self.stake);
        self.registered.encode(&mut row);
        self.changed.encode(&mut row);
        codec::put_u64(&mut row, self.events);
        for tenure in [&self.latest, &self.before] {
            row.push(tenure.is_some().into());
            if let Some(tenure) = tenure {
                codec::put_u64(&mut row, tenure.from);
                codec::put_u64(&mut row, tenure.until);
                tenure.keys.encode(&mut row);
            }
        }
        row.push(self.recovery.is_some().into());
        if let Some(keys) = &self.recovery {
            keys.encode(&mut row);
        }
        put_profile(&self.profile, &mut row);
        row
    }

    /// The number of a node and its standing alone, which its row begins with.
    pub(super) fn decode_head(row: &[u8]) -> Result<(u32, Standing), DecodeError> {
        let mut reader = Reader::new(row);
        Ok((reader.u32("number")?, read_standing(&mut reader)?))
    }

    pub(super) fn decode(row: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(row);
        let node = Self {
            number: reader.u32("number")?,
            standing: read_standing(&mut reader)?,
            is_member: reader.flag("is_member")?,
            stake: reader.u64("stake")?,
            registered: Place::decode(&mut reader)?,
            changed: Place::decode(&mut reader)?,
            events: reader.u64("events")?,
            latest: read_tenure(&mut reader)?,
            before: read_tenure(&mut reader)?,
            recovery: match reader.flag("recovery")? {
                true => Some(KeySet::decode_checked(&mut reader)?),
                false => None,
            },
            profile: read_profile(&mut reader)?,
        };
        reader.finish("node")?;
        Ok(node)
    }
}

fn read_tenure(reader: &mut Reader<'_>) -> Result<Option<Tenure>, DecodeError> {
    Ok(match reader.flag("keys")? {
        true => Some(Tenure {
            from: reader.u64("from")?,
            until: reader.u64("until")?,
            keys: KeySet::decode_checked(reader)?,
        }),
        false => None,
    })
}

pub(super) fn put_standing(standing: Standing, out: &mut Vec<u8>) {
    out.push(match standing {
        Standing::Active => 0,
        Standing::Revoked => 1,
        Standing::Left => 2,
    });
}

pub(super) fn read_standing(reader: &mut Reader<'_>) -> Result<Standing, DecodeError> {
    let start = reader.clone();
    match reader.u8("standing")? {
        0 => Ok(Standing::Active),
        1 => Ok(Standing::Revoked),
        2 => Ok(Standing::Left),
        tag => Err(start.error("standing", DecodeProblem::Tag(tag))),
    }
}

/// The last sign of life of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// The timestamp of its block, in microseconds since 1970.
    pub last_seen: u64,
    /// Height of the block.
    pub height: u64,
    /// For so many seconds it counts.
    pub registration_ttl: u32,
    /// How busy the node was, by its own word.
    pub load_percent: u8,
    /// How many heartbeats there were.
    pub heartbeats: u64,
}

impl Life {
    /// Whether it still counts at a time, in microseconds since 1970.
    #[must_use]
    pub const fn counts_at(&self, now_us: u64) -> bool {
        let most = self.registration_ttl as u64 * 1_000_000;
        now_us.saturating_sub(self.last_seen) <= most
    }

    /// The first sign of life of a node.
    pub(super) const fn begun(place: &Place) -> Self {
        Self {
            last_seen: place.timestamp,
            height: place.height,
            registration_ttl: super::TTL_SECONDS,
            load_percent: 0,
            heartbeats: 0,
        }
    }

    pub(super) const fn seen(&mut self, place: &Place) {
        (self.last_seen, self.height) = (place.timestamp, place.height);
    }

    pub(super) const fn beat(&mut self, heartbeat: &Heartbeat, place: &Place) {
        self.seen(place);
        self.registration_ttl = heartbeat.registration_ttl;
        self.load_percent = heartbeat.load_percent;
        self.heartbeats += 1;
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(29);
        codec::put_u64(&mut row, self.last_seen);
        codec::put_u64(&mut row, self.height);
        codec::put_u32(&mut row, self.registration_ttl);
        row.push(self.load_percent);
        codec::put_u64(&mut row, self.heartbeats);
        row
    }

    pub(super) fn decode(row: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(row);
        let life = Self {
            last_seen: reader.u64("last_seen")?,
            height: reader.u64("height")?,
            registration_ttl: reader.u32("registration_ttl")?,
            load_percent: reader.u8("load_percent")?,
            heartbeats: reader.u64("heartbeats")?,
        };
        reader.finish("life")?;
        Ok(life)
    }
}
