//! What transactions say to the registry that the chain's own payloads have no word for.

use hubledger::codec::{self, DecodeError, DecodeProblem, Reader};
use hubledger::payload::{CAPABILITIES_MAX, PROFILE_TEXT_BYTES_MAX, Profile};
use serde_json::{Map, Value};

use crate::payload::{Fields, Form};
use crate::service_payloads;

/// For how long a sign of life counts if the node says nothing else, in seconds: as in MPREG.
pub const TTL_SECONDS: u32 = 300;

/// The longest time for which a sign of life can count, in seconds: 30 days.
pub const TTL_SECONDS_MAX: u32 = 30 * 24 * 60 * 60;

/// The highest load.
pub const LOAD_PERCENT_MAX: u8 = 100;

service_payloads! {
    /// What transactions say to the registry.
    RegistryPayload {
        /// Shows that the sender is alive.
        Heartbeat = 40, "heartbeat", [NodeUpdate];
        /// Changes what the sender says of itself.
        UpdateProfile = 41, "update_profile", [NodeUpdate];
        /// Enters the sender without keys, where the chain keeps no registrations.
        Announce = 42, "announce", [NodeRegister, FederationJoin];
    }
}

/// Shows that the sender is alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat {
    /// For so many seconds it counts: 1 to [`TTL_SECONDS_MAX`].
    pub registration_ttl: u32,
    /// How busy the node is, up to [`LOAD_PERCENT_MAX`]. Its own word, which decides nothing.
    pub load_percent: u8,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self {
            registration_ttl: TTL_SECONDS,
            load_percent: 0,
        }
    }
}

impl Heartbeat {
    const fn is_within_limits(self) -> bool {
        self.registration_ttl > 0
            && self.registration_ttl <= TTL_SECONDS_MAX
            && self.load_percent <= LOAD_PERCENT_MAX
    }
}

impl Form for Heartbeat {
    fn encode(&self, out: &mut Vec<u8>) {
        codec::put_u32(out, self.registration_ttl);
        out.push(self.load_percent);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = reader.clone();
        let said = Self {
            registration_ttl: reader.u32("registration_ttl")?,
            load_percent: reader.u8("load_percent")?,
        };
        match said.is_within_limits() {
            true => Ok(said),
            false => Err(start.error("heartbeat", DecodeProblem::Value("beyond the limits"))),
        }
    }

    fn to_json(&self) -> Value {
        serde_json::json!({
            "registration_ttl": self.registration_ttl,
            "load_percent": self.load_percent,
        })
    }

    fn from_fields(fields: &Fields) -> Option<Self> {
        let ttl = fields.number_or("registration_ttl", TTL_SECONDS.into())?;
        let load = fields.number_or("load_percent", 0)?;
        let said = Self {
            registration_ttl: u32::try_from(ttl).ok()?,
            load_percent: u8::try_from(load).ok()?,
        };
        said.is_within_limits().then_some(said)
    }
}

/// Changes what the sender says of itself. What isn't said stays as it is. Texts have at most [`PROFILE_TEXT_BYTES_MAX`] bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UpdateProfile {
    /// Such as `full_node`.
    pub node_type: Option<String>,
    /// Such as `hub`.
    pub role: Option<String>,
    /// Where it is, such as `us_east`.
    pub region: Option<String>,
    /// Where it can be reached.
    pub network_address: Option<String>,
    /// All that it can do, at most [`CAPABILITIES_MAX`].
    pub capabilities: Option<Vec<String>>,
}

/// The texts of a profile, in MPREG's words.
const TEXTS: [&str; 4] = ["node_type", "role", "region", "network_address"];
const CAPABILITIES: &str = "capabilities";

impl UpdateProfile {
    /// Changes everything into what a profile says.
    #[must_use]
    pub fn to(profile: Profile) -> Self {
        Self {
            node_type: Some(profile.node_type),
            role: Some(profile.role),
            region: Some(profile.region),
            network_address: Some(profile.network_address),
            capabilities: Some(profile.capabilities),
        }
    }

    /// Changes a profile.
    pub(super) fn apply(&self, profile: &mut Profile) {
        let texts = [
            (&self.node_type, &mut profile.node_type),
            (&self.role, &mut profile.role),
            (&self.region, &mut profile.region),
            (&self.network_address, &mut profile.network_address),
        ];
        for (said, text) in texts {
            if let Some(said) = said {
                text.clone_from(said);
            }
        }
        if let Some(capabilities) = &self.capabilities {
            profile.capabilities.clone_from(capabilities);
        }
    }

    const fn texts(&self) -> [&Option<String>; 4] {
        [
            &self.node_type,
            &self.role,
            &self.region,
            &self.network_address,
        ]
    }

    fn of(
        [node_type, role, region, network_address]: [Option<String>; 4],
        capabilities: Option<Vec<String>>,
    ) -> Self {
        Self {
            node_type,
            role,
            region,
            network_address,
            capabilities,
        }
    }
}

