//! A file to put an input in, for readers that take a path, and where such files are.

use std::cell::RefCell;
use std::env;
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempDir};

/// Where systems have files in memory.
const MEMORY: &str = "/dev/shm";

/// The folder that the environment names for temporary files, or else one in memory where there is one: inputs are many, and a
/// disk would be most of what they wait for. libFuzzer leaves without cleaning up, so whoever runs targets often names a folder
/// and removes it, as `scripts/fuzz` does.
fn place() -> PathBuf {
    let memory = PathBuf::from(MEMORY);
    if env::var_os("TMPDIR").is_none() && memory.is_dir() {
        memory
    } else {
        env::temp_dir()
    }
}

/// A directory for the files of this process.
///
/// # Panics
/// If there is no place for it.
pub(crate) fn temporary() -> TempDir {
    let made = tempfile::Builder::new()
        .prefix("hubledger-fuzz-")
        .tempdir_in(place());
    made.expect("a temporary directory")
}

thread_local! {
    static FILE: RefCell<Option<NamedTempFile>> = const { RefCell::new(None) };
}

/// The one scratch file of this thread. It is overwritten by every input rather than made again, which would cost more
/// than most inputs do.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// The file, holding exactly `bytes`.
    ///
    /// # Panics
    /// If the temporary directory can't be written.
    #[must_use]
    pub fn holding(bytes: &[u8]) -> Self {
        FILE.with_borrow_mut(|slot| {
            let named = slot.get_or_insert_with(|| {
                NamedTempFile::with_prefix_in("hubledger-fuzz-", place()).expect("a temporary file")
            });
            let file = named.as_file_mut();
            file.rewind().expect("the scratch file can be rewound");
            file.set_len(0).expect("the scratch file can be emptied");
            file.write_all(bytes)
                .expect("the scratch file can be written");
            Self {
                path: named.path().to_owned(),
            }
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}
