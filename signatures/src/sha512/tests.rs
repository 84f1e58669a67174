#![allow(clippy::unwrap_used)]

use std::time::Instant;

use proptest::prelude::*;

use super::*;

type Path = fn(&[Preimage<'_>], &mut [[u64; 8]], &mut Vec<u32>);

/// Every path that this processor has.
fn paths() -> Vec<(&'static str, Path)> {
    let mut paths: Vec<(&'static str, Path)> = vec![("portable", challenges_portable)];
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx2") {
            // SAFETY: detected.
            paths.push(("avx2", |p, d, o| unsafe { challenges_avx2(p, d, o) }));
        }
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw") {
            // SAFETY: detected.
            paths.push(("avx512", |p, d, o| unsafe { challenges_avx512(p, d, o) }));
        }
    }
    paths
}

/// Bytes to cut messages from.
fn bytes(len: usize) -> Vec<u8> {
    let mut x = 1u64;
    let mut next = || {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (x >> 56) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// Preimages with messages of such lengths, that all begin elsewhere in `bytes`.
fn preimages<'a>(bytes: &'a [u8], lengths: &[usize]) -> Vec<Preimage<'a>> {
    let preimage = |(i, &len): (usize, &usize)| Preimage {
        r: bytes[i % 997..].first_chunk().unwrap(),
        key: bytes[i % 991 + 13..].first_chunk().unwrap(),
        message: &bytes[i % 1009..][..len],
    };
    lengths.iter().enumerate().map(preimage).collect()
}

fn expected(preimage: &Preimage<'_>) -> [u64; 8] {
    let whole = [preimage.r, preimage.key, preimage.message].concat();
    let digest = Sha512::digest(&whole);
    core::array::from_fn(|i| u64::from_le_bytes(digest[8 * i..][..8].try_into().unwrap()))
}

/// Every path gives the digests of such messages; each finds other things in its room and in the digests.
fn check(bytes: &[u8], lengths: &[usize]) {
    let preimages = preimages(bytes, lengths);
    let expected: Vec<_> = preimages.iter().map(expected).collect();
    for (name, path) in paths() {
        let mut digests = vec![[7; 8]; preimages.len()];
        let mut order = vec![9; 5];
        path(&preimages, &mut digests, &mut order);
        for (i, (digest, expected)) in digests.iter().zip(&expected).enumerate() {
            assert_eq!(digest, expected, "{name}, {i} of {lengths:?}");
        }
    }
}

#[test]
fn the_last_limb_is_the_digests_end() {
    let bytes = bytes(2000);
    let digest = Sha512::digest(&bytes[..64]);
    let preimage = Preimage {
        r: bytes.first_chunk().unwrap(),
        key: bytes[32..].first_chunk().unwrap(),
        message: &[],
    };
    let limbs = expected(&preimage);
    assert_eq!(limbs[0].to_le_bytes(), digest[..8]);
    assert_eq!(limbs[7].to_le_bytes(), digest[56..]);
}

#[test]
fn every_length_alike_in_all_lanes() {
    let bytes = bytes(4000);
    for len in 0..=700 {
        check(&bytes, &[len; 8]);
    }
}

#[test]
fn every_length_in_one_batch() {
    let bytes = bytes(4000);
    let lengths: Vec<_> = (0..=700).collect();
    check(&bytes, &lengths);
    let reversed: Vec<_> = lengths.iter().rev().copied().collect();
    check(&bytes, &reversed);
}

#[test]
fn lengths_about_block_boundaries_beside_one_another() {
    let bytes = bytes(4000);
    let edges = [
        0, 1, 47, 48, 63, 64, 65, 127, 128, 175, 176, 177, 191, 192, 193, 303, 304, 320,
    ];
    for a in edges {
        for b in edges {
            check(&bytes, &[a, a, b, b, a, b, a, b]);
            check(&bytes, &[a, b, b]);
        }
    }
}

#[test]
fn every_count_and_no_item_at_all() {
    let bytes = bytes(4000);
    for count in 0..=33 {
        check(&bytes, &vec![100; count]);
        check(
            &bytes,
            &(0..count).map(|i| i * 389 % 700).collect::<Vec<_>>(),
        );
    }
}

/// The lanes without the sort: each lane position has each number of blocks beside longer and shorter ones.
#[test]
fn mixtures_in_every_lane_position() {
    let bytes = bytes(4000);
    let lengths = [0, 48, 200, 700, 64, 176, 320, 1500];
    for turn in 0..8 {
        let lengths: [usize; 8] = core::array::from_fn(|i| lengths[(i + turn) % 8]);
        check_lanes(&preimages(&bytes, &lengths));
        check_lanes(&preimages(&bytes, &lengths[..3]));
    }
}

