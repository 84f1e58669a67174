//! What several engines of one process can share.

use super::permits::Permits;
use super::settings::threads_to_start;
use super::sync::Arc;
use super::workers::Workers;
use super::{EngineBuilder, EngineError};
use crate::format::signature::{self, Verifier};

/// Threads, memory for blocks in flight, and a verifier with its caches, for any number of engines of one process: see
/// [`EngineBuilder::resources`]. Clones share the same. The threads end when the last clone and the last engine are gone.
///
/// The threads take turns among the engines that have something to do, and memory is granted in the order in which it was asked
/// for, so that an engine that catches up leaves each other one its share. An engine that stops or fails takes nothing from
/// the others. Committing, admission and snapshots have threads of their own in each engine, since they wait.
#[derive(Debug, Clone)]
pub struct Resources {
    pub(super) workers: Arc<Workers>,
    pub(super) memory: Arc<Permits>,
    pub(super) verifier: Arc<Verifier>,
}

impl Resources {
    /// Starts so many threads (0: as many as the machine has cores; at most 1,024) to share, with so many bytes of memory for
    /// blocks in flight in all the engines together.
    ///
    /// # Errors
    /// A thread can't be started; no verifier can be set up.
    pub fn new(threads: usize, memory_bytes: u64) -> Result<Self, EngineError> {
        Ok(Self {
            workers: Workers::start(threads_to_start(threads))?,
            memory: Permits::new(memory_bytes.max(1)),
            verifier: Arc::new(new_verifier()?),
        })
    }

    /// Bytes of the memory that engines have at the moment.
    #[must_use]
    pub fn memory_used(&self) -> u64 {
        self.memory.used()
    }
}

pub(super) fn new_verifier() -> Result<Verifier, EngineError> {
    let verifier = Verifier::new(&signature::Settings::default());
    verifier.map_err(|error| EngineError::Signatures(Arc::new(error)))
}

impl EngineBuilder {
    /// Uses threads, memory and verifier that other engines use too, instead of its own. The engine's own bound of
    /// [memory](EngineBuilder::memory_bytes) holds beside the common one; [`EngineBuilder::threads`] is of no interest.
    #[must_use]
    pub fn resources(mut self, resources: &Resources) -> Self {
        self.resources = Some(resources.clone());
        self
    }
}
