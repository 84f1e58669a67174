//! What a vector instruction set gives: 64-bit words in lanes, and the compression function over them.
//!
//! As in [`crate::vector`], the generic functions are `#[inline(always)]` and have no `#[target_feature]`; they are
//! inlined into the implementation's [`Words::compress`], which has it. That one is never inlined, so that the
//! compiler allots registers to the compression function and nothing else. All are unsafe, for one reason:
//!
//! # Safety
//!
//! The processor has the features that the implementation of [`Words`] names. Functions that take pointers say what
//! else they need.

/// The most lanes.
pub(super) const LANES_MAX: usize = 8;

/// Bytes of a block.
pub(super) const BLOCK: usize = 128;

/// A block for each lane; a vector of fewer lanes reads the first ones only.
pub(super) type Blocks = [*const u8; LANES_MAX];

/// The eight words of a hash value, lane by lane.
pub(super) type State = [[u64; LANES_MAX]; 8];

/// A 64-bit word in each lane.
///
/// # Safety
/// See the module.
pub(crate) trait Words: Copy {
    /// Words in a vector.
    const LANES: usize;

    /// Takes a block into each lane's state: [`compress`], with the instruction set enabled. Every lane's block is
    /// valid for reads of [`BLOCK`] bytes.
    unsafe fn compress(state: &mut State, blocks: &Blocks);

    /// The same word in every lane.
    unsafe fn splat(word: u64) -> Self;
    /// The two big-endian words at byte `offset` of each lane's block. Every lane's 16 bytes from there are valid for
    /// reads.
    unsafe fn load_pair(blocks: &Blocks, offset: usize) -> [Self; 2];
    /// Words that were stored.
    unsafe fn load(lanes: &[u64; LANES_MAX]) -> Self;
    /// The words, lane by lane; what is past the last lane is kept.
    unsafe fn store(self, lanes: &mut [u64; LANES_MAX]);

    /// The sum modulo `2^64`.
    unsafe fn add(self, other: Self) -> Self;
    /// `self ^ b ^ c`
    unsafe fn xor3(self, b: Self, c: Self) -> Self;
    /// Rotates right by `N`, which is from 1 to 63.
    unsafe fn rotate<const N: u32>(self) -> Self;
    /// Shifts right by `N`, which is from 1 to 63.
    unsafe fn shift<const N: u32>(self) -> Self;
    /// `Ch(self, f, g)`: bits of `f` where `self` has a 1, of `g` elsewhere.
    unsafe fn choose(self, f: Self, g: Self) -> Self;
    /// `Maj(self, b, c)`: the bits that two of the three have.
    unsafe fn majority(self, b: Self, c: Self) -> Self;
}

/// The hash value before the first block (FIPS 180-4, 5.3.5).
pub(super) const INITIAL: [u64; 8] = [
    0x6a09_e667_f3bc_c908,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
];

/// The rounds' constants, 16 rounds a row (FIPS 180-4, 4.2.3).
#[rustfmt::skip]
const ROUNDS: [[u64; 16]; 5] = [
    [
        0x428a_2f98_d728_ae22, 0x7137_4491_23ef_65cd, 0xb5c0_fbcf_ec4d_3b2f, 0xe9b5_dba5_8189_dbbc,
        0x3956_c25b_f348_b538, 0x59f1_11f1_b605_d019, 0x923f_82a4_af19_4f9b, 0xab1c_5ed5_da6d_8118,
        0xd807_aa98_a303_0242, 0x1283_5b01_4570_6fbe, 0x2431_85be_4ee4_b28c, 0x550c_7dc3_d5ff_b4e2,
        0x72be_5d74_f27b_896f, 0x80de_b1fe_3b16_96b1, 0x9bdc_06a7_25c7_1235, 0xc19b_f174_cf69_2694,
    ],
    [
        0xe49b_69c1_9ef1_4ad2, 0xefbe_4786_384f_25e3, 0x0fc1_9dc6_8b8c_d5b5, 0x240c_a1cc_77ac_9c65,
        0x2de9_2c6f_592b_0275, 0x4a74_84aa_6ea6_e483, 0x5cb0_a9dc_bd41_fbd4, 0x76f9_88da_8311_53b5,
        0x983e_5152_ee66_dfab, 0xa831_c66d_2db4_3210, 0xb003_27c8_98fb_213f, 0xbf59_7fc7_beef_0ee4,
        0xc6e0_0bf3_3da8_8fc2, 0xd5a7_9147_930a_a725, 0x06ca_6351_e003_826f, 0x1429_2967_0a0e_6e70,
    ],
    [
        0x27b7_0a85_46d2_2ffc, 0x2e1b_2138_5c26_c926, 0x4d2c_6dfc_5ac4_2aed, 0x5338_0d13_9d95_b3df,
        0x650a_7354_8baf_63de, 0x766a_0abb_3c77_b2a8, 0x81c2_c92e_47ed_aee6, 0x9272_2c85_1482_353b,
        0xa2bf_e8a1_4cf1_0364, 0xa81a_664b_bc42_3001, 0xc24b_8b70_d0f8_9791, 0xc76c_51a3_0654_be30,
        0xd192_e819_d6ef_5218, 0xd699_0624_5565_a910, 0xf40e_3585_5771_202a, 0x106a_a070_32bb_d1b8,
    ],
    [
        0x19a4_c116_b8d2_d0c8, 0x1e37_6c08_5141_ab53, 0x2748_774c_df8e_eb99, 0x34b0_bcb5_e19b_48a8,
        0x391c_0cb3_c5c9_5a63, 0x4ed8_aa4a_e341_8acb, 0x5b9c_ca4f_7763_e373, 0x682e_6ff3_d6b2_b8a3,
        0x748f_82ee_5def_b2fc, 0x78a5_636f_4317_2f60, 0x84c8_7814_a1f0_ab72, 0x8cc7_0208_1a64_39ec,
        0x90be_fffa_2363_1e28, 0xa450_6ceb_de82_bde9, 0xbef9_a3f7_b2c6_7915, 0xc671_78f2_e372_532b,
    ],
    [
        0xca27_3ece_ea26_619c, 0xd186_b8c7_21c0_c207, 0xeada_7dd6_cde0_eb1e, 0xf57d_4f7f_ee6e_d178,
        0x06f0_67aa_7217_6fba, 0x0a63_7dc5_a2c8_98a6, 0x113f_9804_bef9_0dae, 0x1b71_0b35_131c_471b,
        0x28db_77f5_2304_7d84, 0x32ca_ab7b_40c7_2493, 0x3c9e_be0a_15c9_bebc, 0x431d_67c4_9c10_0d4c,
        0x4cc5_d4be_cb3e_42b6, 0x597f_299c_fc65_7e2a, 0x5fcb_6fab_3ad6_faec, 0x6c44_198c_4a47_5817,
    ],
];

