//! What is drawn once for each store, from the operating system, so that nobody can foretell it.

use std::io;

use super::salt::StoreId;

/// What a new store gets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Drawn {
    /// Tells it from any other store.
    pub(crate) store: StoreId,
    /// The secret of its index's hash.
    pub(crate) seed: [u64; 2],
}

/// Draws for a new store. Fails where the system has no randomness to give.
pub(crate) fn draw() -> io::Result<Drawn> {
    let mut store = StoreId::default();
    getrandom::fill(&mut store)?;
    Ok(Drawn {
        store,
        seed: [getrandom::u64()?, getrandom::u64()?],
    })
}
