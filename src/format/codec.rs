//! The primitives of the canonical encoding, for writing and for bounded reading.
//!
//! Fixed-width little-endian integers and `u32`-length-prefixed byte strings, as `FORMAT.md` lays down. A
//! [`Reader`] borrows its input, never allocates, and names the field and the offset of whatever it refuses;
//! [`Reader::finish`] refuses trailing bytes, so that one value has one byte string.

use std::fmt;

use super::FormatVersion;

/// Bytes that are not a canonical encoding, with the place where that showed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} at byte {offset}: {problem}")]
pub struct DecodeError {
    /// Name of the field, as in `FORMAT.md`.
    pub field: &'static str,
    /// Offset within the bytes that were decoded.
    pub offset: usize,
    /// What is wrong.
    pub problem: DecodeProblem,
}

impl DecodeError {
    /// The same error for a reader that began `base` bytes into the whole input.
    #[must_use]
    pub fn at_base(mut self, base: usize) -> Self {
        self.offset += base;
        self
    }
}

/// What is wrong with an encoding.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeProblem {
    /// The input ends early.
    #[error("truncated: {needed} bytes needed, {available} left")]
    Truncated {
        /// Bytes that the field needs.
        needed: usize,
        /// Bytes that are left.
        available: usize,
    },
    /// Bytes are left after the value.
    #[error("{0} trailing bytes")]
    Trailing(usize),
    /// A length, count or number is above its limit.
    #[error("{found} is above the limit of {limit}")]
    Limit {
        /// The number found.
        found: u64,
        /// The largest that is allowed.
        limit: u64,
    },
    /// An unknown format version.
    #[error("version {0} is not known")]
    Version(u32),
    /// A tag that stands for nothing.
    #[error("unknown tag {0}")]
    Tag(u8),
    /// Text that is not UTF-8.
    #[error("not valid UTF-8")]
    Utf8,
    /// Entries out of order, or one of them twice.
    #[error("entries are not in strictly ascending order")]
    Order,
    /// A value that the field can't have.
    #[error("{0}")]
    Value(&'static str),
}

impl DecodeProblem {
    /// Whether a later version of this program might be able to read it.
    #[must_use]
    pub const fn is_version(&self) -> bool {
        matches!(self, Self::Version(_))
    }
}

/// Reads canonical values from the front of a byte slice.
#[derive(Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reader at {} of {}", self.position, self.bytes.len())
    }
}

impl<'a> Reader<'a> {
    /// A reader at the start of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// How many bytes have been read.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.position
    }

    /// How many bytes are left.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.bytes.len() - self.position
    }

    /// An error about `field` at the current position.
    #[must_use]
    pub const fn error(&self, field: &'static str, problem: DecodeProblem) -> DecodeError {
        DecodeError {
            field,
            offset: self.position,
            problem,
        }
    }

    /// The next `length` bytes as they are.
    #[inline]
    pub fn take(&mut self, field: &'static str, length: usize) -> Result<&'a [u8], DecodeError> {
        let available = self.remaining();
        if length > available {
            return Err(self.error(
                field,
                DecodeProblem::Truncated {
                    needed: length,
                    available,
                },
            ));
        }
        let taken = &self.bytes[self.position..self.position + length];
        self.position += length;
        Ok(taken)
    }

    /// The next `N` bytes as an array.
    #[inline]
    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(field, N)?);
        Ok(array)
    }

    /// One byte.
    #[inline]
    pub fn u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        Ok(self.array::<1>(field)?[0])
    }

    /// A byte that is 0 or 1.
    pub fn flag(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        let error = self.clone();
        match self.u8(field)? {
            0 => Ok(false),
            1 => Ok(true),
            tag => Err(error.error(field, DecodeProblem::Tag(tag))),
        }
    }

    /// A little-endian `u32`.
    #[inline]
    pub fn u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        Ok(u32::from_le_bytes(self.array(field)?))
    }

    /// A little-endian `u64`.
    #[inline]
    pub fn u64(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        Ok(u64::from_le_bytes(self.array(field)?))
    }

    /// A little-endian `u128`.
    #[inline]
    pub fn u128(&mut self, field: &'static str) -> Result<u128, DecodeError> {
        Ok(u128::from_le_bytes(self.array(field)?))
    }

    /// A byte that is the number of a format version which this build knows.
    pub fn version(&mut self) -> Result<FormatVersion, DecodeError> {
        let start = self.clone();
        let number = self.u8("version")?;
        FormatVersion::try_from(number)
            .map_err(|_| start.error("version", DecodeProblem::Version(number.into())))
    }

    /// A length or count of at most `limit`.
    #[inline]
    pub fn length(&mut self, field: &'static str, limit: usize) -> Result<usize, DecodeError> {
        let start = self.clone();
        let found = self.u32(field)?;
        if found as usize > limit {
            let problem = DecodeProblem::Limit {
                found: found.into(),
                limit: limit as u64,
            };
            return Err(start.error(field, problem));
        }
        Ok(found as usize)
    }

    /// The count of a list whose elements take at least `element_bytes` each: refused when the input can't hold
    /// that many, so that a caller may reserve space for them.
    pub fn count(
        &mut self,
        field: &'static str,
        limit: usize,
        element_bytes: usize,
    ) -> Result<usize, DecodeError> {
        let count = self.length(field, limit)?;
        // Saturating for machines whose `usize` has 32 bits.
        let needed = count.saturating_mul(element_bytes);
        let available = self.remaining();
        if needed > available {
            return Err(self.error(field, DecodeProblem::Truncated { needed, available }));
        }
        Ok(count)
    }

    /// A length-prefixed byte string of at most `limit` bytes.
    #[inline]
    pub fn bytes(&mut self, field: &'static str, limit: usize) -> Result<&'a [u8], DecodeError> {
        let length = self.length(field, limit)?;
        self.take(field, length)
    }

    /// A length-prefixed text of at most `limit` bytes.
    #[inline]
    pub fn text(&mut self, field: &'static str, limit: usize) -> Result<&'a str, DecodeError> {
        let start = self.clone();
        std::str::from_utf8(self.bytes(field, limit)?)
            .map_err(|_| start.error(field, DecodeProblem::Utf8))
    }

    /// A length-prefixed text of 1 to [`NAME_BYTES_MAX`] bytes.
    #[inline]
    pub fn name(&mut self, field: &'static str) -> Result<&'a str, DecodeError> {
        let start = self.clone();
        let name = self.text(field, NAME_BYTES_MAX)?;
        if name.is_empty() {
            return Err(start.error(field, DecodeProblem::Value("a name can't be empty")));
        }
        Ok(name)
    }

    /// Refuses bytes after the value.
    pub fn finish(self, field: &'static str) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            left => Err(self.error(field, DecodeProblem::Trailing(left))),
        }
    }
}

/// The longest name that any format can carry, in bytes; a chain may set less.
pub const NAME_BYTES_MAX: usize = 1024;

/// A value that a constructor refused: which field, and its limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct FieldError {
    /// Name of the field.
    pub field: &'static str,
    /// What is wrong, with the limit.
    pub problem: String,
}

