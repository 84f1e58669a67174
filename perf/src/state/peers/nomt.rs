//! nomt with SHA-256 and its own settings: a batch is a session, which is committed and so synced.

use std::path::Path;

use anyhow::Result;
use nomt::hasher::Sha2Hasher;
use nomt::{KeyReadWrite, Nomt, Options, SessionParams};

use crate::state::rows::{Key, Value};
use crate::state::updates::Updates;

/// Rows by their keys, which nomt takes as places in its tree as they are.
pub(super) struct NomtRows(Nomt<Sha2Hasher>);

impl NomtRows {
    pub(super) fn create(directory: &Path) -> Result<Self> {
        let mut options = Options::new();
        options.path(directory.join("nomt"));
        Ok(Self(Nomt::open(options)?))
    }
}

impl Updates for NomtRows {
    fn put(&mut self, rows: &[(Key, Value)]) -> Result<[u8; 32]> {
        let session = self.0.begin_session(SessionParams::default());
        for (key, _) in rows {
            session.warm_up(*key);
        }
        let write = |(key, value): &(Key, Value)| (*key, KeyReadWrite::Write(Some(value.to_vec())));
        let finished = session.finish(rows.iter().map(write).collect())?;
        let root = finished.root().into_inner();
        finished.commit(&self.0)?;
        Ok(root)
    }

    fn value(&self, key: &Key) -> Result<Option<Vec<u8>>> {
        self.0.begin_session(SessionParams::default()).read(*key)
    }
}
