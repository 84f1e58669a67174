//! Seals of many: who of the members signed that a block is decided, and their signatures.
//!
//! What they signed follows from the header and the round: a vote, of which the seal holds the signatures only. Nor does it hold
//! keys: members are known by their place among those of the block's height, which the header before it commits to. Whether
//! they weigh enough is for the [consensus](crate::consensus::certificate) to say.
//!
//! Two hubs may hold different valid seals of one block, of other members or even another round: a block is known by its hash, which
//! covers no seal.

use std::sync::Arc;

use serde::ser::SerializeStruct as _;

use super::seal::SEAL_BYTES_MAX;
use crate::format::codec::{self, DecodeError, DecodeProblem, FieldError, Reader};
use crate::format::signature::Signature;

/// The most members that can sign a seal: its bitmap has a bit for each.
pub const SIGNERS_MAX: usize = 1_000;

const BITMAP_BYTES_MAX: usize = SIGNERS_MAX / 8;
const SIGNATURE_BYTES: usize = 64;
// The seal's tag, the round, and the bitmap's length stand before the bitmap.
const _: () =
    assert!(1 + 4 + 4 + BITMAP_BYTES_MAX + SIGNERS_MAX * SIGNATURE_BYTES <= SEAL_BYTES_MAX);

/// The signatures of a quorum of members, in the order of the members. At least one, one for each bit. Clones are cheap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumSeal {
    round: u32,
    /// Bit `i % 8` of byte `i / 8` stands for member `i`; the last byte is not zero.
    bitmap: Arc<[u8]>,
    signatures: Arc<[Signature]>,
}

impl QuorumSeal {
    /// A seal of these members, by their places, strictly ascending, with their signatures, in a round. O(signers).
    ///
    /// # Errors
    /// Nobody signed; a place at or above [`SIGNERS_MAX`], twice or out of order.
    pub fn new(
        round: u32,
        signed: impl IntoIterator<Item = (usize, Signature)>,
    ) -> Result<Self, FieldError> {
        let (mut bitmap, mut signatures) = (Vec::new(), Vec::new());
        let mut last = None;
        for (place, signature) in signed {
            if place >= SIGNERS_MAX {
                let detail = format!("{place} is no place below the limit of {SIGNERS_MAX}");
                return Err(FieldError::new("signers", detail));
            }
            if last.is_some_and(|last| last >= place) {
                return Err(FieldError::new(
                    "signers",
                    "places are not in strictly ascending order",
                ));
            }
            last = Some(place);
            // Places ascend, so that the last byte is never left at zero.
            bitmap.resize(place / 8 + 1, 0u8);
            bitmap[place / 8] |= 1 << (place % 8);
            signatures.push(signature);
        }
        if signatures.is_empty() {
            return Err(FieldError::new("signers", NOBODY));
        }
        Ok(Self {
            round,
            bitmap: bitmap.into(),
            signatures: signatures.into(),
        })
    }

    /// The round in which they decided.
    #[must_use]
    pub const fn round(&self) -> u32 {
        self.round
    }

    /// The places of those who signed, ascending.
    pub fn signers(&self) -> impl Iterator<Item = usize> + '_ {
        let bytes = self.bitmap.iter().enumerate();
        bytes.flat_map(|(at, &byte)| {
            let bits = (0..8).filter(move |bit| byte >> bit & 1 == 1);
            bits.map(move |bit| at * 8 + bit)
        })
    }

    /// The signatures, in the order of [`signers`](Self::signers), as many as those.
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Who signed, by place, with the signature; ascending.
    pub fn signed(&self) -> impl Iterator<Item = (usize, Signature)> + '_ {
        self.signers().zip(self.signatures.iter().copied())
    }

    /// Whether the member at that place signed. O(1).
    #[must_use]
    pub fn has_signed(&self, place: usize) -> bool {
        let byte = self.bitmap.get(place / 8);
        byte.is_some_and(|byte| byte >> (place % 8) & 1 == 1)
    }

    /// One more than the place of the last one who signed: there have to be so many members at least. O(1).
    #[must_use]
    pub fn places(&self) -> usize {
        let unused = self.bitmap.last().map_or(0, |last| last.leading_zeros());
        self.bitmap.len() * 8 - unused as usize
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(8 + self.bitmap.len() + self.signatures.len() * SIGNATURE_BYTES);
        codec::put_u32(out, self.round);
        codec::put_bytes(out, &self.bitmap);
        for signature in &*self.signatures {
            out.extend_from_slice(signature.as_bytes());
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        const SIGNERS: &str = "seal signers";
        let round = reader.u32("seal round")?;
        let start = reader.clone();
        let bitmap = reader.bytes(SIGNERS, BITMAP_BYTES_MAX)?;
        match bitmap.last() {
            None => return Err(start.error(SIGNERS, DecodeProblem::Value(NOBODY))),
            // One set of signers has one encoding.
            Some(0) => {
                let problem = DecodeProblem::Value("the last byte is zero");
                return Err(start.error(SIGNERS, problem));
            }
            Some(_) => {}
        }
        let count: usize = bitmap.iter().map(|byte| byte.count_ones() as usize).sum();
        // Taken before anything is allocated: nobody gets room for signatures that aren't there.
        let signatures = reader.take("seal signatures", count * SIGNATURE_BYTES)?;
        let (signatures, _) = signatures.as_chunks::<SIGNATURE_BYTES>();
        Ok(Self {
            round,
            bitmap: bitmap.into(),
            signatures: signatures
                .iter()
                .map(|one| Signature::from_bytes(*one))
                .collect(),
        })
    }
}

