//! The stores that this process has open, and the lock that keeps other processes out.
//!
//! A store is open once in a process, however many callers open it: its readers and its writer share one [`Home`], and with it
//! the process's lock, which is exclusive from the first writer on until the last handle is gone.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::directory::has_segments;
use super::files::{Files, SystemFiles};
use super::format::{FileKind, Named, SUPERBLOCK_BYTES, Superblock};
use super::load::load;
use super::lock::StoreLock;
use super::options::LogOptions;
use super::reader::LogReader;
use super::recover::recover;
use super::shared::{LogContext, Shared, open_to_read};
use super::tables::{LogTableReader, LogTableWriter, TableShared};
use super::writer::LogWriter;
use crate::identity::Identity;
use crate::opening::open_regular;
use crate::toolbox::open_stores::OpenStores;
use crate::{BlockReader, DamageAt, Error, Result, Store, TableReader};

/// One open store.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) shared: Arc<Shared>,
    pub(super) tables: Arc<TableShared>,
    /// None where a test stands in for the file system.
    lock: Option<StoreLock>,
    /// [`WRITTEN`], or how many [`Unwritten`] there are.
    holds: AtomicU32,
}

/// Stands for a writer in [`Home::holds`].
const WRITTEN: u32 = u32::MAX;

impl Home {
    pub(super) fn new(shared: Shared, lock: Option<StoreLock>) -> Self {
        Self {
            tables: Arc::new(TableShared::new(&shared.context)),
            shared: Arc::new(shared),
            lock,
            holds: AtomicU32::new(0),
        }
    }

    #[cfg(test)]
    pub(super) fn lock(&self) -> Option<&StoreLock> {
        self.lock.as_ref()
    }

    /// What reads the tables.
    pub(super) fn table_reader(self: &Arc<Self>) -> Arc<dyn TableReader> {
        let check = |home: &Arc<Self>| home.check_lock();
        Arc::new(LogTableReader::new(&self.tables, Arc::clone(self), check))
    }

    /// Fails if another process may be writing.
    pub(super) fn check_lock(&self) -> Result<()> {
        self.lock.as_ref().map_or(Ok(()), StoreLock::check)
    }

    /// Bytes that the file system gave to all files of the store.
    pub(super) fn bytes_on_disk(&self) -> Result<u64> {
        let context = &self.shared.context;
        let fault = |source| Error::system("measure", &context.directory, source);
        let mut sum = self.tables.bytes_on_disk().map_err(fault)?;
        for name in context.files.list(&context.directory).map_err(fault)? {
            if Named::of(&name) == Named::Other {
                continue;
            }
            match context.files.allocated(&context.directory.join(name)) {
                Ok(bytes) => sum += bytes,
                // Unlinked, or given its final name, meanwhile.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(fault(error)),
            }
        }
        Ok(sum)
    }
}

/// The one writer's hold on a store.
#[derive(Debug)]
pub(super) struct Hold {
    home: Arc<Home>,
}

impl Hold {
    fn begin(home: &Arc<Home>) -> Result<Self> {
        // Pairs with the release when the last hold went: all that the earlier writer did comes before.
        let begun = home
            .holds
            .compare_exchange(0, WRITTEN, Ordering::Acquire, Ordering::Relaxed);
        if begun.is_err() {
            return Err(Error::InUse {
                path: home.shared.context.directory.clone(),
            });
        }
        Ok(Self {
            home: Arc::clone(home),
        })
    }

    pub(super) fn home(&self) -> &Arc<Home> {
        &self.home
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.home.holds.store(0, Ordering::Release);
    }
}

/// As long as one lives, nobody in this process writes to the store, so that its files can be read past what is shared.
#[derive(Debug)]
pub(super) struct Unwritten {
    home: Arc<Home>,
}

impl Unwritten {
    /// Nothing if there is a writer.
    pub(super) fn begin(home: &Arc<Home>) -> Option<Self> {
        let one_more = |holds: u32| holds.checked_add(1).filter(|holds| *holds < WRITTEN);
        let begun = home
            .holds
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, one_more);
        begun.ok().map(|_| Self {
            home: Arc::clone(home),
        })
    }
}

