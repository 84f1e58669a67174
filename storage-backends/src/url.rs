//! Names of stores: a scheme for the backend, then the target.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::backend::Backend;
use crate::check::Report;
#[cfg(feature = "log")]
use crate::log::LogBackend;
use crate::memory::MemoryBackend;
#[cfg(feature = "rocksdb")]
use crate::rocks::{RocksBackend, RocksOptions};
#[cfg(feature = "sqlite")]
use crate::sqlite::SqliteBackend;
use crate::{BlockReader, Checked, Damage, Error, Repaired, Result, Store};

/// How the URLs of a backend begin, and how they are read.
struct Form {
    scheme: &'static str,
    /// Stands for what follows the scheme; empty if nothing does.
    target: &'static str,
    /// Reads what follows the scheme, which is not empty if a target is wanted. `None` if the backend is not built in.
    parse: Option<Parse>,
}

/// Gives the name of a store, or what is wrong with it.
type Parse = fn(&str) -> std::result::Result<StoreUrl, &'static str>;

/// Makes of the table of backends the names of stores ([`StoreUrl`]), their [`FORMS`], and what finds a name's backend.
///
/// An entry is `SCHEME PLACE => Variant(what the name says) is Backend;`, under its documentation and the condition under which it is built
/// in. Any backend is known, so that a store of one that isn't built in is no unknown one.
macro_rules! backends {
    ($(
        $(#[doc = $doc:literal])*
        #[cfg($built:meta)]
        $scheme:literal $target:literal =>
            $variant:ident $(($($field:ident: $type:ty),+))? is $backend:ident;
    )+) => {
        /// The name of a store, such as `sqlite:chain.db`. Variants exist for the backends that are built in.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum StoreUrl {
            $(
                $(#[doc = $doc])*
                #[cfg($built)]
                $variant $(($($type),+))?,
            )+
        }

        /// The forms of all backends, built in or not.
        const FORMS: &[Form] = &[$(
            Form {
                scheme: $scheme,
                target: $target,
                parse: {
                    #[cfg($built)]
                    { Some($backend::parse) }
                    #[cfg(not($built))]
                    { None }
                },
            },
        )+];

        /// All forms, as errors name them.
        const KNOWN: &str = concat!($(", ", $scheme, ":", $target),+).split_at(", ".len()).1;

        impl StoreUrl {
            /// The scheme, and the backend with what the rest of the name says.
            fn backend(&self) -> (&'static str, Box<dyn Backend + '_>) {
                match self {
                    $(
                        #[cfg($built)]
                        Self::$variant $(($($field),+))? => (
                            $scheme,
                            Box::new($backend { $($($field),+)? }),
                        ),
                    )+
                }
            }
        }
    };
}

backends! {
    /// `memory:`: a store that nobody else can open and that ends with its last handle. So it can be
    /// created any number of times, each time afresh, but never opened; see [`MemoryStore`](crate::MemoryStore) for one that can.
    #[cfg(all())]
    "memory" "" => Memory is MemoryBackend;

    /// `log:DIR`: an append-log in a directory, with [`LogOptions`](crate::LogOptions) as they are by default.
    #[cfg(feature = "log")]
    "log" "DIR" => Log(directory: std::path::PathBuf) is LogBackend;

    /// `sqlite:FILE`: an SQLite database.
    #[cfg(feature = "sqlite")]
    "sqlite" "FILE" => Sqlite(path: std::path::PathBuf) is SqliteBackend;

    /// `rocksdb:DIR`, or `rocksdb:DIR?SETTING=VALUE&…`: a RocksDB database in a directory; see [`RocksOptions`].
    #[cfg(feature = "rocksdb")]
    "rocksdb" "DIR" => Rocksdb(directory: std::path::PathBuf, options: RocksOptions) is RocksBackend;
}

impl StoreUrl {
    /// Creates an empty store and opens it.
    ///
    /// # Errors
    /// [`Error::Exists`] if anything but an empty file (or, for `log:` and `rocksdb:`, an empty directory) is at the path; [`Error::Io`] or
    /// [`Error::ReadOnly`] if the place can't be written. Nothing that was there is changed.
    pub fn create(&self) -> Result<Store> {
        self.backend().1.create()
    }

    /// Opens a store to write and to read.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::NotAStore`], [`Error::Version`], [`Error::InUse`],
    /// [`Error::Corrupt`], [`Error::ReadOnly`] or [`Error::Io`]. What is not a store is not changed.
    pub fn open(&self) -> Result<Store> {
        self.backend().1.open()
    }

    /// Opens a store only to read, also while a writer has it open: one of this process or, for `sqlite:`,
    /// one of another.
    ///
    /// # Errors
    /// Those of [`open`](Self::open); [`Error::InUse`] only for `log:`, while another process writes, and for `rocksdb:`,
    /// while another process has it open.
    pub fn open_read_only(&self) -> Result<Arc<dyn BlockReader>> {
        self.backend().1.open_read_only()
    }

    /// Opens a store to save what can be read of it. Such a reader never says that a key is absent.
    ///
    /// A `log:` that can't be opened as usual is opened as far as its files can be read: `found` is told of the damage that was met,
    /// heights whose records can't be read are [`Error::Corrupt`], and the end is behind the last record that can be. Of `sqlite:` and
    /// `rocksdb:`, rows at the ends of the chain may be missing. Until the reader is gone, nobody begins to write to a `log:`, this process
    /// included ([`Error::InUse`]). O(headers and keys).
    ///
    /// # Errors
    /// Those of [`open_read_only`](Self::open_read_only): [`Error::Corrupt`] if not even this can be.
    pub fn open_damaged(&self, found: &mut dyn FnMut(Damage)) -> Result<Arc<dyn BlockReader>> {
        let mut report = Report::default();
        let opened = self.backend().1.open_damaged(&mut report);
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
        let outcome = self.backend().1.check(&mut report);
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
    pub fn repair(&self, done: &mut dyn FnMut(Repaired)) -> Result<()> {
        self.backend().1.repair(done)
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
        self.backend().1.exists()
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, backend) = self.backend();
        write!(f, "{scheme}:{backend}")
    }
}

impl FromStr for StoreUrl {
    type Err = Error;

    fn from_str(url: &str) -> Result<Self> {
        let refuse = |reason| Error::Url {
            url: url.to_owned(),
            reason,
            known: KNOWN,
        };
        let (scheme, target) = url
            .split_once(':')
            .ok_or_else(|| refuse("it has no scheme"))?;
        let form = FORMS
            .iter()
            .find(|form| form.scheme == scheme)
            .ok_or_else(|| refuse("the scheme is unknown"))?;
        if target.is_empty() && !form.target.is_empty() {
            return Err(refuse("the path is missing"));
        }
        match form.parse {
            Some(parse) => parse(target).map_err(refuse),
            None => Err(Error::NotBuilt {
                url: url.to_owned(),
                available: built(),
            }),
        }
    }
}

/// The forms of the backends that this binary has.
fn built() -> String {
    let built = FORMS.iter().filter(|form| form.parse.is_some());
    let texts = built.map(|form| format!("{}:{}", form.scheme, form.target));
    texts.collect::<Vec<_>>().join(", ")
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
        for form in FORMS.iter().filter(|form| form.parse.is_some()) {
            let form = format!("{}:{}", form.scheme, form.target);
            assert!(text.contains(&form), "{text}");
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
    fn errors_have_their_words() {
        assert_eq!(KNOWN, "memory:, log:DIR, sqlite:FILE, rocksdb:DIR");
        for (url, reason) in [
            ("chain.db", "it has no scheme"),
            ("mysql:x", "the scheme is unknown"),
            ("memory:x", "a store in memory has no path"),
            ("log:", "the path is missing"),
            ("sqlite:", "the path is missing"),
            ("rocksdb:", "the path is missing"),
        ] {
            let text = url.parse::<StoreUrl>().unwrap_err().to_string();
            let expected = format!("{url:?} doesn't name a store ({reason}); known forms: {KNOWN}");
            assert_eq!(text, expected);
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