const NOBODY: &str = "nobody signed";

/// `round`, `signers` (places) and `signatures`.
impl serde::Serialize for QuorumSeal {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("QuorumSeal", 3)?;
        fields.serialize_field("round", &self.round)?;
        fields.serialize_field("signers", &self.signers().collect::<Vec<_>>())?;
        fields.serialize_field("signatures", &*self.signatures)?;
        fields.end()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::Seal;
    use super::*;

    fn signature(number: usize) -> Signature {
        Signature::from_bytes([number as u8; 64])
    }

    fn seal(places: &[usize]) -> Result<QuorumSeal, FieldError> {
        QuorumSeal::new(7, places.iter().map(|&place| (place, signature(place))))
    }

    fn encoding(bitmap: &[u8], signatures: usize) -> Vec<u8> {
        let mut bytes = vec![3];
        codec::put_u32(&mut bytes, 7);
        codec::put_bytes(&mut bytes, bitmap);
        bytes.resize(bytes.len() + signatures * 64, 5);
        bytes
    }

    #[test]
    fn signers_are_those_whose_bits_are_set() {
        let places = [0, 7, 8, 21, 999];
        let seal = seal(&places).unwrap();
        assert_eq!(seal.signers().collect::<Vec<_>>(), places);
        for place in 0..2_000 {
            assert_eq!(seal.has_signed(place), places.contains(&place));
        }
        assert_eq!(seal.places(), 1_000);
        assert!(
            seal.signed()
                .eq(places.map(|place| (place, signature(place))))
        );
    }

    #[test]
    fn places_out_of_order_twice_or_out_of_range_are_refused() {
        for places in [&[][..], &[1, 0], &[4, 4], &[0, SIGNERS_MAX], &[usize::MAX]] {
            assert!(seal(places).is_err(), "{places:?}");
        }
    }

    #[test]
    fn a_thousand_signers_fit_into_a_seal() {
        let all: Vec<usize> = (0..SIGNERS_MAX).collect();
        let sealed = Seal::Quorum(seal(&all).unwrap());
        let bytes = sealed.encode();
        assert!(bytes.len() <= SEAL_BYTES_MAX);
        assert_eq!(Seal::decode(&bytes).unwrap(), sealed);
    }

    #[test]
    fn every_other_encoding_of_the_same_signers_is_refused() {
        let refused = [
            (encoding(&[], 0), "seal signers at byte 5: nobody signed"),
            (
                encoding(&[0], 0),
                "seal signers at byte 5: the last byte is zero",
            ),
            (
                encoding(&[1, 0], 1),
                "seal signers at byte 5: the last byte is zero",
            ),
            (
                encoding(&[3], 1),
                "seal signatures at byte 10: truncated: 128 bytes needed, 64 left",
            ),
            (encoding(&[3], 3), "seal at byte 138: 64 trailing bytes"),
            (
                encoding(&[1; 126], 126),
                "seal signers at byte 5: 126 is above the limit of 125",
            ),
        ];
        for (bytes, reason) in refused {
            assert_eq!(Seal::decode(&bytes).unwrap_err().to_string(), reason);
        }
        assert!(Seal::decode(&encoding(&[0, 2], 1)).is_ok());
    }
}
