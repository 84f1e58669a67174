//! The stores of a backend that this process has open, each once, by what they are: a store has as many paths as there are links and
//! mounts, and a lock that the process has would be in its own way.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::identity::Identity;

/// A backend's open stores. They are forgotten when their last handle goes.
#[derive(Debug)]
pub(crate) struct OpenStores<T>(Mutex<Vec<(Identity, Weak<T>)>>);

/// Nobody else opens a store of the backend as long as this lives.
#[derive(Debug)]
pub(crate) struct Opening<'a, T>(MutexGuard<'a, Vec<(Identity, Weak<T>)>>);

impl<T> OpenStores<T> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Begins to open a store. Other threads that do wait meanwhile, so that one store is not opened twice.
    pub(crate) fn begin(&self) -> Opening<'_, T> {
        Opening(self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T> Opening<'_, T> {
    /// The store, if it is open.
    pub(crate) fn find(&mut self, identity: &Identity) -> Option<Arc<T>> {
        self.0.retain(|(_, store)| store.strong_count() > 0);
        let mut same = self.0.iter().filter(|(found, _)| found == identity);
        same.find_map(|(_, store)| store.upgrade())
    }

    /// Notes a store that is open now.
    pub(crate) fn add(&mut self, identity: Identity, store: &Arc<T>) {
        self.0.push((identity, Arc::downgrade(store)));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use super::*;

    #[test]
    fn a_store_is_found_until_its_last_handle_goes() {
        let stores = OpenStores::new();
        let [here, above] = [".", ".."].map(|path| {
            let path = Path::new(path).canonicalize().unwrap();
            Identity::from(&path, &path.metadata().unwrap())
        });
        let store = Arc::new(7);
        stores.begin().add(here.clone(), &store);
        assert_eq!(stores.begin().find(&here), Some(Arc::clone(&store)));
        assert_eq!(stores.begin().find(&above), None);
        drop(store);
        assert_eq!(stores.begin().find(&here), None);
    }
}
