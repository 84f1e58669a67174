//! Where a chain of the model lives: a store of each backend that can be opened again, moved from, and cut off from its process or its power.

use std::fs;
use std::path::Path;

use hubledger::testing::Numbers;
use hubledger_storage::{Store, StoreUrl};
use tempfile::TempDir;

use super::forgetful::Forgetful;

/// Every backend of the model.
const BACKENDS: [&str; 3] = ["memory", "log", "sqlite"];

/// A store, and the folder that it is in if it is in one.
pub(crate) enum Home {
    Memory(Forgetful),
    Folder(&'static str, TempDir),
}

impl Home {
    /// A new one of a backend that is built in.
    pub(crate) fn any(numbers: &mut Numbers) -> Self {
        let is_built = |name: &&str| format!("{name}:x").parse::<StoreUrl>().is_ok();
        let built: Vec<_> = BACKENDS[1..].iter().copied().filter(is_built).collect();
        // More than half of them lose their power in crashes, which the backends with files leave to tests of their own.
        match built.get(numbers.below(2 * built.len() as u64 + 1) as usize) {
            Some(name) => Self::Folder(name, tempfile::tempdir().unwrap()),
            None => Self::Memory(Forgetful::default()),
        }
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Memory(_) => BACKENDS[0],
            Self::Folder(name, _) => name,
        }
    }

    /// The store, created at the first call.
    pub(crate) fn open(&self) -> Store {
        match self {
            Self::Memory(store) => store.open(),
            Self::Folder(name, folder) => open(name, &folder.path().join("store")),
        }
    }

    /// What is left of a store whose process was killed, while it still has it open, or, in memory, whose power was lost.
    pub(crate) fn crashed(self, numbers: &mut Numbers) -> Self {
        match self {
            Self::Memory(store) => Self::Memory(store.lose_power(numbers)),
            copied => copied,
        }
    }

    /// The files as they are now: all that a process leaves that is killed at this moment.
    pub(crate) fn files_now(&self) -> Option<Self> {
        let Self::Folder(name, folder) = self else {
            return None;
        };
        let copy = tempfile::tempdir().unwrap();
        copy_all(folder.path(), copy.path());
        Some(Self::Folder(name, copy))
    }

    /// What is left of a whole store without a chain in it.
    pub(crate) const fn is_memory(&self) -> bool {
        matches!(self, Self::Memory(_))
    }
}

#[cfg(feature = "log")]
fn open(name: &str, path: &Path) -> Store {
    use hubledger_storage::LogOptions;
    if name != "log" {
        return open_url(name, path);
    }
    // Segments of a few blocks, tables that are merged often, and no threads, so that a history comes out the same again.
    let options = LogOptions {
        segment_bytes: 20_000,
        segment_entries: 100,
        index_fanout: 2,
        index_in_background: false,
        table_memory_bytes: 3_000,
        ..LogOptions::default()
    };
    match path.exists() {
        true => options.open(path).unwrap(),
        false => options.create(path).unwrap(),
    }
}

#[cfg(not(feature = "log"))]
fn open(name: &str, path: &Path) -> Store {
    open_url(name, path)
}

fn open_url(name: &str, path: &Path) -> Store {
    let url: StoreUrl = format!("{name}:{}", path.display()).parse().unwrap();
    url.open_or_create().unwrap()
}

fn copy_all(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let (entry, to) = (entry.unwrap(), to.to_owned());
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&target).unwrap();
            copy_all(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
}
