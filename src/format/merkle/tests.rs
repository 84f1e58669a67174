//! The tree against published roots, its own definition of shape, and every single-bit change.

use super::*;

/// Numbers that look random and are the same in every run (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn digest(&mut self) -> Digest {
        leaf_hash(&[&self.next().to_le_bytes()])
    }

    fn leaves(&mut self, count: u64) -> Vec<Digest> {
        (0..count).map(|_| self.digest()).collect()
    }
}

fn hex_digest(text: &str) -> Digest {
    text.parse().expect("64 hexadecimal digits")
}

/// The leaves of Certificate Transparency's own reference tests, as hexadecimal data.
const CT_LEAVES: [&str; 8] = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
];

/// The roots over the first 1 to 8 of them.
const CT_ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

fn ct_leaves() -> Vec<Digest> {
    let data = CT_LEAVES.map(|text| hex::decode(text).expect("hexadecimal"));
    data.iter().map(|data| leaf_hash(&[data])).collect()
}

#[test]
fn roots_are_those_of_the_certificate_transparency_tests() {
    let leaves = ct_leaves();
    assert_eq!(
        root(&[]),
        hex_digest("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    );
    for (count, expected) in (1..).zip(CT_ROOTS) {
        assert_eq!(
            root(&leaves[..count]),
            hex_digest(expected),
            "{count} leaves"
        );
    }
}

#[test]
fn paths_are_those_of_the_certificate_transparency_tests() {
    let leaves = ct_leaves();
    let path = [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ];
    assert_eq!(
        inclusion_path(&leaves, 0),
        Some(path.map(hex_digest).to_vec())
    );
    // From 1 to 8 leaves the old tree is the first leaf, and the path is that leaf's.
    assert_eq!(
        consistency_path(&leaves, 1),
        Some(path.map(hex_digest).to_vec())
    );
}

#[test]
fn a_leaf_hash_is_over_the_concatenated_parts() {
    assert_eq!(leaf_hash(&[b"ab", b"", b"c"]), leaf_hash(&[b"abc"]));
    assert_ne!(leaf_hash(&[]), empty_root());
}

#[test]
fn a_frontier_has_the_root_after_every_push_and_survives_its_parts() {
    let leaves = Numbers(1).leaves(300);
    let mut frontier = Frontier::new();
    assert_eq!(frontier.root(), empty_root());
    for count in 1..=leaves.len() {
        frontier.push(leaves[count - 1]);
        assert_eq!(frontier.root(), root(&leaves[..count]), "{count} leaves");
        assert_eq!(frontier.size(), count as u64);
        let parts = Frontier::from_parts(frontier.size(), frontier.peaks().to_vec());
        assert_eq!(parts.as_ref(), Some(&frontier));
    }
    assert_eq!(leaves.into_iter().collect::<Frontier>(), frontier);
}

#[test]
fn a_frontier_is_not_made_of_parts_that_do_not_fit() {
    let peaks = |count| vec![Digest::ZERO; count];
    assert_eq!(Frontier::from_parts(0, peaks(0)), Some(Frontier::new()));
    assert_eq!(Frontier::from_parts(0, peaks(1)), None);
    assert_eq!(Frontier::from_parts(7, peaks(2)), None);
    assert_eq!(Frontier::from_parts(7, peaks(4)), None);
    assert_eq!(Frontier::from_parts(u64::MAX, peaks(64)), None);
    let mut largest = Frontier::from_parts(MAX_FRONTIER_SIZE, peaks(1)).expect("one peak");
    largest.push(Digest::ZERO);
    assert_eq!(
        (largest.size(), largest.peaks().len()),
        (MAX_FRONTIER_SIZE + 1, 2)
    );
}

/// A way through a tree, straight from the recursive definition of its paths: what each node of the path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// A node of both trees to start from (consistency only).
    Seed,
    /// A sibling on the left.
    Left,
    /// A sibling on the right (which the old tree does not have).
    Right,
}

fn inclusion_shape(index: u64, size: u64) -> Vec<Step> {
    if size == 1 {
        return Vec::new();
    }
    let split = 1u64 << (size - 1).ilog2();
    let (mut path, step) = if index < split {
        (inclusion_shape(index, split), Step::Right)
    } else {
        (inclusion_shape(index - split, size - split), Step::Left)
    };
    path.push(step);
    path
}

fn consistency_shape(old: u64, new: u64, known: bool) -> Vec<Step> {
    if old == new {
        return if known { Vec::new() } else { vec![Step::Seed] };
    }
    let split = 1u64 << (new - 1).ilog2();
    let (mut path, step) = if old <= split {
        (consistency_shape(old, split, known), Step::Right)
    } else {
        (
            consistency_shape(old - split, new - split, false),
            Step::Left,
        )
    };
    path.push(step);
    path
}

fn random_size(numbers: &mut Numbers) -> u64 {
    let bits = numbers.below(64) as u32;
    (numbers.next() >> bits).max(1)
}

#[test]
fn path_lengths_are_those_of_the_recursive_definition() {
    let check = |old: u64, new: u64| {
        let inclusion = inclusion_shape(old - 1, new).len();
        assert_eq!(
            inclusion_path_len(old - 1, new),
            inclusion,
            "{old} of {new}"
        );
        assert!(inclusion <= MAX_INCLUSION_PATH);
        let consistency = consistency_shape(old, new, true).len();
        assert_eq!(
            consistency_path_len(old, new),
            consistency,
            "{old} to {new}"
        );
        assert!(consistency <= MAX_CONSISTENCY_PATH);
    };
    for new in 1..=130 {
        (1..=new).for_each(|old| check(old, new));
    }
    let mut numbers = Numbers(2);
    for _ in 0..20_000 {
        let new = random_size(&mut numbers);
        check(numbers.below(new) + 1, new);
    }
    for old in [
        1,
        2,
        3,
        u64::MAX / 2,
        u64::MAX / 2 + 1,
        u64::MAX - 1,
        u64::MAX,
    ] {
        check(old, u64::MAX);
    }
    assert_eq!(inclusion_path_len(0, u64::MAX), MAX_INCLUSION_PATH);
    assert_eq!(consistency_path_len(1 | 2, u64::MAX), MAX_CONSISTENCY_PATH);
    assert_eq!((inclusion_path_len(5, 5), inclusion_path_len(0, 0)), (0, 0));
    assert_eq!(
        (consistency_path_len(6, 5), consistency_path_len(0, 5)),
        (0, 0)
    );
}

#[test]
fn no_path_is_built_for_what_is_not_there() {
    let leaves = Numbers(3).leaves(5);
    assert_eq!(inclusion_path(&leaves, 5), None);
    assert_eq!(inclusion_path(&[], 0), None);
    assert_eq!(inclusion_path(&leaves, u64::MAX), None);
    assert_eq!(consistency_path(&leaves, 6), None);
    assert_eq!(consistency_path(&leaves, 0), Some(Vec::new()));
    assert_eq!(consistency_path(&leaves, 5), Some(Vec::new()));
}

/// Calls `check` with `digest` changed in each of its bits, and in place.
fn each_bit_of_digest(digest: &mut Digest, mut check: impl FnMut(&Digest)) {
    for bit in 0..256 {
        digest.0[bit / 8] ^= 1 << (bit % 8);
        check(digest);
        digest.0[bit / 8] ^= 1 << (bit % 8);
    }
}

fn each_bit_of_path(path: &[Digest], mut check: impl FnMut(&[Digest])) {
    let mut changed = path.to_vec();
    for node in 0..path.len() {
        for bit in 0..256 {
            changed[node].0[bit / 8] ^= 1 << (bit % 8);
            check(&changed);
            changed[node].0[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

/// Paths of a wrong length made from a right one.
fn wrong_lengths(path: &[Digest], extra: Digest) -> Vec<Vec<Digest>> {
    let mut paths = vec![[path, &[extra]].concat(), [&[extra], path].concat()];
    paths.push([path, &[extra; 200]].concat());
    if let ([_, rest @ ..], [front @ .., _]) = (path, path) {
        paths.extend([rest.to_vec(), front.to_vec()]);
    }
    paths
}

#[test]
fn every_single_bit_change_of_an_inclusion_proof_is_refused() {
    let mut numbers = Numbers(4);
    for round in 0..60 {
        let size = if round < 20 {
            round + 1
        } else {
            numbers.below(200) + 1
        };
        let leaves = numbers.leaves(size);
        let index = numbers.below(size);
        let (mut leaf, mut root) = (leaves[index as usize], root(&leaves));
        let path = inclusion_path(&leaves, index).expect("in the tree");
        assert_eq!(verify_inclusion(&leaf, index, size, &path, &root), Ok(()));

        let kept = (leaf, root);
        each_bit_of_digest(&mut leaf, |leaf| {
            assert!(verify_inclusion(leaf, index, size, &path, &kept.1).is_err());
        });
        each_bit_of_digest(&mut root, |root| {
            assert!(verify_inclusion(&kept.0, index, size, &path, root).is_err());
        });
        each_bit_of_path(&path, |path| {
            assert!(verify_inclusion(&kept.0, index, size, path, &kept.1).is_err());
        });
        for path in wrong_lengths(&path, root) {
            let verdict = verify_inclusion(&leaf, index, size, &path, &root);
            assert!(matches!(verdict, Err(ProofError::Length { .. })));
        }
        for bit in 0..64 {
            let other = index ^ (1 << bit);
            assert!(
                verify_inclusion(&leaf, other, size, &path, &root).is_err(),
                "{other}"
            );
            // Another size is refused exactly where it can be: where the path runs otherwise.
            let other = size ^ (1 << bit);
            let alike =
                index < other && inclusion_shape(index, other) == inclusion_shape(index, size);
            assert_eq!(
                verify_inclusion(&leaf, index, other, &path, &root).is_ok(),
                alike
            );
        }
    }
}

#[test]
fn every_single_bit_change_of_a_consistency_proof_is_refused() {
    let mut numbers = Numbers(5);
    for round in 0..60 {
        let new = if round < 20 {
            round + 2
        } else {
            numbers.below(200) + 2
        };
        let old = numbers.below(new - 1) + 1;
        let leaves = numbers.leaves(new);
        let (mut old_root, mut new_root) = (root(&leaves[..old as usize]), root(&leaves));
        let path = consistency_path(&leaves, old).expect("a smaller tree");
        assert_eq!(
            verify_consistency(old, &old_root, new, &new_root, &path),
            Ok(())
        );

        let kept = (old_root, new_root);
        each_bit_of_digest(&mut old_root, |root| {
            assert!(verify_consistency(old, root, new, &kept.1, &path).is_err());
        });
        each_bit_of_digest(&mut new_root, |root| {
            assert!(verify_consistency(old, &kept.0, new, root, &path).is_err());
        });
        each_bit_of_path(&path, |path| {
            assert!(verify_consistency(old, &kept.0, new, &kept.1, path).is_err());
        });
        for path in wrong_lengths(&path, old_root) {
            let verdict = verify_consistency(old, &old_root, new, &new_root, &path);
            assert!(matches!(verdict, Err(ProofError::Length { .. })));
        }
        let shape = consistency_shape(old, new, true);
        for bit in 0..64 {
            let change = 1 << bit;
            for (old, new) in [
                (old ^ change, new),
                (old, new ^ change),
                (old ^ change, new ^ change),
            ] {
                let alike = 0 < old && old < new && consistency_shape(old, new, true) == shape;
                let verdict = verify_consistency(old, &old_root, new, &new_root, &path);
                assert_eq!(verdict.is_ok(), alike, "{old} to {new}");
            }
        }
    }
}

#[test]
fn special_cases_of_consistency_are_as_documented() {
    let leaves = Numbers(6).leaves(5);
    let (one, five, empty) = (root(&leaves[..1]), root(&leaves), empty_root());
    assert_eq!(verify_consistency(5, &five, 5, &five, &[]), Ok(()));
    assert_eq!(
        verify_consistency(5, &five, 5, &one, &[]),
        Err(ProofError::NewRoot)
    );
    assert_eq!(verify_consistency(0, &empty, 0, &empty, &[]), Ok(()));
    assert_eq!(
        verify_consistency(0, &empty, 0, &one, &[]),
        Err(ProofError::NewRoot)
    );
    assert_eq!(
        verify_consistency(0, &one, 0, &one, &[]),
        Err(ProofError::OldRoot)
    );
    assert_eq!(verify_consistency(0, &empty, 5, &five, &[]), Ok(()));
    assert_eq!(
        verify_consistency(0, &one, 5, &five, &[]),
        Err(ProofError::OldRoot)
    );
    let shrinks = Err(ProofError::Shrinks { old: 5, new: 1 });
    assert_eq!(verify_consistency(5, &five, 1, &one, &[]), shrinks);
    for (old, new) in [(5, 5), (0, 0), (0, 5)] {
        let verdict = verify_consistency(old, &empty, new, &empty, &[one]);
        assert_eq!(
            verdict,
            Err(ProofError::Length {
                expected: 0,
                found: 1
            })
        );
    }
}

#[test]
fn verification_of_extreme_sizes_ends_without_panic() {
    let extremes = [
        0,
        1,
        2,
        3,
        1 << 32,
        (1 << 63) - 1,
        1 << 63,
        u64::MAX - 1,
        u64::MAX,
    ];
    let path = [Digest::ZERO; MAX_CONSISTENCY_PATH + 1];
    for a in extremes {
        for b in extremes {
            for length in 0..=path.len() {
                let (root, path) = (Digest::ZERO, &path[..length]);
                assert!(verify_inclusion(&root, a, b, path, &root).is_err() || b == 1);
                assert!(verify_consistency(a, &root, b, &root, path).is_err() || a == b);
            }
        }
    }
}

/// Padding the leaves to a power of two, or pairing an odd last leaf with itself, gives two lists one root: the
/// flaw of Bitcoin's tree (CVE-2012-2459), and of trees that pad with leaves anyone can also submit.
#[test]
fn padding_two_leaf_lists_never_share_a_root() {
    let mut numbers = Numbers(7);
    let mut roots = std::collections::BTreeMap::new();
    let mut check = |leaves: Vec<Digest>| {
        let root = root(&leaves);
        let first = roots.entry(root).or_insert_with(|| leaves.clone());
        assert_eq!(*first, leaves, "two lists with the root {root}");
    };
    for size in 1..=40 {
        let leaves = numbers.leaves(size);
        let last = *leaves.last().expect("not empty");
        let full = size.next_power_of_two() as usize;
        let padded = |pad: &dyn Fn(usize) -> Digest| -> Vec<Digest> {
            leaves
                .iter()
                .copied()
                .chain((leaves.len()..full).map(pad))
                .collect()
        };
        check(leaves.clone());
        check([&leaves[..], &[last]].concat());
        check([&leaves[..], &leaves[..]].concat());
        check(padded(&|_| last));
        check(padded(&|_| Digest::ZERO));
        check(padded(&|_| empty_root()));
        check(padded(&|_| leaf_hash(&[])));
        check(padded(&|index| {
            leaf_hash(&[format!("__PADDING_{index}__").as_bytes()])
        }));
    }
    check(Vec::new());
}

#[test]
fn an_inner_node_never_passes_as_a_leaf() {
    let leaves = Numbers(8).leaves(4);
    let nodes = [
        node_hash(&leaves[0], &leaves[1]),
        node_hash(&leaves[2], &leaves[3]),
    ];
    // As data, the two children of a node hash to another leaf, since leaves have a prefix of their own.
    let data = [*leaves[0].as_bytes(), *leaves[1].as_bytes()].concat();
    assert_ne!(leaf_hash(&[&data]), nodes[0]);
    assert_ne!(leaf_hash(&[&[1], &data]), nodes[0]);
    // Taken as a leaf hash it leads to the root only in a tree of another size, which is why sizes must be
    // authenticated.
    let four = root(&leaves);
    assert_eq!(
        verify_inclusion(&nodes[0], 0, 2, &nodes[1..], &four),
        Ok(())
    );
    assert!(verify_inclusion(&nodes[0], 0, 4, &nodes[1..], &four).is_err());
}
