//! Reading scenario files: every field known, every number within its bounds, nothing that the kind has no use for.

use std::fmt::Display;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context as _, Result, bail, ensure};
use hubledger_storage::Durability;
use serde::{Deserialize, Deserializer};

use super::{Kind, Scenario};
use crate::files::read_bounded;
use crate::storage::Contender;

/// A scenario file is small.
const FILE_BYTES_MAX: u64 = 64 << 10;
const LIST_MAX: usize = 16;
const SETTINGS_MAX: usize = 64;
const TRANSACTIONS_MAX: u64 = 1_000_000_000;
const BLOCK_MAX: u32 = 100_000;
const PAYLOAD_MAX: u32 = 65_536;
/// A commit is held in memory.
const COMMIT_BYTES_MAX: u64 = 1 << 30;
const KEYS_MAX: u32 = 1_000_000;
const THREADS_MAX: usize = 256;
const LOOKUPS_MAX: usize = 10_000_000;
const REPETITIONS_MAX: u32 = 1_000;

/// A file's fields.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    name: String,
    kind: Kind,
    #[serde(default, deserialize_with = "words")]
    backends: Option<Vec<Contender>>,
    threads: Option<Vec<usize>>,
    transactions: Vec<u64>,
    keys: Option<u32>,
    payload: Option<u32>,
    block: Option<u32>,
    #[serde(default, deserialize_with = "word")]
    durability: Option<Durability>,
    commit_blocks: Option<u32>,
    lookups: Option<usize>,
    #[serde(default = "repetitions")]
    repetitions: u32,
    #[serde(default = "warm_up")]
    warm_up: u32,
}

const fn repetitions() -> u32 {
    5
}

const fn warm_up() -> u32 {
    1
}

fn word<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    let word = String::deserialize(from)?;
    word.parse().map(Some).map_err(serde::de::Error::custom)
}

fn words<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(
    from: D,
) -> Result<Option<Vec<T>>, D::Error> {
    let words = Vec::<String>::deserialize(from)?;
    let words = words.iter().map(|word| word.parse());
    words
        .collect::<Result<_, _>>()
        .map(Some)
        .map_err(serde::de::Error::custom)
}

impl Scenario {
    /// Reads a file.
    ///
    /// # Errors
    /// The file can't be read, a field is unknown or missing, or a number is out of its bounds; the message names the
    /// file and the field.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = read_bounded(path, FILE_BYTES_MAX)?;
        Self::parse(&text).with_context(|| format!("scenario {}", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let fields: Fields = toml::from_str(text)?;
        fields.refuse_useless()?;
        let scenario = fields.with_defaults()?;
        scenario.check()?;
        Ok(scenario)
    }

    fn check(&self) -> Result<()> {
        let named = !self.name.is_empty()
            && self.name.len() <= 64
            && self
                .name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        ensure!(
            named,
            "name {:?}: up to 64 lowercase letters, digits and hyphens, since files are named by it",
            self.name
        );
        bounded("transactions", &self.transactions, 1, TRANSACTIONS_MAX)?;
        bounded("threads", &self.threads, 1, THREADS_MAX)?;
        bounded("keys", &[self.keys], 1, KEYS_MAX)?;
        bounded("payload", &[self.payload], 1, PAYLOAD_MAX)?;
        bounded("block", &[self.block], 1, BLOCK_MAX)?;
        bounded("commit_blocks", &[self.commit_blocks], 1, u32::MAX)?;
        bounded("lookups", &[self.lookups], 1, LOOKUPS_MAX)?;
        bounded("repetitions", &[self.repetitions], 1, REPETITIONS_MAX)?;
        bounded("warm_up", &[self.warm_up], 0, REPETITIONS_MAX)?;
        for (field, length) in [
            ("backends", self.backends.len()),
            ("threads", self.threads.len()),
            ("transactions", self.transactions.len()),
        ] {
            ensure!(
                length <= LIST_MAX,
                "{field}: at most {LIST_MAX}, not {length}"
            );
        }
        let block_bytes = u64::from(self.payload) * u64::from(self.block);
        let commit_bytes = block_bytes.saturating_mul(self.commit_blocks.into());
        ensure!(
            commit_bytes <= COMMIT_BYTES_MAX,
            "payload, block and commit_blocks: a commit has {commit_bytes} bytes, more than {COMMIT_BYTES_MAX}"
        );
        let settings = self.settings().len();
        ensure!(
            (1..=SETTINGS_MAX).contains(&settings),
            "{settings} settings, the combinations of all lists, are not between 1 and {SETTINGS_MAX}"
        );
        if self.kind == Kind::Import {
            let peer = self.backends.iter().find(|backend| !backend.is_ours());
            if let Some(peer) = peer {
                bail!("backends: {peer} is a peer, which can't import");
            }
        }
        for backend in &self.backends {
            if let Some(missing) = backend.missing() {
                bail!("backends: {missing}");
            }
        }
        Ok(())
    }
}

impl Fields {
    /// A field that changes nothing would mislead whoever wrote it.
    fn refuse_useless(&self) -> Result<()> {
        use Kind::{Admission, Import, StorageAppend, StorageLookup};
        let uses: [(&str, bool, &[Kind]); 7] = [
            (
                "backends",
                self.backends.is_some(),
                &[StorageAppend, StorageLookup, Import],
            ),
            ("threads", self.threads.is_some(), &[Import, Admission]),
            ("keys", self.keys.is_some(), &[Import, Admission]),
            (
                "block",
                self.block.is_some(),
                &[StorageAppend, StorageLookup, Import],
            ),
            (
                "durability",
                self.durability.is_some(),
                &[StorageAppend, Import],
            ),
            (
                "commit_blocks",
                self.commit_blocks.is_some(),
                &[StorageAppend, StorageLookup, Import],
            ),
            ("lookups", self.lookups.is_some(), &[StorageLookup]),
        ];
        for (field, is_given, kinds) in uses {
            ensure!(
                !is_given || kinds.contains(&self.kind),
                "{field}: the kind {} has no use for it",
                self.kind
            );
        }
        Ok(())
    }

