//! What a vector instruction set gives: field elements in lanes, and points moved between lanes and memory.
//!
//! A vector holds one element of the field of `p = 2^255 - 19` in each of its [`LANES`](Field::LANES) lanes, as five
//! limbs of radix `2^51`. How a limb is kept (a double, a 64-bit integer) is the implementation's; memory holds limbs
//! as 64-bit words ([`Niels`], [`Bucket`]) that only the implementation that wrote them reads.
//!
//! # How this compiles
//!
//! Formulas over [`Field`] are written once, as `#[inline(always)]` functions without a `#[target_feature]`; each
//! implementation enters them through functions of its own that have the feature, and into those everything is
//! inlined. Hence every function here is unsafe, for one reason that is stated once:
//!
//! # Safety
//!
//! The processor has the features that the implementation names. A path's token type is the proof: it is only made
//! after detection. Functions that take pointers say what else they need.

/// Words of an affine point in Niels form: `y + x`, `y - x`, `2dxy`, five limbs each, and one word unused.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Niels(pub(crate) [u64; 16]);

impl Niels {
    /// Storage to be written to. Not a point.
    pub(crate) const UNSET: Self = Self([0; 16]);
}

/// Words of a bucket: `X`, `Y`, `Z`, `T`, five limbs each, and padding to whole rows of every implementation.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Bucket(pub(crate) [u64; 24]);

/// The most lanes.
pub(crate) const LANES_MAX: usize = 8;

/// A bit for each lane, lane 0 lowest.
pub(crate) type Mask = u8;

/// A point in each lane, in extended coordinates: `x = X/Z`, `y = Y/Z`, `XY = ZT`.
#[derive(Clone, Copy)]
pub(crate) struct Extended<F> {
    pub(crate) x: F,
    pub(crate) y: F,
    pub(crate) z: F,
    pub(crate) t: F,
}

/// An affine point in each lane, ready to be added: second factors, not more.
#[derive(Clone, Copy)]
pub(crate) struct Affine<F> {
    pub(crate) y_plus_x: F,
    pub(crate) y_minus_x: F,
    pub(crate) xy2d: F,
}

/// A point in each lane, ready to be added, not affine.
#[derive(Clone, Copy)]
pub(crate) struct Cached<F> {
    pub(crate) y_plus_x: F,
    pub(crate) y_minus_x: F,
    pub(crate) z: F,
    pub(crate) t2d: F,
}

/// A vector of field elements.
///
/// An element is *reduced* if its limbs are within the bounds that the implementation states. Every function takes
/// reduced elements and gives them, but for [`add_lazy`](Self::add_lazy) and [`sub_lazy`](Self::sub_lazy), whose
/// result may only be the first factor of a product.
///
/// # Safety
/// See the module.
pub(crate) trait Field: Copy {
    /// A product before its carries: to be added to or subtracted from another, which saves a pass of carries.
    type Wide: Copy;

    /// Elements in a vector.
    const LANES: usize;

    /// The same element in every lane, from canonical limbs of radix `2^51`.
    unsafe fn splat(limbs: &[u64; 5]) -> Self;
    /// The elements that the encodings' low 255 bits stand for, modulo `p`, and the encodings' top bits.
    /// The first [`LANES`](Self::LANES) are read.
    unsafe fn decode(encodings: &[&[u8; 32]; LANES_MAX]) -> (Self, Mask);
    /// Canonical limbs of radix `2^51`, limb by limb, lane by lane.
    unsafe fn canonical(self) -> [[u64; LANES_MAX]; 5];
    /// The lanes that are 0 modulo `p`.
    unsafe fn is_zero(self) -> Mask;
    /// The lowest bit of the canonical value: an encoding's sign.
    unsafe fn parity(self) -> Mask;
    /// `other`'s lanes where the mask has a bit, ours elsewhere.
    unsafe fn select(self, other: Self, mask: Mask) -> Self;

    unsafe fn mul(self, other: Self) -> Self;
    unsafe fn square(self) -> Self;
    /// Squares each of the independent vectors `times` times; they are interleaved, which hides latency.
    unsafe fn square_times<const N: usize>(vectors: [Self; N], times: usize) -> [Self; N];
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn negate(self) -> Self;
    unsafe fn add_lazy(self, other: Self) -> Self;
    unsafe fn sub_lazy(self, other: Self) -> Self;

    unsafe fn mul_wide(self, other: Self) -> Self::Wide;
    unsafe fn wide_add(a: Self::Wide, b: Self::Wide) -> Self;
    unsafe fn wide_sub(a: Self::Wide, b: Self::Wide) -> Self;
    /// `2·self + c`
    unsafe fn twice_add(self, c: Self::Wide) -> Self;
    /// `2·self - c`
    unsafe fn twice_sub(self, c: Self::Wide) -> Self;

    /// The same point in every lane, negated where `negative` has a bit.
    unsafe fn broadcast(point: &Niels, negative: Mask) -> Affine<Self>;
    /// Each lane's point, negated where `negative` has a bit. The first [`LANES`](Self::LANES) pointers are valid for
    /// reads.
    unsafe fn gather(points: &[*const Niels; LANES_MAX], negative: Mask) -> Affine<Self>;
    /// Writes each lane's point; the slice has [`LANES`](Self::LANES) elements.
    unsafe fn store(point: &Affine<Self>, points: &mut [Niels]);
    /// Each lane's bucket. The first [`LANES`](Self::LANES) pointers are valid for reads.
    unsafe fn load_buckets(buckets: &[*mut Bucket; LANES_MAX]) -> Extended<Self>;
    /// Writes each lane's bucket. The first [`LANES`](Self::LANES) pointers are valid for writes, and all different.
    unsafe fn store_buckets(point: &Extended<Self>, buckets: &[*mut Bucket; LANES_MAX]);
    /// Asks for a bucket to be brought near. Any pointer will do.
    unsafe fn prefetch(bucket: *const Bucket);
}
