//! Scenarios: what to measure, as data in TOML files.
//!
//! A scenario is a kind of work, numbers, and lists of backends, threads and chain lengths. Each combination of the lists is
//! a setting; the settings of a run take turns.

mod commands;
mod compare;
mod execute;
mod parse;
mod record;
mod subject;

use std::fmt;

use hubledger_storage::Durability;
use serde::{Deserialize, Serialize};

pub(crate) use self::commands::{Compare, Record as RecordArguments, Run, compare, record, run};
pub(crate) use self::record::{Latencies, Record, Sample};
use crate::storage::Contender;

/// The work of a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// Append blocks of random transactions to an empty store.
    StorageAppend,
    /// Look up random ids in a filled store, warm.
    StorageLookup,
    /// Import a chain of signed transactions into an empty store.
    Import,
    /// Submit single transactions to an engine: all at once, which gives the rate, then on a schedule at 80 % of that rate,
    /// which gives the latencies.
    Admission,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::StorageAppend => "storage-append",
            Self::StorageLookup => "storage-lookup",
            Self::Import => "import",
            Self::Admission => "admission",
        })
    }
}

/// What to measure. Every field holds what will be done, also those that the file leaves out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    #[serde(serialize_with = "as_words", deserialize_with = "parse::words")]
    pub(crate) backends: Vec<Contender>,
    pub(crate) threads: Vec<usize>,
    pub(crate) transactions: Vec<u64>,
    /// Senders.
    pub(crate) keys: u32,
    /// Bytes of a transaction's payload; in a storage scenario, of the whole transaction.
    pub(crate) payload: u32,
    /// Transactions of a block.
    pub(crate) block: u32,
    #[serde(serialize_with = "as_word", deserialize_with = "parse::word")]
    pub(crate) durability: Durability,
    /// Blocks of a commit.
    pub(crate) commit_blocks: u32,
    /// Look-ups of a repetition.
    pub(crate) lookups: usize,
    pub(crate) repetitions: u32,
    /// Repetitions that don't count, before the others.
    pub(crate) warm_up: u32,
}

fn as_word<S: serde::Serializer>(word: &impl fmt::Display, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(word)
}

fn as_words<S: serde::Serializer>(words: &[impl fmt::Display], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(words.iter().map(ToString::to_string))
}

/// One combination of a scenario's lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Setting {
    /// How it is called in tables and plots.
    pub(crate) label: String,
    pub(crate) backend: Option<String>,
    pub(crate) threads: Option<usize>,
    pub(crate) transactions: u64,
}

impl Scenario {
    /// Every combination, in the order of the lists.
    pub(crate) fn settings(&self) -> Vec<Setting> {
        let backends: Vec<Option<String>> = match self.backends.is_empty() {
            true => vec![None],
            false => self.backends.iter().map(|b| Some(b.to_string())).collect(),
        };
        let threads: Vec<Option<usize>> = match self.threads.is_empty() {
            true => vec![None],
            false => self.threads.iter().copied().map(Some).collect(),
        };
        let mut settings = Vec::new();
        for &transactions in &self.transactions {
            for &threads in &threads {
                for backend in &backends {
                    settings.push(Setting {
                        label: self.label(backend.as_deref(), threads, transactions),
                        backend: backend.clone(),
                        threads,
                        transactions,
                    });
                }
            }
        }
        settings
    }

    /// What sets a setting apart from the others.
    fn label(&self, backend: Option<&str>, threads: Option<usize>, transactions: u64) -> String {
        let mut parts = vec![backend.unwrap_or(&self.name).to_owned()];
        if let Some(threads) = threads.filter(|_| self.threads.len() > 1) {
            parts.push(match threads {
                1 => "1 thread".to_owned(),
                _ => format!("{threads} threads"),
            });
        }
        if self.transactions.len() > 1 {
            parts.push(format!("{transactions} transactions"));
        }
        parts.join(", ")
    }
}