impl Form for UpdateProfile {
    fn encode(&self, out: &mut Vec<u8>) {
        for text in self.texts() {
            out.push(text.is_some().into());
            if let Some(text) = text {
                codec::put_bytes(out, text.as_bytes());
            }
        }
        out.push(self.capabilities.is_some().into());
        if let Some(capabilities) = &self.capabilities {
            put_capabilities(capabilities, out);
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut texts = [const { None }; 4];
        for (text, field) in texts.iter_mut().zip(TEXTS) {
            if reader.flag(field)? {
                *text = Some(reader.text(field, PROFILE_TEXT_BYTES_MAX)?.to_owned());
            }
        }
        let capabilities = match reader.flag(CAPABILITIES)? {
            true => Some(read_capabilities(reader)?),
            false => None,
        };
        Ok(Self::of(texts, capabilities))
    }

    fn to_json(&self) -> Value {
        let mut object = Map::new();
        for (text, field) in self.texts().into_iter().zip(TEXTS) {
            if let Some(text) = text {
                object.insert(field.to_owned(), text.clone().into());
            }
        }
        if let Some(capabilities) = &self.capabilities {
            object.insert(CAPABILITIES.to_owned(), capabilities.clone().into());
        }
        Value::Object(object)
    }

    fn from_fields(fields: &Fields) -> Option<Self> {
        let mut texts = [const { None }; 4];
        for (text, field) in texts.iter_mut().zip(TEXTS) {
            if fields.has(field) {
                *text = Some(fields.text(field, PROFILE_TEXT_BYTES_MAX)?.to_owned());
            }
        }
        let capabilities = match fields.has(CAPABILITIES) {
            true => Some(fields.texts(CAPABILITIES, CAPABILITIES_MAX, PROFILE_TEXT_BYTES_MAX)?),
            false => None,
        };
        Some(Self::of(texts, capabilities))
    }
}

/// Enters the sender without keys, where the chain keeps no registrations; where it does, that counts for nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Announce {
    /// What it says to put up.
    pub stake: u64,
    /// What it says of itself.
    pub profile: Profile,
}

impl Form for Announce {
    fn encode(&self, out: &mut Vec<u8>) {
        codec::put_u64(out, self.stake);
        put_profile(&self.profile, out);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            stake: reader.u64("stake")?,
            profile: read_profile(reader)?,
        })
    }

    fn to_json(&self) -> Value {
        let mut value = UpdateProfile::to(self.profile.clone()).to_json();
        value["stake_amount"] = self.stake.into();
        value
    }

    fn from_fields(fields: &Fields) -> Option<Self> {
        let mut profile = Profile::default();
        UpdateProfile::from_fields(fields)?.apply(&mut profile);
        Some(Self {
            stake: fields.number_or("stake_amount", 0)?,
            profile,
        })
    }
}

/// Appends a profile, in the form that the chain's own payloads have.
pub(super) fn put_profile(profile: &Profile, out: &mut Vec<u8>) {
    for text in [
        &profile.node_type,
        &profile.role,
        &profile.region,
        &profile.network_address,
    ] {
        codec::put_bytes(out, text.as_bytes());
    }
    put_capabilities(&profile.capabilities, out);
}

/// Reads what [`put_profile`] appended.
pub(super) fn read_profile(reader: &mut Reader<'_>) -> Result<Profile, DecodeError> {
    let mut text = |field| Ok(reader.text(field, PROFILE_TEXT_BYTES_MAX)?.to_owned());
    let [node_type, role, region, network_address] = TEXTS;
    Ok(Profile {
        node_type: text(node_type)?,
        role: text(role)?,
        region: text(region)?,
        network_address: text(network_address)?,
        capabilities: read_capabilities(reader)?,
    })
}

fn put_capabilities(capabilities: &[String], out: &mut Vec<u8>) {
    out.push(u8::try_from(capabilities.len()).unwrap_or(u8::MAX));
    for capability in capabilities {
        codec::put_bytes(out, capability.as_bytes());
    }
}

fn read_capabilities(reader: &mut Reader<'_>) -> Result<Vec<String>, DecodeError> {
    let start = reader.clone();
    let count = usize::from(reader.u8(CAPABILITIES)?);
    if count > CAPABILITIES_MAX {
        let problem = DecodeProblem::Limit {
            found: count as u64,
            limit: CAPABILITIES_MAX as u64,
        };
        return Err(start.error(CAPABILITIES, problem));
    }
    let mut capabilities = Vec::with_capacity(count);
    for _ in 0..count {
        let capability = reader.text(CAPABILITIES, PROFILE_TEXT_BYTES_MAX)?;
        capabilities.push(capability.to_owned());
    }
    Ok(capabilities)
}