/// Takes a block into each lane's state.
///
/// # Safety
/// See the module; and each lane's block is valid for reads of [`BLOCK`] bytes.
#[inline(always)]
pub(super) unsafe fn compress<W: Words>(state: &mut State, blocks: &Blocks) {
    unsafe {
        let mut words = message_words(blocks);
        let mut vectors = [W::splat(0); 8];
        for (vector, lanes) in vectors.iter_mut().zip(&*state) {
            *vector = W::load(lanes);
        }
        let [scheduled @ .., last] = &ROUNDS;
        for constants in scheduled {
            vectors = rounds::<W, true>(vectors, &mut words, constants);
        }
        vectors = rounds::<W, false>(vectors, &mut words, last);
        for (vector, lanes) in vectors.into_iter().zip(state) {
            W::load(lanes).add(vector).store(lanes);
        }
    }
}

/// The 16 words of each lane's block.
#[inline(always)]
unsafe fn message_words<W: Words>(blocks: &Blocks) -> [W; 16] {
    unsafe {
        let mut words = [W::splat(0); 16];
        for (i, pair) in words.as_chunks_mut::<2>().0.iter_mut().enumerate() {
            *pair = W::load_pair(blocks, 16 * i);
        }
        words
    }
}

/// Sixteen rounds. With `SCHEDULE`, each word, once it is used, is replaced by the one 16 rounds on.
#[inline(always)]
unsafe fn rounds<W: Words, const SCHEDULE: bool>(
    mut state: [W; 8],
    words: &mut [W; 16],
    constants: &[u64; 16],
) -> [W; 8] {
    macro_rules! unrolled {
        ($($t:literal)*) => {$(
            state = round(state, words[$t].add(W::splat(constants[$t])));
            if SCHEDULE {
                words[$t] = scheduled::<W, $t>(words);
            }
        )*};
    }
    unsafe {
        unrolled!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    }
    state
}

/// One round, with the sum of its word and its constant.
#[inline(always)]
unsafe fn round<W: Words>([a, b, c, d, e, f, g, h]: [W; 8], input: W) -> [W; 8] {
    unsafe {
        let sum1 = e.rotate::<14>().xor3(e.rotate::<18>(), e.rotate::<41>());
        let sum0 = a.rotate::<28>().xor3(a.rotate::<34>(), a.rotate::<39>());
        let t1 = h.add(input).add(e.choose(f, g)).add(sum1);
        let t2 = sum0.add(a.majority(b, c));
        [t1.add(t2), a, b, c, d.add(t1), e, f, g]
    }
}

/// The word 16 rounds after word `T` of the last 16.
#[inline(always)]
unsafe fn scheduled<W: Words, const T: usize>(words: &[W; 16]) -> W {
    unsafe {
        let (x, y) = (words[(T + 1) % 16], words[(T + 14) % 16]);
        let sigma0 = x.rotate::<1>().xor3(x.rotate::<8>(), x.shift::<7>());
        let sigma1 = y.rotate::<19>().xor3(y.rotate::<61>(), y.shift::<6>());
        words[T].add(words[(T + 9) % 16]).add(sigma0).add(sigma1)
    }
}
