//! Our backends, by the schemes of `StoreUrl`.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use hubledger_storage::{Block, Durability, Error, Id, Location, Store, StoreUrl};

use super::keeper::{Contender, Keeper, Scheme};
use super::workload::Place;

/// A store of ours.
pub(crate) struct Ours {
    store: Store,
    durability: Durability,
}

impl Ours {
    pub(crate) fn open(scheme: &Scheme, directory: &Path, durability: Durability) -> Result<Self> {
        let url = url(scheme, directory)?;
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

/// The URL of a store in a directory that holds nothing else.
pub(super) fn url(scheme: &Scheme, directory: &Path) -> Result<StoreUrl> {
    let text = match scheme.0.as_str() {
        "memory" => "memory:".to_owned(),
        scheme => format!("{scheme}:{}", directory.join("store").display()),
    };
    text.parse().with_context(|| format!("store {text}"))
}

/// The same, for a contender that has to be ours.
pub(crate) fn store_url(contender: &Contender, directory: &Path) -> Result<StoreUrl> {
    match contender {
        Contender::Ours(scheme) => url(scheme, directory),
        peer => bail!("{peer} is a peer, which only keeps blocks"),
    }
}

/// Whether `StoreUrl` knows the scheme, be it built in or not.
pub(super) fn is_scheme(name: &str) -> bool {
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase());
    plain && !matches!(parse(name), Err(Error::Url { .. }))
}

/// Why a scheme can't be measured with this binary, if it can't.
pub(super) fn missing(scheme: &Scheme) -> Option<String> {
    match parse(&scheme.0) {
        Err(error) => Some(error.to_string()),
        Ok(_) => None,
    }
}

/// The forms that `StoreUrl` knows.
pub(super) fn known() -> &'static str {
    match parse("") {
        Err(Error::Url { known, .. }) => known,
        _ => "none",
    }
}

fn parse(scheme: &str) -> Result<StoreUrl, Error> {
    match scheme {
        "memory" => "memory:".parse(),
        scheme => format!("{scheme}:place").parse(),
    }
}