    fn with_defaults(self) -> Result<Scenario> {
        let is_storage = matches!(self.kind, Kind::StorageAppend | Kind::StorageLookup);
        let backends = match (self.backends, self.kind) {
            (_, Kind::Admission) => Vec::new(),
            (Some(backends), _) if !backends.is_empty() => backends,
            _ => bail!("backends: at least one, such as \"log\""),
        };
        let threads = match (self.threads, self.kind) {
            (Some(threads), _) => threads,
            (None, Kind::Import | Kind::Admission) => vec![1],
            (None, _) => Vec::new(),
        };
        ensure!(
            is_storage || !threads.is_empty(),
            "threads: at least one number"
        );
        Ok(Scenario {
            name: self.name,
            kind: self.kind,
            backends,
            threads,
            transactions: self.transactions,
            keys: self.keys.unwrap_or(64),
            payload: self.payload.unwrap_or(if is_storage { 300 } else { 200 }),
            block: self.block.unwrap_or(1000),
            durability: self.durability.unwrap_or(Durability::Disk),
            commit_blocks: self.commit_blocks.unwrap_or(10),
            lookups: self.lookups.unwrap_or(100_000),
            repetitions: self.repetitions,
            warm_up: self.warm_up,
        })
    }
}

fn bounded<T: PartialOrd + Display + Copy>(
    field: &str,
    numbers: &[T],
    least: T,
    most: T,
) -> Result<()> {
    for &number in numbers {
        ensure!(
            number >= least && number <= most,
            "{field}: {number} is not between {least} and {most}"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const APPEND: &str = "name = 'a'\nkind = 'storage-append'\nbackends = ['log', 'sqlite']\ntransactions = [1000, 2000]\n";

    fn message(text: &str) -> String {
        let error = Scenario::parse(text).expect_err("it is wrong");
        format!("{error:#}")
    }

    #[test]
    fn what_a_file_leaves_out_has_its_default() {
        let scenario = Scenario::parse(APPEND).expect("it is right");
        assert_eq!(
            (scenario.payload, scenario.block, scenario.commit_blocks),
            (300, 1000, 10)
        );
        assert_eq!(scenario.durability, Durability::Disk);
        let labels: Vec<String> = scenario.settings().into_iter().map(|s| s.label).collect();
        assert_eq!(
            labels,
            [
                "log, 1000 transactions",
                "sqlite, 1000 transactions",
                "log, 2000 transactions",
                "sqlite, 2000 transactions"
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, expected) in [
            ("", "missing field"),
            ("name = 'a'", "missing field"),
            (&format!("{APPEND}colour = 'red'"), "unknown field `colour`"),
            (
                &format!("{APPEND}threads = [1]"),
                "threads: the kind storage-append has no use",
            ),
            (
                &format!("{APPEND}block = 0"),
                "block: 0 is not between 1 and",
            ),
            (
                &format!("{APPEND}block = 100000\npayload = 65536"),
                "a commit has",
            ),
            (&format!("{APPEND}durability = 'tape'"), "tape"),
            (&format!("{APPEND}repetitions = -1"), "invalid value"),
            (
                &APPEND.replace("'sqlite'", "'mysql'"),
                "unknown backend \"mysql\"",
            ),
            (
                &APPEND.replace("['log', 'sqlite']", "[]"),
                "backends: at least one",
            ),
            (&APPEND.replace("[1000, 2000]", "[]"), "0 settings"),
            (
                &APPEND.replace("[1000, 2000]", "[99999999999]"),
                "transactions: 99999999999",
            ),
            (
                &APPEND.replace("storage-append", "storage"),
                "unknown variant `storage`",
            ),
            (&APPEND.replace("'a'", "'../a'"), "name \"../a\""),
            (
                &APPEND
                    .replace("storage-append", "import")
                    .replace("'log'", "'plain-file'"),
                "can't import",
            ),
        ] {
            let message = message(text);
            assert!(message.contains(expected), "{message:?} lacks {expected:?}");
        }
    }

    #[test]
    fn the_scenarios_of_this_package_are_right() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let mut seen = 0;
        for entry in std::fs::read_dir(directory).expect("scenarios") {
            let path = entry.expect("an entry").path();
            let scenario = Scenario::read(&path).expect("a scenario");
            assert_eq!(
                path.file_stem().and_then(|stem| stem.to_str()),
                Some(&*scenario.name)
            );
            seen += 1;
        }
        assert!(seen >= 4);
    }

    #[test]
    fn a_file_that_is_missing_is_named() {
        let error = Scenario::read(Path::new("no/such.toml")).expect_err("it is missing");
        assert!(format!("{error:#}").contains("no/such.toml"));
    }
}