impl FieldError {
    /// An error about `field`.
    #[must_use]
    pub fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self {
            field,
            problem: problem.into(),
        }
    }

    /// Refuses a `length` above `limit`.
    pub fn check_length(field: &'static str, length: usize, limit: usize) -> Result<(), Self> {
        if length > limit {
            return Err(Self::new(
                field,
                format!("{length} is above the limit of {limit}"),
            ));
        }
        Ok(())
    }

    /// Refuses a name that is empty or longer than [`NAME_BYTES_MAX`].
    pub fn check_name(field: &'static str, name: &str) -> Result<(), Self> {
        if name.is_empty() {
            return Err(Self::new(field, "a name can't be empty"));
        }
        Self::check_length(field, name.len(), NAME_BYTES_MAX)
    }
}

/// Appends a length-prefixed byte string. The caller has checked that the length fits `u32`.
///
/// # Panics
/// If `bytes` is 4 GiB or longer, which every format's limits exclude.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_count(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// Appends a count as `u32`.
///
/// # Panics
/// If it doesn't fit, which every format's limits exclude.
pub fn put_count(out: &mut Vec<u8>, count: usize) {
    let count = u32::try_from(count).expect("every list and byte string is bounded far below 2^32");
    out.extend_from_slice(&count.to_le_bytes());
}

/// Appends a little-endian `u32`.
pub fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a little-endian `u64`.
pub fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a little-endian `u128`.
pub fn put_u128(out: &mut Vec<u8>, value: u128) {
    out.extend_from_slice(&value.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_that_the_input_cannot_hold_is_refused_before_anything_is_reserved() {
        let mut bytes = Vec::new();
        put_u32(&mut bytes, 1_000_000);
        let error = Reader::new(&bytes)
            .count("list", usize::MAX, 32)
            .expect_err("no element there");
        assert_eq!(
            error.problem,
            DecodeProblem::Truncated {
                needed: 32_000_000,
                available: 0
            }
        );
    }

    #[test]
    fn errors_name_field_and_offset() {
        let bytes = [1, 0, 0, 0, 0xff];
        let error = Reader::new(&bytes)
            .text("sender", 10)
            .expect_err("not UTF-8");
        assert_eq!(error.to_string(), "sender at byte 0: not valid UTF-8");
        let mut reader = Reader::new(&bytes);
        reader.u32("length").expect("four bytes are there");
        assert_eq!(
            reader
                .finish("value")
                .expect_err("a byte is left")
                .to_string(),
            "value at byte 4: 1 trailing bytes"
        );
    }
}
