//! Names of stores: a scheme for the backend, then the place.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use crate::check::Report;
#[cfg(feature = "log")]
use crate::log::{self, LogOptions};
#[cfg(feature = "rocksdb")]
use crate::rocks::{self, RocksOptions};
#[cfg(feature = "sqlite")]
use crate::sqlite::{self, SqliteOptions};
use crate::{BlockReader, Checked, Damage, Error, MemoryStore, Repaired, Result, Store};

const KNOWN: &str = "memory:, log:DIR, sqlite:FILE, rocksdb:DIR";

/// Forms of the backends that this binary has.
#[cfg(not(all(feature = "log", feature = "sqlite", feature = "rocksdb")))]
const BUILT: &[&str] = &[
    "memory:",
    #[cfg(feature = "log")]
    "log:DIR",
    #[cfg(feature = "sqlite")]
    "sqlite:FILE",
    #[cfg(feature = "rocksdb")]
    "rocksdb:DIR",
];

/// The name of a store, such as `sqlite:chain.db`. Variants exist for the backends that are built in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreUrl {
    /// `memory:`: a store that nobody else can open and that ends with its last handle. So it can be
    /// created any number of times, each time anew, but never opened; see [`MemoryStore`] for one that can.
    Memory,
    /// `log:DIR`: an append-log in a directory, with [`LogOptions`] as they are by default.
    #[cfg(feature = "log")]
    Log(PathBuf),
    /// `sqlite:FILE`: an SQLite database.
    #[cfg(feature = "sqlite")]
    Sqlite(PathBuf),
    /// `rocksdb:DIR`, or `rocksdb:DIR?SETTING=VALUE&…`: a RocksDB database in a directory; see [`RocksOptions`].
    #[cfg(feature = "rocksdb")]
    Rocksdb(PathBuf, RocksOptions),
}

impl StoreUrl {
    /// Creates an empty store and opens it.
    ///
    /// # Errors
    /// [`Error::Exists`] if anything but an empty file (or, for `log:` and `rocksdb:`, an empty directory) is at the path; [`Error::Io`] or
    /// [`Error::ReadOnly`] if the place can't be written. Nothing that was there is changed.
    pub fn create(&self) -> Result<Store> {
        match self {
            Self::Memory => MemoryStore::new().open(),
            #[cfg(feature = "log")]
            Self::Log(directory) => LogOptions::default().create(directory),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(path) => SqliteOptions::default().create(path),
            #[cfg(feature = "rocksdb")]
            Self::Rocksdb(directory, options) => options.create(directory),
        }
    }

    /// Opens a store to write and to read.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::NotAStore`], [`Error::Version`], [`Error::InUse`],
    /// [`Error::Corrupt`], [`Error::ReadOnly`] or [`Error::Io`]. What is not a store is not changed.
    pub fn open(&self) -> Result<Store> {
        match self {
            Self::Memory => Err(self.missing()),
            #[cfg(feature = "log")]
            Self::Log(directory) => LogOptions::default().open(directory),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(path) => SqliteOptions::default().open(path),
            #[cfg(feature = "rocksdb")]
            Self::Rocksdb(directory, options) => options.open(directory),
        }
    }

    /// Opens a store only to read, also while a writer has it open: one of this process or, for `sqlite:`,
    /// one of another.
    ///
    /// # Errors
    /// Those of [`open`](Self::open); [`Error::InUse`] only for `log:`, while another process writes, and for `rocksdb:`,
    /// while another process has it open.
    pub fn open_read_only(&self) -> Result<Arc<dyn BlockReader>> {
        match self {
            Self::Memory => Err(self.missing()),
            #[cfg(feature = "log")]
            Self::Log(directory) => LogOptions::default().open_read_only(directory),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(path) => SqliteOptions::default().open_read_only(path),
            #[cfg(feature = "rocksdb")]
            Self::Rocksdb(directory, options) => options.open_read_only(directory),
        }
    }

