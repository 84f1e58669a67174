//! Memory for parts of files that are kept, in huge pages where the system has them: parts are read at random, and of small
//! pages the processor would have to find afresh for nearly every one, which is a tenth of a look-up.
//!
//! Slots are made a slab at a time and shared by all caches of this process. What was made isn't given back to the system, so
//! it is as much as was ever in use at one time, rounded up to a slab.

use std::io;
use std::sync::{Mutex, PoisonError};

use memmap2::MmapMut;

/// The size of a slot.
pub(super) const SLOT_BYTES: usize = if cfg!(test) { 1024 } else { 16 << 10 };
/// A few huge pages, of which one is lost where the system doesn't begin a slab with one.
const SLAB_BYTES: usize = if cfg!(test) { 8 << 10 } else { 8 << 20 };

static FREE: Mutex<Vec<&'static mut [u8]>> = Mutex::new(Vec::new());

/// Memory for at most [`SLOT_BYTES`].
#[derive(Debug)]
pub(super) struct Slot {
    bytes: &'static mut [u8],
    length: usize,
}

impl Slot {
    /// A slot with something in its first bytes, whatever that is.
    pub(super) fn new(length: usize) -> io::Result<Self> {
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        if free.is_empty() {
            let slab = MmapMut::map_anon(SLAB_BYTES)?;
            #[cfg(target_os = "linux")]
            if let Err(error) = slab.advise(memmap2::Advice::HugePage) {
                tracing::debug!(%error, "without huge pages");
            }
            // Leaked, since slots outlive the cache that made them; they are used again for as long as the process lives.
            free.extend(Box::leak(Box::new(slab)).chunks_exact_mut(SLOT_BYTES).rev());
        }
        let bytes = free.pop().unwrap_or_default();
        let length = length.min(bytes.len());
        Ok(Self { bytes, length })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.length]
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        free.push(std::mem::take(&mut self.bytes));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn slots_are_apart_and_are_used_again() {
        for _ in 0..3 {
            let mut slots: Vec<Slot> = (0..20).map(|_| Slot::new(SLOT_BYTES).unwrap()).collect();
            for (number, slot) in (0..).zip(&mut slots) {
                slot.bytes_mut().fill(number);
            }
            for (number, slot) in (0..).zip(&slots) {
                assert!(slot.bytes().iter().all(|byte| *byte == number));
            }
        }
        assert_eq!(Slot::new(3).unwrap().bytes().len(), 3);
        assert_eq!(Slot::new(usize::MAX).unwrap().bytes().len(), SLOT_BYTES);
    }
}