impl Drop for Unwritten {
    fn drop(&mut self) {
        self.home.holds.fetch_sub(1, Ordering::Release);
    }
}

static OPEN: OpenStores<Home> = OpenStores::new();

/// Opens a store to write, and to read.
pub(super) fn open(directory: &Path, options: LogOptions) -> Result<Store> {
    // Held to the end: two threads that opened the store at once would each recover its files.
    let mut homes = OPEN.begin();
    let identity = Identity::of(directory)?;
    if let Some(home) = homes.find(&identity) {
        let hold = Hold::begin(&home)?;
        if let Some(lock) = &home.lock {
            lock.make_exclusive()?;
        }
        // The earlier writer may have failed, with a state that the files don't have: only what they hold counts.
        let context = LogContext {
            options,
            ..home.shared.context.clone()
        };
        let (state, disk) = recover(&context, load(&context, false)?)?;
        *home.shared.write() = state;
        return store(hold, disk);
    }
    let (context, file) = read_store(directory, options)?;
    // Before anything is read: another process may be writing until then.
    let lock = StoreLock::exclusive(file, directory)?;
    let (state, disk) = recover(&context, load(&context, false)?)?;
    let home = Arc::new(Home::new(Shared::new(context, state), Some(lock)));
    homes.add(identity, &home);
    store(Hold::begin(&home)?, disk)
}

/// Opens a store on files that a test brings, without a lock.
#[cfg(test)]
pub(super) fn open_on(
    files: Arc<dyn Files>,
    directory: &Path,
    options: LogOptions,
) -> Result<Store> {
    open_home_on(files, directory, options).map(|(_, store)| store)
}

/// The same, and what its halves share.
#[cfg(test)]
pub(super) fn open_home_on(
    files: Arc<dyn Files>,
    directory: &Path,
    options: LogOptions,
) -> Result<(Arc<Home>, Store)> {
    let context = site_on(files, directory, options)?;
    let (state, disk) = recover(&context, load(&context, false)?)?;
    let home = Arc::new(Home::new(Shared::new(context, state), None));
    let store = store(Hold::begin(&home)?, disk)?;
    Ok((home, store))
}

/// A store on files that a test brings.
#[cfg(test)]
pub(super) fn site_on(
    files: Arc<dyn Files>,
    directory: &Path,
    options: LogOptions,
) -> Result<LogContext> {
    let (context, _) = read_store(directory, options)?;
    Ok(LogContext { files, ..context })
}

/// Opens a store only to read.
pub(super) fn open_read_only(
    directory: &Path,
    options: LogOptions,
) -> Result<Arc<dyn BlockReader>> {
    Ok(Arc::new(LogReader::new(open_home(directory, options)?)))
}

/// A store that is open, or is opened to read.
pub(super) fn open_home(directory: &Path, options: LogOptions) -> Result<Arc<Home>> {
    let mut homes = OPEN.begin();
    let identity = Identity::of(directory)?;
    if let Some(home) = homes.find(&identity) {
        home.check_lock()?;
        return Ok(home);
    }
    let (context, file) = read_store(directory, options)?;
    let lock = StoreLock::shared(file, directory)?;
    let state = load(&context, true)?.state;
    let home = Arc::new(Home::new(Shared::new(context, state), Some(lock)));
    homes.add(identity, &home);
    Ok(home)
}

/// A store whose files are read without opening it; until the lock is dropped, nobody else writes to it.
pub(super) fn lock_to_read(directory: &Path) -> Result<(LogContext, StoreLock)> {
    let (context, file) = match read_store(directory, LogOptions::default()) {
        Err(Error::Corrupt { .. }) => read_without_store(directory)?,
        found => found?,
    };
    Ok((context, StoreLock::shared(file, directory)?))
}

/// A store whose files are written without opening it, by nobody else until the lock is dropped.
pub(super) fn lock_to_write(directory: &Path) -> Result<(LogContext, StoreLock)> {
    let (context, file) = read_store(directory, LogOptions::default())?;
    Ok((context, StoreLock::exclusive(file, directory)?))
}

