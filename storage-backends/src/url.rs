//! Names of stores: a scheme for the backend, then the place.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

#[cfg(feature = "log")]
use crate::log::{self, LogOptions};
#[cfg(feature = "sqlite")]
use crate::sqlite;
use crate::{BlockReader, Error, MemoryStore, Result, Store};

const KNOWN: &str = "memory:, log:DIR, sqlite:FILE, rocksdb:DIR";

/// Forms of the backends that this binary has.
const BUILT: &[&str] = &[
    "memory:",
    #[cfg(feature = "log")]
    "log:DIR",
    #[cfg(feature = "sqlite")]
    "sqlite:FILE",
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
}

impl StoreUrl {
    /// Creates an empty store and opens it.
    ///
    /// # Errors
    /// [`Error::Exists`] if anything but an empty file (or, for `log:`, an empty directory) is at the path; [`Error::Io`] or
    /// [`Error::ReadOnly`] if the place can't be written. Nothing that was there is changed.
    pub fn create(&self) -> Result<Store> {
        match self {
            Self::Memory => MemoryStore::new().open(),
            #[cfg(feature = "log")]
            Self::Log(directory) => LogOptions::default().create(directory),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(path) => sqlite::create(path),
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
            Self::Sqlite(path) => sqlite::open(path),
        }
    }

    /// Opens a store only to read, also while a writer has it open: one of this process or, but for `log:`,
    /// one of another.
    ///
    /// # Errors
    /// Those of [`open`](Self::open); [`Error::InUse`] only for `log:`, while another process writes.
    pub fn open_read_only(&self) -> Result<Arc<dyn BlockReader>> {
        match self {
            Self::Memory => Err(self.missing()),
            #[cfg(feature = "log")]
            Self::Log(directory) => LogOptions::default().open_read_only(directory),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(path) => sqlite::open_read_only(path),
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
            ("rocksdb", _) => not_built(url),
            _ => refuse("the scheme is unknown"),
        }
    }
}

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

    #[test]
    fn backends_that_are_not_built_in_name_those_that_are() {
        let text = "rocksdb:dir".parse::<StoreUrl>().unwrap_err().to_string();
        assert!(text.contains("not built into this binary"), "{text}");
        for form in BUILT {
            assert!(text.contains(form), "{text}");
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
