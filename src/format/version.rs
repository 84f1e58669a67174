//! The versions of the format in which a chain is written down.

/// The version of a specification, and of the headers of its chain. A chain keeps the one that its specification has; a
/// specification of a later version can go on with an earlier one's chain.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(into = "u8", try_from = "u8")]
pub enum FormatVersion {
    /// The first one: headers commit to blocks and transactions.
    #[default]
    V1,
    /// Headers also commit to the state, to who may make the next block, and to sums over the whole chain.
    V2,
}

/// A number that is no version of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("format {0} is not known, this build knows 1 and 2")]
pub struct UnknownVersion(
    /// The number.
    pub u8,
);

impl FormatVersion {
    /// Every version.
    pub const ALL: &'static [Self] = &[Self::V1, Self::V2];

    /// The number that stands for it in every encoding.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }
}

impl From<FormatVersion> for u8 {
    fn from(version: FormatVersion) -> Self {
        version.number()
    }
}

impl TryFrom<u8> for FormatVersion {
    type Error = UnknownVersion;

    fn try_from(number: u8) -> Result<Self, UnknownVersion> {
        let mut all = Self::ALL.iter().copied();
        all.find(|version| version.number() == number)
            .ok_or(UnknownVersion(number))
    }
}

impl std::fmt::Display for FormatVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.number())
    }
}