/// [`hash`] gives the digests of up to four preimages and of up to eight, whatever their order.
fn check_lanes(preimages: &[Preimage<'_>]) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx2") {
            // SAFETY: detected.
            preimages
                .chunks(4)
                .for_each(|group| unsafe { avx2::tests::check_group(group) });
        }
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw") {
            // SAFETY: detected.
            preimages
                .chunks(8)
                .for_each(|group| unsafe { avx512::tests::check_group(group) });
        }
    }
}

/// # Safety
/// See [`words`].
#[inline(always)]
pub(super) unsafe fn check_group<W: Words>(group: &[Preimage<'_>]) {
    let mut lanes = [const { Lane::EMPTY }; LANES_MAX];
    let order: Vec<_> = (0..).take(group.len()).collect();
    fill(&mut lanes, group, &order);
    let mut digests = vec![None; group.len()];
    // SAFETY: as for this function.
    unsafe {
        hash::<W>(&lanes, |lane, digest| {
            assert!(digests[lane].replace(digest).is_none())
        })
    };
    for (preimage, digest) in group.iter().zip(digests) {
        assert_eq!(
            digest,
            Some(expected(preimage)),
            "{}",
            preimage.message.len()
        );
    }
}

#[test]
fn a_mebibyte_beside_nothing() {
    let long = 1 << 20;
    let bytes = bytes(long + 2000);
    check(&bytes, &[0, long, 0]);
    check(&bytes, &[0, long, 0, long, 0, 0, 0, 0, 0, long - 1]);
    check(
        &bytes,
        &[
            long,
            long - 16,
            70_000,
            long - 17,
            long - 64,
            0,
            long / 2,
            long - 500_000,
        ],
    );
    check_lanes(&preimages(&bytes, &[0, 300, long, 0, 0, 0, long - 47, 0]));
}

#[test]
fn more_than_are_sorted_at_a_time() {
    let bytes = bytes(4000);
    let lengths: Vec<_> = (0..SORTED + 3).map(|i| i * 31 % 200).collect();
    check(&bytes, &lengths);
}

#[test]
#[should_panic]
fn too_few_digests() {
    let bytes = bytes(2000);
    challenges_portable(&preimages(&bytes, &[1, 2]), &mut [[0; 8]], &mut Vec::new());
}

#[test]
fn the_order_is_by_blocks_and_stable() {
    let bytes = bytes(70_000);
    let lengths = [100, 4000, 0, 60_000, 200, 61_000, 1, 4100, 30_000];
    let mut order = vec![1; 20];
    order::by_blocks(&preimages(&bytes, &lengths), &mut order);
    assert_eq!(order, [3, 5, 8, 1, 7, 4, 0, 2, 6]);
}

proptest! {
    #[test]
    fn random_mixtures(
        short in prop::collection::vec(0usize..600, 0..40),
        long in prop::collection::vec(0usize..20_000, 0..10),
        first in 0usize..1000,
    ) {
        let bytes = bytes(23_000);
        check(&bytes[first..], &[short, long].concat());
    }
}

/// Preimages one after the other in memory.
fn in_a_row<'a>(mut bytes: &'a [u8], lengths: &[usize]) -> Vec<Preimage<'a>> {
    let mut take = |&len: &usize| {
        let (preimage, rest) = bytes.split_at(64 + len);
        bytes = rest;
        Preimage {
            r: preimage.first_chunk().unwrap(),
            key: preimage[32..].first_chunk().unwrap(),
            message: &preimage[64..],
        }
    };
    lengths.iter().map(&mut take).collect()
}

#[test]
#[ignore = "a measurement: run it alone, optimised, with --nocapture"]
fn speed() {
    let n = 8192;
    let bytes = bytes(n * 4096);
    let mixed: Vec<_> = (0..n).map(|i| i * 2_654_435_761 % 4096).collect();
    let equal = vec![mixed.iter().sum::<usize>() / n; n];
    for (name, path) in paths() {
        let time = |lengths: &[usize]| best(path, &in_a_row(&bytes, lengths));
        println!("{name}: {:.3} µs a hash of 200 bytes", time(&vec![200; n]));
        let (mixed, equal) = (time(&mixed), time(&equal));
        println!(
            "    0..4096 bytes {mixed:.3} µs, all equal {equal:.3} µs, {:.3}",
            mixed / equal
        );
        let few = 16;
        println!(
            "    {few} at a time: {:.3} µs a hash of 200 bytes",
            time(&vec![200; few])
        );
    }
}

/// Microseconds a preimage, the best of some runs.
fn best(path: Path, preimages: &[Preimage<'_>]) -> f64 {
    let mut digests = vec![[0; 8]; preimages.len()];
    let mut order = Vec::new();
    let run = |_| {
        let start = Instant::now();
        path(preimages, &mut digests, &mut order);
        start.elapsed().as_secs_f64() * 1e6 / preimages.len() as f64
    };
    (0..15).map(run).fold(f64::INFINITY, f64::min)
}
