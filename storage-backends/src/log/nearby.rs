//! The bytes beside those that were read last. A caller that looks up the keys of a block one after the other, as a check of a
//! whole chain does, finds the next one here; one that looks up keys at random pays next to nothing for it.
//!
//! When a window is read in for the first time, only its name is noted; its bytes are fetched when it is read in again. A
//! window counts for one file alone, and a file of heads changes only at its end. Its bytes were not checked: a caller that
//! finds another key than it looks for has to read the entries again.

use std::sync::{Mutex, PoisonError};

use super::read_file::ReadFile;
use crate::Result;

const WINDOW_BYTES: u64 = if cfg!(any(test, fuzzing)) { 128 } else { 4096 };
/// Windows, each in the slot that its number says.
const SLOTS: u64 = if cfg!(any(test, fuzzing)) { 2 } else { 256 };

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Nearby {
    slots: Box<[Mutex<Window>]>,
}

#[derive(Debug, Default)]
struct Window {
    file: u64,
    number: u64,
    /// None until they are asked for again.
    bytes: Vec<u8>,
}

impl Default for Nearby {
    fn default() -> Self {
        Self {
            slots: (0..SLOTS).map(|_| Mutex::default()).collect(),
        }
    }
}

impl Nearby {
    /// As [`ReadFile::fill`].
    pub(super) fn fill(&self, file: &ReadFile, into: &mut [u8], offset: u64) -> Result<()> {
        let number = offset / WINDOW_BYTES;
        let from = (offset % WINDOW_BYTES) as usize;
        let range = from..from + into.len();
        {
            let slot = &self.slots[(number % SLOTS) as usize];
            let mut window = slot.lock().unwrap_or_else(PoisonError::into_inner);
            // By number and not by name: a file that was rewritten has the same name and other bytes.
            if window.file != file.number() || window.number != number {
                (window.file, window.number) = (file.number(), number);
                window.bytes.clear();
            } else {
                if window.bytes.len() < range.end {
                    window.fetch(file);
                }
                if let Some(bytes) = window.bytes.get(range) {
                    into.copy_from_slice(bytes);
                    return Ok(());
                }
            }
        }
        // What is across two windows, or in one that can't be read as a whole, is read by itself.
        file.fill(into, offset)
    }
}

impl Window {
    /// Reads as much of the window as the file has by now.
    fn fetch(&mut self, file: &ReadFile) {
        let start = self.number * WINDOW_BYTES;
        let length = file.length().saturating_sub(start).min(WINDOW_BYTES);
        self.bytes = file.read(start, length as usize).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use super::super::files::SystemFiles;
    use super::*;

    #[test]
    fn bytes_are_the_files_in_any_order_and_as_it_grows() {
        let directory = tempfile::tempdir().unwrap();
        let paths = ["a", "b"].map(|name| directory.path().join(name));
        let content: Vec<u8> = (0..1000_u32).map(|at| (at * 7 % 251) as u8).collect();
        let files = paths.map(|path| {
            let written = File::create(&path).unwrap();
            written.write_all_at(&content, 0).unwrap();
            ReadFile::open(&SystemFiles, &path).unwrap()
        });
        let nearby = Nearby::default();
        let mut state = 1_u64;
        for shown in [100, 300, 301, 1000] {
            files.iter().for_each(|file| file.show(shown));
            for step in 0..4000 {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                let file = &files[(state >> 60) as usize % 2];
                let length = (state >> 50) as usize % 40;
                let offset = match step % 2 {
                    0 => (state >> 33) % 1000,
                    _ => step / 4 % 1000,
                };
                let mut bytes = vec![0; length];
                let read = nearby.fill(file, &mut bytes, offset);
                let end = offset as usize + length;
                match end as u64 <= shown {
                    true => {
                        read.unwrap();
                        assert_eq!(bytes, content[offset as usize..end]);
                    }
                    false => assert!(read.unwrap_err().is_corrupt()),
                }
            }
        }
    }
}
