//! What stands at a key, or that nothing does, proved against a root.

use hubledger::codec::{self, DecodeError, DecodeProblem, Reader};
use hubledger::digest::Digest;
use hubledger::sparse::{self, DEPTH_MAX, Path, PathEnd, PathError};
use hubledger::state::{Put, StateTree};

use super::payload::{CACHE_KEY_BYTES_MAX, NAMESPACE_BYTES_MAX};
use super::rows::{CacheEntry, within};
use crate::recorded::Recorded;
use crate::view::AsOf;

/// The table that keys have in the tree.
const TABLE: u8 = 0;

/// The write that stands at a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Whether it put a value; otherwise it invalidated one.
    pub is_value: bool,
    /// The transaction, which says what value.
    pub recorded: Recorded,
}

impl Standing {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.is_value));
        self.recorded.encode(out);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            is_value: reader.flag("is_value")?,
            recorded: Recorded::decode(reader)?,
        })
    }
}

/// The tree over all keys of a cache, as of one block: a compressed sparse Merkle tree (`FORMAT.md`, "Cache") of which write stands at each key.
///
/// It lasts, whatever becomes of the cache, so that a hub answers from the one whose root it wrote into the chain.
pub struct CacheTree {
    as_of: Option<AsOf>,
    tree: StateTree,
    root: Digest,
}

impl std::fmt::Debug for CacheTree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CacheTree")
            .field("as_of", &self.as_of)
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

impl CacheTree {
    pub(super) fn new(as_of: Option<AsOf>) -> Self {
        Self {
            as_of,
            tree: StateTree::default(),
            root: sparse::EMPTY,
        }
    }

    pub(super) fn put(&mut self, place: &[u8], entry: &CacheEntry) {
        let standing = Standing {
            is_value: entry.value.is_some(),
            recorded: entry.recorded,
        };
        let mut value = Vec::with_capacity(45);
        standing.encode(&mut value);
        self.tree.change(&[Put {
            table: TABLE,
            key: place,
            value: Some(&value),
        }]);
    }

    pub(super) fn finish(&mut self) {
        self.root = self.tree.root();
    }

    /// After which block it is right.
    #[must_use]
    pub const fn as_of(&self) -> Option<AsOf> {
        self.as_of
    }

    /// The root, as a `cache_checkpoint` says it.
    #[must_use]
    pub const fn root(&self) -> Digest {
        self.root
    }

    /// Proves what stands at a key, or that nothing does. O(log keys); `None` of what can be no key.
    #[must_use]
    pub fn prove(&self, namespace: &str, key: &str) -> Option<CacheProof> {
        if namespace.len() > NAMESPACE_BYTES_MAX || key.len() > CACHE_KEY_BYTES_MAX {
            return None;
        }
        let place = within(namespace, key.as_bytes());
        let (path, value) = self.tree.prove(TABLE, &place)?;
        let standing = value.map(|value| Standing::decode(&mut Reader::new(value)));
        Some(CacheProof {
            namespace: namespace.to_owned(),
            key: key.to_owned(),
            standing: standing.transpose().ok()?,
            path,
        })
    }
}

/// Proves what stands at a key, or that nothing does, to whoever trusts the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheProof {
    namespace: String,
    key: String,
    standing: Option<Standing>,
    path: Path,
}

impl CacheProof {
    /// The namespace and the key.
    #[must_use]
    pub fn key(&self) -> (&str, &str) {
        (&self.namespace, &self.key)
    }

    /// What stands at the key by this root; `None` if nothing was ever written there. The transaction is proved by a proof of its own.
    ///
    /// # Errors
    /// The path doesn't lead to the root.
    pub fn verify(&self, root: &Digest) -> Result<Option<Standing>, PathError> {
        let place = sparse::place(TABLE, &within(&self.namespace, self.key.as_bytes()));
        let value = self.standing.map(|standing| {
            let mut value = Vec::with_capacity(45);
            standing.encode(&mut value);
            value
        });
        self.path.verify(&place, value.as_deref(), root)?;
        Ok(self.standing)
    }

    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        codec::put_bytes(&mut out, self.namespace.as_bytes());
        codec::put_bytes(&mut out, self.key.as_bytes());
        out.push(u8::from(self.standing.is_some()));
        if let Some(standing) = &self.standing {
            standing.encode(&mut out);
        }
        codec::put_count(&mut out, self.path.siblings.len());
        for sibling in &self.path.siblings {
            out.extend_from_slice(&sibling.0);
        }
        match &self.path.end {
            PathEnd::Present => out.push(0),
            PathEnd::Empty => out.push(1),
            PathEnd::Other { place, value } => {
                out.push(2);
                out.extend_from_slice(&place.0);
                out.extend_from_slice(&value.0);
            }
        }
        out
    }

    /// Reads exactly one proof.
    ///
    /// # Errors
    /// Anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let namespace = reader.text("namespace", NAMESPACE_BYTES_MAX)?.to_owned();
        let key = reader.text("key", CACHE_KEY_BYTES_MAX)?.to_owned();
        let standing = match reader.flag("is_standing")? {
            true => Some(Standing::decode(&mut reader)?),
            false => None,
        };
        let count = reader.count("siblings", DEPTH_MAX, 32)?;
        let mut siblings = Vec::with_capacity(count);
        for _ in 0..count {
            siblings.push(Digest(reader.array("sibling")?));
        }
        let start = reader.clone();
        let end = match reader.u8("end")? {
            0 => PathEnd::Present,
            1 => PathEnd::Empty,
            2 => PathEnd::Other {
                place: Digest(reader.array("place")?),
                value: Digest(reader.array("value")?),
            },
            tag => return Err(start.error("end", DecodeProblem::Tag(tag))),
        };
        reader.finish("proof")?;
        Ok(Self {
            namespace,
            key,
            standing,
            path: Path { siblings, end },
        })
    }
}
