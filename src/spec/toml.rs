//! Chain specifications as people write them: TOML files in which every unknown field is an error.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use hubledger_storage::opening::open_regular_or_given;
use serde::{Deserialize, Serialize};

use super::{
    Authority, ChainSpec, Consensus, Import, InitialAccount, Limits, ProofOfAuthority, Rules,
    SpecFields,
};
use crate::codec::FieldError;
use crate::signature::PublicKey;

/// The longest specification file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// A specification file that can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpecFileError {
    /// The file can't be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not TOML of the right shape; the message names line and field.
    #[error("{}: not a chain specification: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, column and reason.
        message: String,
    },
    /// A field is out of its limits.
    #[error("{}: {source}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// Which field, and why.
        source: FieldError,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SpecToml {
    name: String,
    genesis_time: u64,
    consensus: ConsensusToml,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    rules: Rules,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    accounts: BTreeMap<String, InitialAccount>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    import: Option<Import>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum ConsensusToml {
    ProofOfAuthority {
        #[serde(default)]
        round_robin: bool,
        authorities: Vec<AuthorityToml>,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthorityToml {
    name: String,
    key: PublicKey,
}

impl ChainSpec {
    /// Reads a specification from TOML text.
    ///
    /// # Errors
    /// A message that names line and field, for syntax; the field and its limit, for values.
    pub fn from_toml(text: &str) -> Result<Self, FieldError> {
        let spec: SpecToml = ::toml::from_str(text)
            .map_err(|error| FieldError::new("TOML", one_line(text, &error)))?;
        Self::new(spec.into())
    }

    /// Reads a specification file.
    ///
    /// # Errors
    /// [`SpecFileError`], which names the file.
    pub fn read_toml(path: &Path) -> Result<Self, SpecFileError> {
        let read = |source| SpecFileError::Read {
            path: path.into(),
            source,
        };
        let text = read_text(path).map_err(read)?;
        let spec: SpecToml = ::toml::from_str(&text).map_err(|error| SpecFileError::Syntax {
            path: path.into(),
            message: one_line(&text, &error),
        })?;
        Self::new(spec.into()).map_err(|source| SpecFileError::Field {
            path: path.into(),
            source,
        })
    }

    /// The specification as TOML text, from which [`ChainSpec::from_toml`] reads the same one.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let Consensus::ProofOfAuthority(consensus) = &self.consensus;
        let authorities = consensus.authorities.iter().map(|authority| AuthorityToml {
            name: authority.name.clone(),
            key: authority.key,
        });
        let spec = SpecToml {
            name: self.name.clone(),
            genesis_time: self.genesis_time,
            consensus: ConsensusToml::ProofOfAuthority {
                round_robin: consensus.round_robin,
                authorities: authorities.collect(),
            },
            limits: self.limits.clone(),
            rules: self.rules.clone(),
            accounts: self.accounts.clone(),
            import: self.import.clone(),
        };
        ::toml::to_string(&spec).expect("strings, integers and tables always have a TOML form")
    }
}

/// What is wrong and where, without the picture of the place that [`::toml`] draws over several lines.
fn one_line(text: &str, error: &::toml::de::Error) -> String {
    let message = error.message().trim().replace('\n', ", ");
    let Some(before) = error.span().and_then(|span| text.get(..span.start)) else {
        return message;
    };
    let line = 1 + before.matches('\n').count();
    let column = 1 + before.chars().rev().take_while(|c| *c != '\n').count();
    format!("line {line}, column {column}: {message}")
}

/// The file's text, unless it goes on beyond the limit (a pipe or a device doesn't say how long it is).
fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = open_regular_or_given(path)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)?;
    if read as u64 > FILE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "above 32 MiB"));
    }
    Ok(text)
}

impl From<SpecToml> for SpecFields {
    fn from(spec: SpecToml) -> Self {
        let ConsensusToml::ProofOfAuthority {
            round_robin,
            authorities,
        } = spec.consensus;
        let authorities = authorities
            .into_iter()
            .map(|authority| Authority {
                name: authority.name,
                key: authority.key,
            })
            .collect();
        Self {
            name: spec.name,
            genesis_time: spec.genesis_time,
            consensus: Consensus::ProofOfAuthority(ProofOfAuthority {
                authorities,
                round_robin,
            }),
            limits: spec.limits,
            rules: spec.rules,
            accounts: spec.accounts,
            import: spec.import,
        }
    }
}
