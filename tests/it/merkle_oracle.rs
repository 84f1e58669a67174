//! The Merkle tree against independent implementations: the crate `ct-merkle`, and RFC 9162's own text.

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use hubledger::digest::Digest;
use hubledger::merkle::{
    consistency_path, inclusion_path, inclusion_path_len, leaf_hash, root, verify_consistency,
    verify_inclusion,
};
use sha2::{Digest as _, Sha256};

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

    fn bytes(&mut self, length: u64) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }

    fn data(&mut self, count: u64) -> Vec<Vec<u8>> {
        (0..count)
            .map(|_| {
                let length = self.below(80);
                self.bytes(length)
            })
            .collect()
    }
}

fn leaf_hashes(data: &[Vec<u8>]) -> Vec<Digest> {
    data.iter().map(|data| leaf_hash(&[data])).collect()
}

fn digests(bytes: &[u8]) -> Vec<Digest> {
    let (digests, rest) = bytes.as_chunks::<32>();
    assert!(rest.is_empty(), "a whole number of digests");
    digests.iter().copied().map(Digest).collect()
}

fn bytes(path: &[Digest]) -> Vec<u8> {
    path.iter().flat_map(|digest| *digest.as_bytes()).collect()
}

fn their_tree(data: &[Vec<u8>]) -> MemoryBackedTree<Sha256, Vec<u8>> {
    let mut tree = MemoryBackedTree::new();
    data.iter().for_each(|data| tree.push(data.clone()));
    tree
}

fn their_root(root: Digest, size: u64) -> RootHash<Sha256> {
    RootHash::new((*root.as_bytes()).into(), size)
}

#[test]
fn ct_merkle_agrees_on_random_trees_and_accepts_our_proofs_and_we_theirs() {
    let mut numbers = Numbers(10);
    for round in 0..1200 {
        let size = if round < 130 {
            round + 1
        } else {
            numbers.below(150) + 1
        };
        let data = numbers.data(size);
        let (ours, theirs) = (leaf_hashes(&data), their_tree(&data));
        let our_root = root(&ours);
        assert_eq!(
            our_root.as_bytes().as_slice(),
            theirs.root().as_bytes().as_slice()
        );
        let new_root = their_root(our_root, size);

        for _ in 0..3 {
            let index = numbers.below(size);
            let (at, leaf) = (index as usize, ours[index as usize]);
            let our_path = inclusion_path(&ours, index).expect("in the tree");
            let their_path = digests(theirs.prove_inclusion(at).as_bytes());
            assert_eq!(our_path, their_path);
            assert_eq!(
                verify_inclusion(&leaf, index, size, &their_path, &our_root),
                Ok(())
            );
            let proof = InclusionProof::<Sha256>::from_bytes(bytes(&our_path));
            new_root
                .verify_inclusion(&data[at], index, &proof)
                .expect("they accept our path");

            let old = numbers.below(size) + 1;
            let old_root = root(&ours[..old as usize]);
            let our_path = consistency_path(&ours, old).expect("a smaller tree");
            let their_path = digests(theirs.prove_consistency((size - old) as usize).as_bytes());
            assert_eq!(our_path, their_path);
            let verdict = verify_consistency(old, &old_root, size, &our_root, &their_path);
            assert_eq!(verdict, Ok(()));
            let proof = ConsistencyProof::<Sha256>::try_from_bytes(bytes(&our_path))
                .expect("a whole number of digests");
            new_root
                .verify_consistency(&their_root(old_root, old), &proof)
                .expect("they accept our path");
        }
    }
}

fn sha(parts: &[&[u8]]) -> Digest {
    Digest(Sha256::digest(parts.concat()).into())
}

/// The largest power of two smaller than `n`.
fn k(n: usize) -> usize {
    let mut k = 1;
    while 2 * k < n {
        k *= 2;
    }
    k
}

/// `MTH(D_n)`, RFC 9162 section 2.1.1.
fn mth(data: &[Vec<u8>]) -> Digest {
    match data.len() {
        0 => sha(&[]),
        1 => sha(&[&[0], &data[0]]),
        n => {
            let (left, right) = data.split_at(k(n));
            sha(&[&[1], mth(left).as_bytes(), mth(right).as_bytes()])
        }
    }
}

/// `PATH(m, D_n)`, RFC 9162 section 2.1.3.1.
fn rfc_path(m: usize, data: &[Vec<u8>]) -> Vec<Digest> {
    let n = data.len();
    if n == 1 {
        return Vec::new();
    }
    let (left, right) = data.split_at(k(n));
    if m < k(n) {
        [rfc_path(m, left), vec![mth(right)]].concat()
    } else {
        [rfc_path(m - k(n), right), vec![mth(left)]].concat()
    }
}

/// `SUBPROOF(m, D_n, b)`, RFC 9162 section 2.1.4.1; `PROOF(m, D_n)` is `SUBPROOF(m, D_n, true)`.
fn rfc_subproof(m: usize, data: &[Vec<u8>], b: bool) -> Vec<Digest> {
    let n = data.len();
    if m == n {
        return if b { Vec::new() } else { vec![mth(data)] };
    }
    let (left, right) = data.split_at(k(n));
    if m <= k(n) {
        [rfc_subproof(m, left, b), vec![mth(right)]].concat()
    } else {
        [rfc_subproof(m - k(n), right, false), vec![mth(left)]].concat()
    }
}