    /// Opens a store to save what can be read of it. Such a reader never says that a key is absent.
    ///
    /// A `log:` that can't be opened as usual is opened as far as its files can be read: `found` is told of the damage that was met,
    /// heights whose records can't be read are [`Error::Corrupt`], and the end is behind the last record that can be. Of `sqlite:` and
    /// `rocksdb:`, rows at the ends of the chain may be missing. O(headers and keys).
    ///
    /// # Errors
    /// Those of [`open_read_only`](Self::open_read_only): [`Error::Corrupt`] if not even this can be.
    #[cfg_attr(
        not(any(feature = "log", feature = "sqlite", feature = "rocksdb")),
        allow(unused_variables)
    )]
    #[cfg_attr(not(feature = "log"), allow(unused_mut))]
    pub fn open_damaged(&self, found: &mut dyn FnMut(Damage)) -> Result<Arc<dyn BlockReader>> {
        let mut report = Report::default();
        let opened: Result<Arc<dyn BlockReader>> = match self {
            Self::Memory => Err(self.missing()),
            #[cfg(feature = "log")]
            Self::Log(directory) => log::open_damaged(directory, &mut report),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(path) => sqlite::open_damaged(path),
            #[cfg(feature = "rocksdb")]
            Self::Rocksdb(directory, options) => rocks::open_damaged(directory, *options),
        };
        report.tell(found);
        opened
    }

    /// Reads the whole store, every checksum and index entry, and reports all damage: when all is read, each damaged
    /// place once, and [`DAMAGE_LISTED_MAX`](crate::DAMAGE_LISTED_MAX) at most. O(store). Nothing is changed, but for what
    /// opening a store after a crash always does.
    ///
    /// # Errors
    /// Those of [`open_read_only`](Self::open_read_only) but [`Error::Corrupt`], which is reported. What was found before
    /// an error is reported too.
    pub fn check(&self, found: &mut dyn FnMut(Damage)) -> Result<Checked> {
        let mut report = Report::default();
        let outcome: Result<()> = match self {
            Self::Memory => Err(self.missing()),
            #[cfg(feature = "log")]
            Self::Log(directory) => log::check(directory, &mut report),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(path) => sqlite::check(path, &mut report),
            #[cfg(feature = "rocksdb")]
            Self::Rocksdb(directory, _) => rocks::check(directory, &mut report),
        };
        // Damage that ends a check is damage too.
        let outcome = report.sound(outcome);
        let checked = report.tell(found);
        outcome.map(|_| checked)
    }

    /// Makes again what follows from sound parts of the store (its index, its tables of heights), and reports what
    /// was done. Never invents data: a damaged header or body stays as it is. Durable when it returns.
    ///
    /// # Errors
    /// Those of [`open`](Self::open); [`Error::Corrupt`] if the store can't be opened even so.
    #[cfg_attr(
        not(any(feature = "log", feature = "sqlite", feature = "rocksdb")),
        allow(unused_variables)
    )]
    pub fn repair(&self, done: &mut dyn FnMut(Repaired)) -> Result<()> {
        match self {
            Self::Memory => Err(self.missing()),
            #[cfg(feature = "log")]
            Self::Log(directory) => log::repair(directory, done),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(path) => sqlite::repair(path, done),
            #[cfg(feature = "rocksdb")]
            Self::Rocksdb(directory, _) => rocks::repair(directory, done),
        }
    }

    /// Opens the store if there is one, creates it otherwise.
    ///
    /// # Errors
    /// Those of [`open`](Self::open) and [`create`](Self::create).
    pub fn open_or_create(&self) -> Result<Store> {
        if self.exists() {
            self.open()
        } else {
            self.create()
        }
    }

    /// Whether something is at the path, be it a store or not. An empty file is nothing, nor, for `log:`, is an
    /// empty directory.
    #[must_use]
    pub fn exists(&self) -> bool {
        match self {
            Self::Memory => false,
            #[cfg(feature = "log")]
            Self::Log(directory) => log::exists(directory),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(path) => sqlite::exists(path),
            #[cfg(feature = "rocksdb")]
            Self::Rocksdb(directory, _) => rocks::exists(directory),
        }
    }

    fn missing(&self) -> Error {
        Error::Missing {
            path: PathBuf::from(self.to_string()),
        }
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
            #[cfg(feature = "log")]
            Self::Log(directory) => write!(f, "log:{}", directory.display()),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            #[cfg(feature = "rocksdb")]
            Self::Rocksdb(directory, options) => {
                write!(f, "rocksdb:{}{options}", directory.display())
            }
        }
    }
}

