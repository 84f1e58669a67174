//! Our backends, by the schemes of `StoreUrl`.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use hubledger_storage::{Block, Durability, Error, Id, Location, Store, StoreUrl};

use super::keeper::Keeper;
use super::workload::Place;

/// A store of ours.
pub(crate) struct Ours {
    store: Store,
    durability: Durability,
}

impl Ours {
    pub(crate) fn open(scheme: &Scheme, directory: &Path, durability: Durability) -> Result<Self> {
        let url = scheme.url(directory)?;
        let store = url
            .open_or_create()
            .with_context(|| format!("open {url}"))?;
        Ok(Self { store, durability })
    }
}

impl Keeper for Ours {
    fn append(&mut self, run: &[Block]) -> Result<()> {
        let receipt = self.store.writer.append(run, self.durability)?;
        // A store in memory can't do better, and says so.
        if receipt.durability < self.durability && receipt.durability != Durability::Memory {
            bail!(
                "asked for {}, the receipt says {}",
                self.durability,
                receipt.durability
            );
        }
        Ok(())
    }

    fn locate(&self, key: &Id) -> Result<Option<Place>> {
        match self.store.reader.locate(key)? {
            Location::Found { height, position } | Location::Pruned { height, position } => {
                Ok(Some(Place { height, position }))
            }
            Location::Absent => Ok(None),
            Location::Forgotten { below } => bail!("index entries below {below} were pruned"),
            Location::NotIndexed { watermark } => bail!("not indexed from {watermark} on"),
        }
    }

    /// Closing waits for threads that write index files.
    fn finish(self: Box<Self>) -> Result<()> {
        drop(self.store);
        Ok(())
    }
}

/// A scheme that `StoreUrl` knows, be it built in or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scheme(String);

impl Scheme {
    /// A scheme that is known to exist.
    pub(super) fn new(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// The scheme of this name, if there is one.
    pub(super) fn find(name: &str) -> Option<Self> {
        let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase());
        let scheme = Self::new(name);
        (plain && !matches!(scheme.parse(), Err(Error::Url { .. }))).then_some(scheme)
    }

    pub(super) fn name(&self) -> &str {
        &self.0
    }

    /// The URL of a store in a directory that holds nothing else.
    pub(super) fn url(&self, directory: &Path) -> Result<StoreUrl> {
        let text = match self.name() {
            "memory" => "memory:".to_owned(),
            scheme => format!("{scheme}:{}", directory.join("store").display()),
        };
        text.parse().with_context(|| format!("store {text}"))
    }

    /// Why it can't be measured with this binary, if it can't.
    pub(super) fn missing(&self) -> Option<String> {
        self.parse().err().map(|error| error.to_string())
    }

    fn parse(&self) -> Result<StoreUrl, Error> {
        match self.name() {
            "memory" => "memory:".parse(),
            scheme => format!("{scheme}:place").parse(),
        }
    }
}

/// The forms of URLs that `StoreUrl` knows.
pub(super) fn known_forms() -> &'static str {
    match Scheme::new("").parse() {
        Err(Error::Url { known, .. }) => known,
        _ => "none",
    }
}
