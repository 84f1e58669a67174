//! Where views are: in a store of their own beside the chain's, of the same backend.

use hubledger_storage::StoreUrl;

/// The store for the views of a chain, unless somebody says otherwise: beside the chain's, with `.views` behind its name. `None` of a chain in memory.
///
/// It is a store of its own, since that of the chain belongs to whoever validates: `log:` and `rocksdb:` let in one process alone, and all writers of tables in
/// one store are one.
#[must_use]
pub fn beside(chain: &StoreUrl) -> Option<StoreUrl> {
    let text = chain.to_string();
    let (path, settings) = match text.split_once('?') {
        Some((path, settings)) if text.starts_with("rocksdb:") => (path, format!("?{settings}")),
        _ => (&*text, String::new()),
    };
    if path.ends_with(':') {
        return None;
    }
    format!("{}.views{settings}", path.trim_end_matches('/'))
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn views_are_beside_their_chain() {
        let memory: StoreUrl = "memory:".parse().unwrap();
        assert_eq!(beside(&memory), None);
        for (chain, views) in [
            ("log:a/b/", "log:a/b.views"),
            ("sqlite:hub.db", "sqlite:hub.db.views"),
        ] {
            let chain: StoreUrl = chain.parse().unwrap();
            assert_eq!(beside(&chain).unwrap().to_string(), views);
        }
    }
}
