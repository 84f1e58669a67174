//! A chain's configuration as MPREG stores it beside the blocks.

use super::raw::{Scalar, Shape, clip, lenient_object};
use hubledger::original::Number;

/// How a chain says that it agrees on blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Consensus {
    /// Named authorities. MPREG doesn't check who produced a block.
    ProofOfAuthority,
    /// Stakes. MPREG doesn't check them.
    ProofOfStake,
    /// Hashes with leading zeros. MPREG asks for them when a block is added, not when a chain is loaded.
    ProofOfWork,
    /// Votes. MPREG stores none.
    FederatedByzantine,
}

impl Consensus {
    /// MPREG's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ProofOfAuthority => "proof_of_authority",
            Self::ProofOfStake => "proof_of_stake",
            Self::ProofOfWork => "proof_of_work",
            Self::FederatedByzantine => "federated_byzantine",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [
            Self::ProofOfAuthority,
            Self::ProofOfStake,
            Self::ProofOfWork,
            Self::FederatedByzantine,
        ]
        .into_iter()
        .find(|consensus| consensus.name() == name)
    }
}

/// What MPREG keeps about a chain apart from its blocks.
#[derive(Debug, Clone)]
pub struct ChainConfig {
    /// How blocks are agreed on.
    pub consensus: Consensus,
    /// Seconds wished for between blocks.
    pub block_time_target: Number,
    /// Blocks between adjustments of the difficulty.
    pub difficulty_adjustment_interval: Number,
    /// Most transactions in a block. MPREG asks for it when a block is added, not when a chain is loaded.
    pub max_transactions_per_block: Number,
    /// The algorithm that the chain's signatures are checked with, whatever the transaction says.
    pub signature_algorithm: String,
    /// Whether every transaction after the first block must be signed.
    pub require_signatures: bool,
}

impl Default for ChainConfig {
    /// What MPREG gives a chain that is created without a configuration.
    fn default() -> Self {
        Self {
            consensus: Consensus::ProofOfAuthority,
            block_time_target: Number::from(10_u64),
            difficulty_adjustment_interval: Number::from(100_u64),
            max_transactions_per_block: Number::from(1000_u64),
            signature_algorithm: "ed25519".into(),
            require_signatures: false,
        }
    }
}

lenient_object! {
    RawConsensus<'a> {
        consensus_type: Scalar<'a>,
        block_time_target: Scalar<'a>,
        difficulty_adjustment_interval: Scalar<'a>,
        max_transactions_per_block: Scalar<'a>,
    }
}

lenient_object! {
    RawCrypto<'a> {
        signature_algorithm: Scalar<'a>,
        require_signatures: Scalar<'a>,
    }
}

impl ChainConfig {
    /// Reads the JSON objects `consensus_config` and `crypto_config`; the second may be absent or `null`.
    ///
    /// # Errors
    /// What is wrong with them, for people.
    pub fn from_json(consensus: &[u8], crypto: Option<&[u8]>) -> Result<Self, String> {
        let raw: Shape<RawConsensus<'_>> = serde_json::from_slice(consensus)
            .map_err(|error| format!("consensus_config: {error}"))?;
        let raw = raw.get("consensus_config")?;
        let name = raw.consensus_type.text("consensus_type")?;
        let consensus = Consensus::from_name(&name)
            .ok_or_else(|| format!("unknown consensus_type {:?}", clip(&name)))?;
        let interval = "difficulty_adjustment_interval";
        let limit = "max_transactions_per_block";
        let (signature_algorithm, require_signatures) = crypto_rules(crypto)?;
        Ok(Self {
            consensus,
            block_time_target: raw.block_time_target.number("block_time_target")?,
            difficulty_adjustment_interval: raw.difficulty_adjustment_interval.integer(interval)?,
            max_transactions_per_block: raw.max_transactions_per_block.integer(limit)?,
            signature_algorithm,
            require_signatures,
        })
    }
}

fn crypto_rules(json: Option<&[u8]>) -> Result<(String, bool), String> {
    let raw = match json {
        None => Shape::Missing,
        Some(json) => serde_json::from_slice::<Shape<RawCrypto<'_>>>(json)
            .map_err(|error| format!("crypto_config: {error}"))?,
    };
    let raw = match raw {
        Shape::Missing | Shape::Not("null") => RawCrypto::default(),
        other => other.get("crypto_config")?,
    };
    let algorithm = match raw.signature_algorithm {
        Scalar::Missing => "ed25519".to_owned(),
        other => other.text("signature_algorithm")?.into_owned(),
    };
    let require_signatures = match raw.require_signatures {
        Scalar::Missing => false,
        Scalar::Bool(required) => required,
        _ => return Err("require_signatures is not a boolean".into()),
    };
    Ok((algorithm, require_signatures))
}
