//! A place for what a command works out and doesn't keep.

use std::env;

use hubledger::engine::EngineBuilder;
use hubledger_storage::{Error, Result, Store, StoreUrl};
use tempfile::TempDir;

/// The builder with a store for a state that doesn't fit into memory, in a new folder among the system's temporary ones, which goes with the engine.
/// Neither is made before it is needed.
pub(crate) fn with_scratch(builder: EngineBuilder) -> EngineBuilder {
    // Of the backends that keep files and are built in, the first.
    let is_built = |scheme: &&str| format!("{scheme}:x").parse::<StoreUrl>().is_ok();
    let Some(scheme) = ["log", "sqlite"].into_iter().find(is_built) else {
        return builder;
    };
    let mut folder = None;
    builder.scratch(move || make(scheme, &mut folder))
}

fn make(scheme: &str, folder: &mut Option<TempDir>) -> Result<Store> {
    let made = tempfile::Builder::new().prefix("hubledger-").tempdir();
    let made = made.map_err(|source| Error::Io {
        operation: "make a folder in it",
        path: env::temp_dir(),
        source,
    })?;
    let url = format!("{scheme}:{}", made.path().join("state").display());
    *folder = Some(made);
    url.parse::<StoreUrl>()?.create()
}
