//! The mark of a store that is becoming a copy of a chain, or a new chain with the blocks of one up to a height. Where it is, no reader opens
//! the store; it says what the store becomes, so that only the same work goes on with it.

use std::fmt;

use crate::format::codec::{DecodeError, DecodeProblem, Reader};
use crate::format::digest::ChainId;

const COPY: &[u8; 8] = b"HLCOPY\0\x01";
const FORK: &[u8; 8] = b"HLFORK\0\x01";

/// See the [module](self).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// The chain whose blocks are copied.
    pub(super) chain: ChainId,
    /// The last block that both chains have, if it becomes another chain.
    pub(super) fork_height: Option<u64>,
}

impl Mark {
    pub(super) fn encode(&self) -> Vec<u8> {
        match self.fork_height {
            None => [&COPY[..], &self.chain.0].concat(),
            Some(height) => [&FORK[..], &self.chain.0, &height.to_le_bytes()].concat(),
        }
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let magic = reader.take("magic", 8)?;
        let is_fork = magic == FORK;
        if !is_fork && magic != COPY {
            let problem = DecodeProblem::Value("not the mark of a copy");
            return Err(Reader::new(bytes).error("magic", problem));
        }
        let mark = Self {
            chain: ChainId(reader.array("chain")?),
            fork_height: is_fork.then(|| reader.u64("height")).transpose()?,
        };
        reader.finish("copy")?;
        Ok(mark)
    }
}

/// What the store becomes.
impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chain = self.chain;
        match self.fork_height {
            None => write!(f, "copy of chain {chain}"),
            Some(height) => write!(f, "new chain from block {height} of chain {chain}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn golden_bytes_read_back_and_others_are_refused() {
        let chain = ChainId([7; 32]);
        for (fork_height, expected) in [
            (None, [&b"HLCOPY\0\x01"[..], &[7; 32]].concat()),
            (
                Some(258),
                [&b"HLFORK\0\x01"[..], &[7; 32], &[2, 1, 0, 0, 0, 0, 0, 0]].concat(),
            ),
        ] {
            let mark = Mark { chain, fork_height };
            assert_eq!(mark.encode(), expected);
            assert_eq!(Mark::decode(&expected).unwrap(), mark);
            for length in 0..expected.len() {
                assert!(Mark::decode(&expected[..length]).is_err());
            }
            assert!(Mark::decode(&[&expected[..], &[0]].concat()).is_err());
        }
        assert!(Mark::decode(&[0; 48]).is_err());
    }
}