fn node(left: &Digest, right: &Digest) -> Digest {
    sha(&[&[1], left.as_bytes(), right.as_bytes()])
}

/// RFC 9162 section 2.1.3.2, step by step. Returns the root that it would compare, if it gets there.
fn rfc_inclusion_root(leaf: &Digest, index: u64, size: u64, path: &[Digest]) -> Option<Digest> {
    if index >= size {
        return None;
    }
    let (mut f, mut s, mut r) = (index, size - 1, *leaf);
    for p in path {
        if s == 0 {
            return None;
        }
        if f & 1 == 1 || f == s {
            r = node(p, &r);
            while f & 1 == 0 && f != 0 {
                f >>= 1;
                s >>= 1;
            }
        } else {
            r = node(&r, p);
        }
        f >>= 1;
        s >>= 1;
    }
    (s == 0).then_some(r)
}

/// RFC 9162 section 2.1.4.2, step by step, for `0 < first < second`. Returns the two roots that it would
/// compare, if it gets there.
fn rfc_consistency_roots(
    first: u64,
    first_hash: &Digest,
    second: u64,
    path: &[Digest],
) -> Option<(Digest, Digest)> {
    if path.is_empty() {
        return None;
    }
    let mut path = path.to_vec();
    if first.is_power_of_two() {
        path.insert(0, *first_hash);
    }
    let (mut f, mut s) = (first - 1, second - 1);
    while f & 1 == 1 {
        f >>= 1;
        s >>= 1;
    }
    let (mut fr, mut sr) = (path[0], path[0]);
    for c in &path[1..] {
        if s == 0 {
            return None;
        }
        if f & 1 == 1 || f == s {
            fr = node(c, &fr);
            sr = node(c, &sr);
            while f & 1 == 0 && f != 0 {
                f >>= 1;
                s >>= 1;
            }
        } else {
            sr = node(&sr, c);
        }
        f >>= 1;
        s >>= 1;
    }
    (s == 0).then_some((fr, sr))
}

#[test]
fn roots_and_paths_are_those_of_the_rfc_text() {
    let mut numbers = Numbers(11);
    for size in 0..=70 {
        let data = numbers.data(size);
        let leaves = leaf_hashes(&data);
        assert_eq!(root(&leaves), mth(&data));
        for m in 0..data.len() {
            assert_eq!(inclusion_path(&leaves, m as u64), Some(rfc_path(m, &data)));
            let proof = rfc_subproof(m + 1, &data, true);
            assert_eq!(consistency_path(&leaves, m as u64 + 1), Some(proof));
        }
    }
}

/// A size of any magnitude, not only of the largest.
fn random_size(numbers: &mut Numbers) -> u64 {
    let bits = numbers.below(64) as u32;
    (numbers.next() >> bits).max(2)
}

fn random_path(numbers: &mut Numbers, length: usize) -> Vec<Digest> {
    (0..length)
        .map(|_| leaf_hash(&[&numbers.next().to_le_bytes()]))
        .collect()
}

/// Trees of up to `2^64 - 1` leaves can't be built, but any path of the right length leads to *some* root, and
/// both walks must agree which.
#[test]
fn verification_agrees_with_the_rfc_loops_for_sizes_up_to_the_largest() {
    let mut numbers = Numbers(12);
    for _ in 0..20_000 {
        let size = random_size(&mut numbers);
        let index = numbers.below(size);
        let jitter = numbers.below(8);
        let expected = inclusion_path_len(index, size) as u64;
        let length = if jitter < 3 {
            (expected + jitter).saturating_sub(1)
        } else {
            expected
        };
        let path = random_path(&mut numbers, length as usize);
        let leaf = leaf_hash(&[b"leaf"]);
        match rfc_inclusion_root(&leaf, index, size, &path) {
            Some(root) => assert_eq!(verify_inclusion(&leaf, index, size, &path, &root), Ok(())),
            None => assert!(verify_inclusion(&leaf, index, size, &path, &leaf).is_err()),
        }
    }
}

#[test]
fn consistency_agrees_with_the_rfc_loops_for_sizes_up_to_the_largest() {
    let mut numbers = Numbers(13);
    let mut accepted = 0;
    for _ in 0..20_000 {
        let new = random_size(&mut numbers);
        let old = numbers.below(new - 1) + 1;
        let jitter = numbers.below(8);
        let expected = hubledger::merkle::consistency_path_len(old, new) as u64;
        let length = if jitter < 3 {
            (expected + jitter).saturating_sub(1)
        } else {
            expected
        };
        let path = random_path(&mut numbers, length as usize);
        let known = leaf_hash(&[b"old"]);
        match rfc_consistency_roots(old, &known, new, &path) {
            Some((old_root, new_root)) => {
                let verdict = verify_consistency(old, &old_root, new, &new_root, &path);
                assert_eq!(verdict, Ok(()), "{old} to {new}");
                accepted += 1;
            }
            None => assert!(verify_consistency(old, &known, new, &known, &path).is_err()),
        }
    }
    assert!(
        accepted > 10_000,
        "only {accepted} paths were of the right length"
    );
}
