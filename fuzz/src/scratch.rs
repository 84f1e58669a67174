//! A file to put an input in, for readers that take a path.

use std::cell::RefCell;
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

thread_local! {
    static FILE: RefCell<Option<NamedTempFile>> = const { RefCell::new(None) };
}

/// The one scratch file of this thread. It is overwritten by every input rather than rebuilt, which would cost more
/// than most inputs do. libFuzzer leaves without cleaning up, so one file a process stays in the temporary directory.
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
                NamedTempFile::with_prefix("hubledger-fuzz-").expect("a temporary file")
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
