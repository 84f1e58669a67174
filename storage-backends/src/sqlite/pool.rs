//! A bounded pool of connections that read.

use std::ops::Deref;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OpenFlags};

use super::fault::DatabaseFile;
use super::options::SqliteOptions;
use super::presence::Presence;
use super::schema;
use crate::{DamageAt, Error, Result};

/// Most connections of one reader; further threads wait for one.
const CONNECTIONS_MAX: usize = 16;
/// Most connections of a process with a moment of their own. They can't be waited for: whoever holds them may be the one who would wait.
const MOMENTS_MAX: usize = 256;

/// Whose reader it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Opened without a writer: can't write to the file at all.
    Alone,
    /// Opened without a writer where SQLite can't make the files that it needs to see what writers do: there are none.
    Immutable,
    /// Opened with the writer: the connections could write (but are told not to), so that whichever
    /// closes last moves the log into the file.
    BesideWriter,
}

/// Connections that rest between calls. At most [`CONNECTIONS_MAX`] are used by calls; one that finds none waits. Beside them are those of
/// moments that somebody holds.
pub(super) struct Pool {
    file: DatabaseFile,
    mode: Mode,
    options: SqliteOptions,
    shared: Mutex<Connections>,
    freed: Condvar,
    // Last, so that it outlives the connections.
    presence: Arc<Presence>,
}

#[derive(Default)]
struct Connections {
    idle: Vec<Connection>,
    taken: usize,
}

impl Pool {
    pub(super) fn new(presence: Arc<Presence>, mode: Mode, options: SqliteOptions) -> Self {
        Self {
            file: DatabaseFile::new(presence.path()),
            mode,
            options,
            shared: Mutex::default(),
            freed: Condvar::new(),
            presence,
        }
    }

    pub(super) fn file(&self) -> &DatabaseFile {
        &self.file
    }

    /// Takes a connection, for as long as the guard lives.
    pub(super) fn take(&self) -> Result<Taken<'_>> {
        let mut shared = self.lock();
        // Each connection has descriptors and a cache of its own: as many threads as there are requests must not use up either.
        while shared.taken >= CONNECTIONS_MAX {
            shared = self
                .freed
                .wait(shared)
                .unwrap_or_else(PoisonError::into_inner);
        }
        shared.taken += 1;
        let idle = shared.idle.pop();
        drop(shared);
        // From here on, dropping gives the place back, so that a connection that fails takes none for ever.
        let mut taken = Taken {
            pool: self,
            connection: idle,
        };
        if taken.connection.is_none() {
            taken.connection = Some(self.connect()?);
        }
        Ok(taken)
    }

    fn connect(&self) -> Result<Connection> {
        let file = &self.file;
        let connection = match self.mode {
            Mode::Alone => schema::connect(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?,
            Mode::Immutable => schema::connect_immutable(file)?,
            Mode::BesideWriter => schema::connect(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?,
        };
        let fault = self.file.fault("open", DamageAt::Structure);
        connection
            .pragma_update(None, "query_only", "ON")
            .map_err(&fault)?;
        connection
            .pragma_update(None, "cache_size", -i32::from(self.options.cache_kib))
            .map_err(&fault)?;
        Ok(connection)
    }

    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that goes back to its pool when dropped.
pub(super) struct Taken<'a> {
    pool: &'a Pool,
    connection: Option<Connection>,
}

impl Deref for Taken<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
            .as_ref()
            .expect("set before the guard is handed out")
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut shared = self.pool.lock();
        shared.taken -= 1;
        shared.idle.extend(self.connection.take());
        drop(shared);
        self.pool.freed.notify_one();
    }
}

/// A connection in a read transaction, which goes back to its pool when dropped.
pub(super) struct OwnedConnection {
    pool: Arc<Pool>,
    connection: Option<Connection>,
}

impl OwnedConnection {
    /// Takes a connection, which sees this moment from now on.
    pub(super) fn begin(pool: &Arc<Pool>) -> Result<Self> {
        if !pool.presence.hold_moment(MOMENTS_MAX) {
            return Err(Error::Unusable {
                path: pool.file.path.clone(),
                reason: format!(
                    "{MOMENTS_MAX} views of its tables are open, each on a connection of its own; drop some, or share them"
                ),
            });
        }
        // From here on, dropping gives the place back.
        let mut owned = Self {
            pool: Arc::clone(pool),
            connection: None,
        };
        let idle = pool.lock().idle.pop();
        let connection = match idle {
            Some(connection) => connection,
            None => pool.connect()?,
        };
        connection
            .execute_batch("BEGIN")
            .map_err(pool.file.fault("read", DamageAt::Structure))?;
        owned.connection = Some(connection);
        Ok(owned)
    }

    pub(super) fn file(&self) -> &DatabaseFile {
        &self.pool.file
    }
}

impl Deref for OwnedConnection {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
            .as_ref()
            .expect("set before it is handed out")
    }
}

impl Drop for OwnedConnection {
    fn drop(&mut self) {
        let ended = self.connection.take().and_then(|connection| {
            let ended = connection.execute_batch("COMMIT");
            // One that still is in a transaction would show its moment to others.
            ended.is_ok().then_some(connection)
        });
        self.pool.presence.let_moment_go();
        let mut shared = self.pool.lock();
        if shared.idle.len() < CONNECTIONS_MAX {
            shared.idle.extend(ended);
        }
    }
}