impl FromStr for StoreUrl {
    type Err = Error;

    fn from_str(url: &str) -> Result<Self> {
        let refuse = |reason| {
            Err(Error::Url {
                url: url.to_owned(),
                reason,
                known: KNOWN,
            })
        };
        let Some((scheme, place)) = url.split_once(':') else {
            return refuse("it has no scheme");
        };
        match (scheme, place) {
            ("memory", "") => Ok(Self::Memory),
            ("memory", _) => refuse("a store in memory has no path"),
            ("sqlite" | "log" | "rocksdb", "") => refuse("the path is missing"),
            #[cfg(feature = "log")]
            ("log", directory) => Ok(Self::Log(PathBuf::from(directory))),
            #[cfg(feature = "sqlite")]
            ("sqlite", file) => Ok(Self::Sqlite(PathBuf::from(file))),
            #[cfg(not(feature = "log"))]
            ("log", _) => not_built(url),
            #[cfg(not(feature = "sqlite"))]
            ("sqlite", _) => not_built(url),
            #[cfg(feature = "rocksdb")]
            ("rocksdb", place) => {
                let (directory, options) = match place.split_once('?') {
                    None => (place, Ok(RocksOptions::default())),
                    Some((directory, query)) => (directory, RocksOptions::parse(query)),
                };
                match options {
                    Ok(options) => Ok(Self::Rocksdb(PathBuf::from(directory), options)),
                    Err(reason) => refuse(reason),
                }
            }
            #[cfg(not(feature = "rocksdb"))]
            ("rocksdb", _) => not_built(url),
            _ => refuse("the scheme is unknown"),
        }
    }
}

#[cfg(not(all(feature = "log", feature = "sqlite", feature = "rocksdb")))]
fn not_built<T>(url: &str) -> Result<T> {
    Err(Error::NotBuilt {
        url: url.to_owned(),
        available: BUILT.join(", "),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn memory_round_trips() {
        assert_eq!(
            "memory:".parse::<StoreUrl>().unwrap().to_string(),
            "memory:"
        );
        assert!(StoreUrl::Memory.open().unwrap_err().is_not_found());
    }

    #[cfg(feature = "sqlite")]
    #[test]
    fn sqlite_round_trips_with_colons_in_the_path() {
        let url: StoreUrl = "sqlite:a:b.db".parse().unwrap();
        assert_eq!(url, StoreUrl::Sqlite("a:b.db".into()));
        assert_eq!(url.to_string(), "sqlite:a:b.db");
    }

    #[cfg(feature = "log")]
    #[test]
    fn log_round_trips() {
        let url: StoreUrl = "log:a:b/c".parse().unwrap();
        assert_eq!(url, StoreUrl::Log("a:b/c".into()));
        assert_eq!(url.to_string(), "log:a:b/c");
    }

    #[cfg(not(feature = "rocksdb"))]
    #[test]
    fn backends_that_are_not_built_in_name_those_that_are() {
        let text = "rocksdb:dir".parse::<StoreUrl>().unwrap_err().to_string();
        assert!(text.contains("not built into this binary"), "{text}");
        for form in BUILT {
            assert!(text.contains(form), "{text}");
        }
    }

    #[cfg(feature = "rocksdb")]
    #[test]
    fn rocksdb_round_trips_with_its_settings() {
        for text in [
            "rocksdb:a:b",
            "rocksdb:a?cache_mib=7",
            "rocksdb:a?cache_mib=7&write_buffer_mib=9&open_files=99&compression=lz4",
        ] {
            assert_eq!(text.parse::<StoreUrl>().unwrap().to_string(), text);
        }
        for wrong in [
            "rocksdb:a?",
            "rocksdb:a?cache_mib",
            "rocksdb:a?cache_mib=0",
            "rocksdb:a?cache_mib=x",
            "rocksdb:a?compression=zip",
            "rocksdb:a?speed=9",
        ] {
            assert!(wrong.parse::<StoreUrl>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn unknown_forms_list_the_known_ones() {
        for url in ["", "chain.db", "mysql:x", "memory:x", "sqlite:", "log:"] {
            let text = url.parse::<StoreUrl>().unwrap_err().to_string();
            assert!(text.contains(KNOWN), "{text}");
        }
    }
}
