//! The proof that the chain that ends in one head extends the chain that ends in another.

use bytes::Bytes;

use super::{InvalidProof, VERSION, check_head, put_path, read_header, read_path, read_version};
use crate::format::codec::{self, DecodeError, Reader};
use crate::format::digest::{BlockHash, Digest};
use crate::format::merkle;
use crate::format::merkle::history_leaf;
use crate::format::model::Header;

pub(super) const MAGIC: [u8; 8] = *b"HLPROOFX";

/// Proves that nothing below an older head was rewritten: O(log blocks) hashes and two headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtensionProof {
    pub(super) old: Header,
    pub(super) new: Header,
    pub(super) consistency: Vec<Digest>,
    pub(super) inclusion: Vec<Digest>,
}

impl ExtensionProof {
    /// A proof from the RFC 9162 consistency path between the histories of both heads and the inclusion path of the
    /// older one's hash in the newer one's history.
    #[must_use]
    pub(crate) const fn new(
        old: Header,
        new: Header,
        consistency: Vec<Digest>,
        inclusion: Vec<Digest>,
    ) -> Self {
        Self {
            old,
            new,
            consistency,
            inclusion,
        }
    }

    /// The older head.
    #[must_use]
    pub fn old_head(&self) -> BlockHash {
        self.old.hash()
    }

    /// The newer head.
    #[must_use]
    pub fn new_head(&self) -> BlockHash {
        self.new.hash()
    }

    /// Checks the proof against both heads. Allocates nothing.
    ///
    /// # Errors
    /// Other heads, or a path that doesn't lead where it should.
    pub fn verify(&self, old: &BlockHash, new: &BlockHash) -> Result<(), InvalidProof> {
        check_head(&self.old, old)?;
        check_head(&self.new, new)?;
        // The chain ids in the heads may differ: a chain goes on under another specification. Only a chain that has the old head has it in
        // its history.
        if self.old.height >= self.new.height {
            return Err(InvalidProof::Order("the new head is not above the old one"));
        }
        merkle::verify_consistency(
            self.old.height,
            &self.old.history_root,
            self.new.height,
            &self.new.history_root,
            &self.consistency,
        )
        .map_err(|source| InvalidProof::Path {
            step: "history",
            source,
        })?;
        // The histories alone say nothing about the old head itself: a head's history root covers the blocks before it.
        merkle::verify_inclusion(
            &history_leaf(&self.old.hash()),
            self.old.height,
            self.new.height,
            &self.inclusion,
            &self.new.history_root,
        )
        .map_err(|source| InvalidProof::Path {
            step: "old head in history",
            source,
        })
    }

    /// The canonical encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.push(VERSION);
        codec::put_bytes(&mut out, self.old.bytes());
        codec::put_bytes(&mut out, self.new.bytes());
        put_path(&mut out, &self.consistency);
        put_path(&mut out, &self.inclusion);
        out
    }

    pub(super) fn decode_fields(
        bytes: &Bytes,
        reader: &mut Reader<'_>,
    ) -> Result<Self, DecodeError> {
        read_version(reader)?;
        Ok(Self {
            old: read_header(bytes, reader, "old")?,
            new: read_header(bytes, reader, "new")?,
            consistency: read_path(reader, "consistency")?,
            inclusion: read_path(reader, "inclusion")?,
        })
    }
}
