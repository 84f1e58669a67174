//! The random numbers of batch verification.

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Where coefficients come from.
///
/// What matters is that nobody who chooses signatures can predict them. So every batch has a generator of its own (ChaCha with
/// 12 rounds), seeded with 256 bits from the operating system after the batch is fixed: nothing carries over from one
/// batch to the next, nor into a forked process.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Coefficients {
    /// A seed from the operating system for every batch.
    System,
    /// The same for equal calls, for tests and for the search of a fault. Whoever knows the seed can forge.
    Seeded([u8; 32]),
}

impl Coefficients {
    /// Fills `bits` with random bits. `batch` tells batches apart.
    ///
    /// # Errors
    /// If the operating system has none to give.
    pub(crate) fn draw(&self, batch: u64, bits: &mut [u128]) -> Result<(), getrandom::Error> {
        let mut generator = match self {
            Self::System => {
                let mut seed = [0; 32];
                getrandom::fill(&mut seed)?;
                ChaCha12Rng::from_seed(seed)
            }
            Self::Seeded(seed) => {
                let mut generator = ChaCha12Rng::from_seed(*seed);
                generator.set_stream(batch);
                generator
            }
        };
        // A block of bytes at a time: the generator makes them four blocks at once.
        let mut bytes = [0; 1024];
        for bits in bits.chunks_mut(bytes.len() / 16) {
            generator.fill_bytes(&mut bytes);
            for (bits, bytes) in bits.iter_mut().zip(bytes.as_chunks::<16>().0) {
                *bits = u128::from_le_bytes(*bytes);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
