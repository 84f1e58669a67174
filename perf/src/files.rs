//! Files that people name: read within bounds, written whole.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

/// Reads a text file of at most `bytes_max` bytes.
pub(crate) fn read_bounded(path: &Path, bytes_max: u64) -> Result<String> {
    let read = || -> Result<String> {
        let mut text = String::new();
        let file = File::open(path)?;
        file.take(bytes_max + 1).read_to_string(&mut text)?;
        ensure!(
            text.len() as u64 <= bytes_max,
            "more than {bytes_max} bytes"
        );
        Ok(text)
    };
    read().with_context(|| format!("read {}", path.display()))
}

/// Writes a file, and its directory where there is none.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    let write = || -> std::io::Result<()> {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        File::create(path)?.write_all(text.as_bytes())
    };
    write().with_context(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_up_to_their_bound() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("new").join("file");
        write(&path, "12345").expect("it can be written");
        assert_eq!(read_bounded(&path, 5).expect("it fits"), "12345");
        let error = read_bounded(&path, 4).expect_err("it doesn't fit");
        assert!(format!("{error:#}").contains("more than 4 bytes"));
        assert!(read_bounded(directory.path(), 4).is_err());
    }
}