/// As much as can be known of a store whose file `store` is damaged: its id is in the other files too.
fn read_without_store(directory: &Path) -> Result<(LogContext, File)> {
    let path = Named::Heads(0).path(directory);
    let head = open_to_read(&SystemFiles, &path)?.head()?;
    let Superblock { store, .. } = Superblock::decode(&path, &head, FileKind::Heads, None)?;
    let options = LogOptions::default();
    let context = LogContext::new(Arc::new(SystemFiles), directory, store, [0; 2], options);
    let path = Named::Store.path(directory);
    let lock = open_regular(&path).map_err(|source| Error::system("open", &path, source))?;
    Ok((context, lock))
}

/// A store any of whose files may be damaged, also the one that the lock is on: that is not locked if it is missing, when nobody
/// else can open the store either.
pub(super) fn lock_damaged(directory: &Path) -> Result<(LogContext, Option<StoreLock>)> {
    let context = match read_store(directory, LogOptions::default()) {
        Ok((context, _)) => context,
        Err(Error::Corrupt { .. } | Error::Io { .. }) => site_of_any_file(directory)?,
        Err(error) => return Err(error),
    };
    let Ok(file) = open_regular(&Named::Store.path(directory)) else {
        return Ok((context, None));
    };
    Ok((context, Some(StoreLock::shared(file, directory)?)))
}

/// As much as can be known of a store without its file `store`: its id, from the first file that has it.
fn site_of_any_file(directory: &Path) -> Result<LogContext> {
    let missing = || {
        let reason = "no file says which store it is";
        Error::corrupt(directory, DamageAt::Structure, reason)
    };
    let files = Arc::new(SystemFiles);
    let names = files
        .list(directory)
        .map_err(|source| Error::system("list", directory, source))?;
    let superblock = names.iter().find_map(|name| {
        let kind = match Named::of(name) {
            Named::Heads(_) => FileKind::Heads,
            Named::Bodies(_) => FileKind::Bodies,
            Named::Values(_) => FileKind::Values,
            Named::Mark => FileKind::Mark,
            _ => return None,
        };
        let path = directory.join(name);
        let head = open_to_read(&*files, &path).and_then(|file| file.head());
        Superblock::decode(&path, &head.ok()?, kind, None).ok()
    });
    let Superblock { store, .. } = superblock.ok_or_else(missing)?;
    // The seed is in the file `store` alone, so no index can be asked; whoever reads a damaged store doesn't.
    let options = LogOptions::default();
    Ok(LogContext::new(files, directory, store, [0; 2], options))
}

fn store(hold: Hold, disk: super::disk::Disk) -> Result<Store> {
    let reader = Arc::new(LogReader::new(Arc::clone(hold.home())));
    let hold = Arc::new(hold);
    let tables = LogTableWriter::guarded(&hold.home().tables, Arc::clone(&hold));
    let tables = Box::new(tables);
    let writer = Box::new(LogWriter::new(hold, disk)?);
    Ok(Store {
        reader,
        writer,
        tables,
    })
}

/// Reads the file `store`, on which the lock is taken.
fn read_store(directory: &Path, options: LogOptions) -> Result<(LogContext, File)> {
    let path = Named::Store.path(directory);
    let fault = |source| Error::system("open", &path, source);
    let file = open_regular(&path).map_err(fault)?;
    let files = Arc::new(SystemFiles);
    let read = open_to_read(&*files, &path)?;
    let superblock = match Superblock::decode(&path, &read.head()?, FileKind::Store, None) {
        // Many programs have a file of this name; without segments beside it, it makes no store.
        Err(Error::Corrupt {
            damage_at: DamageAt::Offset(0),
            ..
        }) if !has_segments(directory).map_err(fault)? => {
            let found = "another program's file".to_owned();
            return Err(Error::NotAStore { path, found });
        }
        decoded => decoded?,
    };
    if read.length() != SUPERBLOCK_BYTES as u64 {
        let damage_at = DamageAt::Offset(SUPERBLOCK_BYTES as u64);
        return Err(Error::corrupt(
            &path,
            damage_at,
            "the file is longer than it should be",
        ));
    }
    let seed = [superblock.fields[0], superblock.fields[1]];
    let context = LogContext::new(files, directory, superblock.store, seed, options);
    Ok((context, file))
}
