//! One signature at a time, faster for keys that come again.
//!
//! A signature that its key's owner made honestly satisfies the equation without the cofactor too: then
//! `Q = [s]B - [k]A` has the encoding `R`, and `R` needs no square root. Only when it has not is `R` decompressed, and
//! `[8](Q - R)`, which decides, computed. A `Q` from combs is then not relied on, but computed again.

use std::sync::{Arc, Mutex, OnceLock};

use curve25519_dalek::constants::ED25519_BASEPOINT_COMPRESSED;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar as DalekScalar;

use crate::batch::lock;
use crate::cache::KeyCache;
use crate::item::Item;
use crate::point::Point;
use crate::rule::{self, SignatureError};
use crate::scalar::{Scalar, Windows};
use crate::sha512::Preimage;
use crate::vector::{
    COMB_POINTS, COMB_WINDOWS, DIGIT_BITS, LANES_MAX, LaneTerm, Niels, VectorPath, comb_points,
};

/// How often a key is used before it gets a comb, which costs about as much as this many checks save. The batches of a fuzzer don't use
/// a key that often.
const USES_OF_HOT: u32 = if cfg!(fuzzing) { 4 } else { 32 };

static WINDOWS: Windows = Windows::new(128 / DIGIT_BITS as usize);

/// Keys of single signatures.
#[derive(Debug)]
pub(crate) struct Singles {
    path: Option<&'static dyn VectorPath>,
    points: Mutex<KeyCache<Used>>,
    combs: Mutex<KeyCache<Arc<[Niels]>>>,
    /// Whether there is room for any.
    keeps_combs: bool,
    base_comb: OnceLock<Arc<[Niels]>>,
}

/// What is known about a key.
#[derive(Debug, Clone, Copy)]
struct Used {
    /// `-A`
    minus_a: EdwardsPoint,
    /// Uses since it was given its last comb.
    uses: u32,
    /// Combs that it was given. Each time one was lost to other keys, the next takes twice the uses, so that more hot
    /// keys than there is room for don't spend their time on combs.
    combs: u32,
}

impl Singles {
    /// Keeps points in `cache_bytes`, and combs, where there are vectors, in `table_bytes`.
    pub(crate) fn new(
        path: Option<&'static dyn VectorPath>,
        cache_bytes: usize,
        table_bytes: usize,
    ) -> Self {
        let combs = KeyCache::new(table_bytes, COMB_POINTS * size_of::<Niels>());
        Self {
            path,
            points: Mutex::new(KeyCache::new(cache_bytes, 0)),
            keeps_combs: combs.keeps_any(),
            combs: Mutex::new(combs),
            base_comb: OnceLock::new(),
        }
    }

    /// Checks one signature by the rule.
    pub(crate) fn verify(&self, item: &Item<'_>) -> Result<(), SignatureError> {
        let s = rule::check_bytes(item.key, item.signature)?;
        let used = self.used(item)?;
        let mut matches = None;
        if let Some(path) = self.path
            && let Some(comb) = self.comb(path, item, used)
        {
            matches = Some(self.matches_by_comb(path, &comb, s, item));
        }
        if matches == Some(true) {
            return Ok(());
        }
        let k = rule::challenge(item.key, item.message, item.signature);
        let s = DalekScalar::from_bytes_mod_order(*item.signature.s());
        let q = EdwardsPoint::vartime_double_scalar_mul_basepoint(&k, &used.minus_a, &s);
        if matches.is_none() && q.compress().as_bytes() == item.signature.r() {
            return Ok(());
        }
        let r = rule::r_point(item.signature)?;
        if rule::vanishes(&(q - r)) {
            Ok(())
        } else {
            Err(SignatureError::Equation)
        }
    }

    /// Counts a use of the key.
    fn used(&self, item: &Item<'_>) -> Result<Used, SignatureError> {
        let key = item.key.as_bytes();
        if let Some(used) = lock(&self.points).get(key) {
            used.uses = used.uses.saturating_add(1);
            return Ok(*used);
        }
        let used = Used {
            minus_a: -rule::key_point(item.key)?,
            uses: 1,
            combs: 0,
        };
        lock(&self.points).insert(*key, used);
        Ok(used)
    }

    /// The key's comb, if it has one or has earned one.
    fn comb(&self, path: &dyn VectorPath, item: &Item<'_>, used: Used) -> Option<Arc<[Niels]>> {
        let key = item.key.as_bytes();
        if used.combs > 0
            && let Some(comb) = lock(&self.combs).get(key)
        {
            return Some(Arc::clone(comb));
        }
        if !self.keeps_combs || used.uses < USES_OF_HOT << used.combs.min(16) {
            return None;
        }
        if let Some(used) = lock(&self.points).get(key) {
            used.uses = 0;
            used.combs += 1;
        }
        let comb = comb(path, key);
        lock(&self.combs).insert(*key, Arc::clone(&comb));
        Some(comb)
    }

    /// Whether `Q` has the encoding `R`.
    fn matches_by_comb(
        &self,
        path: &'static dyn VectorPath,
        comb_of_key: &[Niels],
        s: Scalar,
        item: &Item<'_>,
    ) -> bool {
        let base = ED25519_BASEPOINT_COMPRESSED.as_bytes();
        let base_comb = self.base_comb.get_or_init(|| comb(path, base));
        let preimage = Preimage {
            r: item.signature.r(),
            key: item.key.as_bytes(),
            message: item.message,
        };
        let minus_k = Scalar::default().sub(Scalar::from_digest(&preimage.digest()));
        let terms = [
            (&base_comb[..], &digits(&s)),
            (comb_of_key, &digits(&minus_k)),
        ];
        let q = path.comb_sum(&terms);
        Point::compress_all(&[q])[0] == *item.signature.r()
    }
}

fn digits(scalar: &Scalar) -> [i16; COMB_WINDOWS] {
    let mut digits = [0; COMB_WINDOWS];
    let (low, high) = digits.split_at_mut(COMB_WINDOWS / 2);
    WINDOWS.split_scalar(scalar, low, high);
    digits
}

/// The comb of a point that is given by its encoding.
fn comb(path: &dyn VectorPath, encoding: &[u8; 32]) -> Arc<[Niels]> {
    let mut point = [Niels::UNSET];
    path.decompress(&[*encoding], &mut point, &mut [false]);
    let term = LaneTerm {
        points: [&point[0]; LANES_MAX],
        digits: [&[1]; LANES_MAX],
    };
    let mut sums = [Point::IDENTITY; LANES_MAX];
    path.cell_sums(&[term], &mut Vec::new(), &mut sums[..path.lanes()]);
    let encodings = Point::compress_all(&comb_points(sums[0]));
    let mut points = vec![Niels::UNSET; encodings.len()];
    path.decompress(&encodings, &mut points, &mut vec![false; encodings.len()]);
    points.into()
}
