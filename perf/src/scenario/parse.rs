//! Reading scenario files: every field known, every number within its bounds, nothing that the kind has no use for.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Deserializer};

use toml::{Table, Value};

use super::Kind::{self, Admission, Import, StorageAppend, StorageLookup};
use super::Scenario;
use crate::files::read_bounded;

/// A scenario file is small.
const FILE_BYTES_MAX: u64 = 64 << 10;
const LIST_MAX: usize = 16;
const SETTINGS_MAX: usize = 64;
/// A commit is held in memory.
const COMMIT_BYTES_MAX: u64 = 1 << 30;

/// A field that a file may leave out: kinds that have a use for it, and its default.
struct Optional {
    name: &'static str,
    kinds: &'static [Kind],
    default: fn(Kind) -> Value,
}

const STORAGE: &[Kind] = &[StorageAppend, StorageLookup];
const BLOCKS: &[Kind] = &[StorageAppend, StorageLookup, Import];
const ENGINE: &[Kind] = &[Import, Admission];
const ALL: &[Kind] = &[StorageAppend, StorageLookup, Import, Admission];

const OPTIONAL: [Optional; 10] = {
    const fn optional(
        name: &'static str,
        kinds: &'static [Kind],
        default: fn(Kind) -> Value,
    ) -> Optional {
        Optional {
            name,
            kinds,
            default,
        }
    }
    [
        optional("backends", BLOCKS, |_| Value::Array(Vec::new())),
        optional("threads", ENGINE, |kind| match ENGINE.contains(&kind) {
            true => vec![1].into(),
            false => Value::Array(Vec::new()),
        }),
        optional("keys", ENGINE, |_| 64.into()),
        optional("payload", ALL, |kind| match STORAGE.contains(&kind) {
            true => 300.into(),
            false => 200.into(),
        }),
        optional("block", BLOCKS, |_| 1000.into()),
        optional("durability", &[StorageAppend, Import], |_| "disk".into()),
        optional("commit_blocks", BLOCKS, |_| 10.into()),
        optional("lookups", &[StorageLookup], |_| 100_000.into()),
        optional("repetitions", ALL, |_| 5.into()),
        optional("warm_up", ALL, |_| 1.into()),
    ]
};

/// A value that a file gives as a word.
pub(super) fn word<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(
    from: D,
) -> Result<T, D::Error> {
    String::deserialize(from)?
        .parse()
        .map_err(serde::de::Error::custom)
}

/// Values that a file gives as a list of words.
pub(super) fn words<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(
    from: D,
) -> Result<Vec<T>, D::Error> {
    let words = Vec::<String>::deserialize(from)?;
    let words = words.iter().map(|word| word.parse());
    words
        .collect::<Result<_, _>>()
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
        let mut fields: Table = toml::from_str(text)?;
        let kind = fields.get("kind").context("missing field `kind`")?;
        let kind: Kind = kind.clone().try_into()?;
        for Optional {
            name,
            kinds,
            default,
        } in OPTIONAL
        {
            // A field that changes nothing would mislead whoever wrote it.
            ensure!(
                kinds.contains(&kind) || !fields.contains_key(name),
                "{name}: the kind {kind} has no use for it"
            );
            fields.entry(name).or_insert_with(|| default(kind));
        }
        let scenario: Self = fields.try_into()?;
        scenario.check()?;
        Ok(scenario)
    }

    fn check(&self) -> Result<()> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        ensure!(
            (1..=64).contains(&self.name.len()) && self.name.bytes().all(allowed),
            "name {:?}: up to 64 lowercase letters, digits and hyphens, since files are named by it",
            self.name
        );
        bounded("transactions", &self.transactions, 1..=1_000_000_000)?;
        bounded("threads", &self.threads, 1..=256)?;
        bounded("keys", &[self.keys], 1..=1_000_000)?;
        bounded("payload", &[self.payload], 1..=65_536)?;
        bounded("block", &[self.block], 1..=100_000)?;
        bounded("commit_blocks", &[self.commit_blocks], 1..=u32::MAX)?;
        bounded("lookups", &[self.lookups], 1..=10_000_000)?;
        bounded("repetitions", &[self.repetitions], 1..=1_000)?;
        bounded("warm_up", &[self.warm_up], 0..=1_000)?;
        for (field, length, least) in [
            (
                "backends",
                self.backends.len(),
                usize::from(self.kind != Admission),
            ),
            (
                "threads",
                self.threads.len(),
                usize::from(ENGINE.contains(&self.kind)),
            ),
            ("transactions", self.transactions.len(), 0),
        ] {
            ensure!(length >= least, "{field}: at least one");
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
        for backend in &self.backends {
            ensure!(
                self.kind != Import || backend.is_ours(),
                "backends: {backend} is a peer, which can't import"
            );
            if let Some(missing) = backend.missing() {
                bail!("backends: {missing}");
            }
        }
        Ok(())
    }
}

fn bounded<T: PartialOrd + Display>(
    field: &str,
    numbers: &[T],
    bounds: RangeInclusive<T>,
) -> Result<()> {
    for number in numbers {
        ensure!(
            bounds.contains(number),
            "{field}: {number} is not between {} and {}",
            bounds.start(),
            bounds.end()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use hubledger_storage::Durability;

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
