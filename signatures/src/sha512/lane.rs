//! A message in a lane: which bytes each block is.

use super::Preimage;
use super::words::BLOCK;

/// Where the message's bytes begin in the first block.
const PREFIX: usize = 64;

/// Blocks of a preimage, padded.
pub(super) fn blocks(preimage: &Preimage<'_>) -> usize {
    (PREFIX + preimage.message.len() + 16) / BLOCK + 1
}

/// A preimage cut into blocks.
///
/// The first block and those with padding are assembled in the lane's own room; blocks between them are the message's.
pub(super) struct Lane<'a> {
    message: &'a [u8],
    blocks: usize,
    /// Blocks without padding.
    whole: usize,
    room: [u8; 3 * BLOCK],
}

impl<'a> Lane<'a> {
    /// No preimage.
    pub(super) const EMPTY: Self = Self {
        message: &[],
        blocks: 0,
        whole: 0,
        room: [0; 3 * BLOCK],
    };

    /// Takes a preimage.
    pub(super) fn fill(&mut self, preimage: &Preimage<'a>) {
        let message = preimage.message;
        self.message = message;
        self.blocks = blocks(preimage);
        self.whole = (PREFIX + message.len()) / BLOCK;
        self.room.fill(0);
        self.room[..32].copy_from_slice(preimage.r);
        self.room[32..PREFIX].copy_from_slice(preimage.key);
        let padding = match message.split_first_chunk::<PREFIX>() {
            None => self.put(PREFIX, message),
            Some((start, _)) => {
                self.room[PREFIX..BLOCK].copy_from_slice(start);
                self.put(BLOCK, &message[BLOCK * self.whole - PREFIX..])
            }
        };
        self.room[padding] = 0x80;
        let bits = 8 * (PREFIX as u128 + message.len() as u128);
        let end = BLOCK * self.in_room(self.blocks);
        self.room[end - 16..end].copy_from_slice(&bits.to_be_bytes());
    }

    /// Writes to the room, and says where the next byte goes.
    fn put(&mut self, at: usize, bytes: &[u8]) -> usize {
        let end = at + bytes.len();
        self.room[at..end].copy_from_slice(bytes);
        end
    }

    /// Takes nothing.
    pub(super) fn clear(&mut self) {
        self.blocks = 0;
    }

    /// Blocks of the preimage, padded.
    pub(super) fn blocks(&self) -> usize {
        self.blocks
    }

    /// Block `n`; past the last, any block.
    #[inline(always)]
    pub(super) fn block(&self, n: usize) -> &[u8] {
        if n == 0 || n >= self.blocks {
            &self.room[..BLOCK]
        } else if n < self.whole {
            &self.message[BLOCK * n - PREFIX..][..BLOCK]
        } else {
            &self.room[BLOCK * self.in_room(n)..][..BLOCK]
        }
    }

    /// Where in the room block `n` is, which is the first or has padding.
    fn in_room(&self, n: usize) -> usize {
        n - self.whole + self.whole.min(1)
    }
}
