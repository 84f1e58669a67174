//! The public API beside ed25519-dalek, which is the baseline of each group.
//!
//! A figure of one group compares with the others of that group only. For ratios that hold on noisy machines there is
//! `hubledger-perf ratios`.

use std::hint::black_box;

use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};
use ed25519_dalek::{Signer as _, SigningKey, Verifier as _, VerifyingKey, verify_batch};
use hubledger_signatures::{Item, Path, PublicKey, Settings, Signature, Verifier};

const SIZES: [usize; 3] = [16, 512, 8192];
const SIZE_MAX: usize = 8192;
const SENDERS: usize = 64;
const MESSAGE_BYTES: usize = 200;

/// Valid signatures, as both sides take them.
struct Signed {
    keys: Vec<PublicKey>,
    dalek_keys: Vec<VerifyingKey>,
    messages: Vec<Vec<u8>>,
    signatures: Vec<Signature>,
    dalek_signatures: Vec<ed25519_dalek::Signature>,
}

impl Signed {
    /// A message of each length, signed by so many keys in turn.
    fn new(keys: usize, lengths: impl IntoIterator<Item = usize>) -> Self {
        let signers: Vec<SigningKey> = (0..keys as u64).map(signer).collect();
        let mut signed = Self {
            keys: Vec::new(),
            dalek_keys: Vec::new(),
            messages: Vec::new(),
            signatures: Vec::new(),
            dalek_signatures: Vec::new(),
        };
        for (index, length) in lengths.into_iter().enumerate() {
            let signer = &signers[index % keys];
            let message: Vec<u8> = (0..length).map(|at| (index * 31 + at * 7) as u8).collect();
            let signature = signer.sign(&message);
            let key = signer.verifying_key();
            signed.keys.push(PublicKey::from_bytes(key.to_bytes()));
            signed.dalek_keys.push(key);
            let bytes = Signature::from_bytes(signature.to_bytes());
            signed.signatures.push(bytes);
            signed.dalek_signatures.push(signature);
            signed.messages.push(message);
        }
        signed
    }

    fn items(&self) -> Vec<Item<'_>> {
        let item = |index: usize| Item {
            key: &self.keys[index],
            message: &self.messages[index],
            signature: &self.signatures[index],
        };
        (0..self.keys.len()).map(item).collect()
    }

    fn messages(&self) -> Vec<&[u8]> {
        self.messages.iter().map(Vec::as_slice).collect()
    }
}

fn signer(number: u64) -> SigningKey {
    let mut seed = [0x5a; 32];
    seed[..8].copy_from_slice(&number.to_le_bytes());
    SigningKey::from_bytes(&seed)
}

fn equal_lengths() -> impl Iterator<Item = usize> {
    std::iter::repeat_n(MESSAGE_BYTES, SIZE_MAX)
}

fn verifier(path: Path, cache_bytes: Option<usize>, table_bytes: Option<usize>) -> Verifier {
    let mut settings = Settings::default();
    settings.path = Some(path);
    settings.cache_bytes = cache_bytes.unwrap_or(settings.cache_bytes);
    settings.table_bytes = table_bytes.unwrap_or(settings.table_bytes);
    Verifier::new(&settings).expect("the path is available")
}

fn paths() -> impl Iterator<Item = Path> {
    Path::ALL.into_iter().filter(|path| path.is_available())
}

/// Batches of one workload: dalek's, then ours by each path.
fn batches(criterion: &mut Criterion, name: &str, signed: &Signed, known: bool) {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10);
    let (items, messages) = (signed.items(), signed.messages());
    for n in SIZES {
        group.throughput(Throughput::Elements(n as u64));
        group.bench_function(BenchmarkId::new("ed25519-dalek batch", n), |bencher| {
            bencher.iter(|| dalek_batch(signed, &messages, n, known));
        });
        for path in paths() {
            let verifier = verifier(path, (!known).then_some(0), None);
            // Keys become known.
            for _ in 0..2 {
                assert!(verifier.verify(&items[..n]).all_valid());
            }
            group.bench_function(BenchmarkId::new(path.name(), n), |bencher| {
                bencher.iter(|| verifier.verify(black_box(&items[..n])));
            });
        }
    }
    group.finish();
}

/// Unknown keys are decompressed as a part of the work.
fn dalek_batch(signed: &Signed, messages: &[&[u8]], n: usize, known: bool) {
    let signatures = black_box(&signed.dalek_signatures[..n]);
    let result = if known {
        verify_batch(&messages[..n], signatures, &signed.dalek_keys[..n])
    } else {
        let keys = signed.keys[..n].iter();
        let keys: Result<Vec<_>, _> = keys
            .map(|key| VerifyingKey::from_bytes(key.as_bytes()))
            .collect();
        keys.and_then(|keys| verify_batch(&messages[..n], signatures, &keys))
    };
    assert!(result.is_ok());
}

/// H: few senders, known. C: every key another, known. D: every key another, unknown.
fn workloads(criterion: &mut Criterion) {
    let hub = Signed::new(SENDERS, equal_lengths());
    batches(criterion, "H", &hub, true);
    let strangers = Signed::new(SIZE_MAX, equal_lengths());
    batches(criterion, "C", &strangers, true);
    batches(criterion, "D", &strangers, false);
}

/// One signature at a time: under a key never seen, a known one, and one that has a table.
fn single(criterion: &mut Criterion) {
    let signed = Signed::new(1, [MESSAGE_BYTES]);
    let item = signed.items()[0];
    let (message, signature) = (item.message, &signed.dalek_signatures[0]);
    let key = signed.dalek_keys[0];

    let mut group = criterion.benchmark_group("single cold");
    group.bench_function("ed25519-dalek", |bencher| {
        bencher.iter(|| {
            let key = VerifyingKey::from_bytes(black_box(item.key.as_bytes()));
            key.and_then(|key| key.verify(message, signature))
        });
    });
    for path in paths() {
        bench_single(&mut group, path, &verifier(path, Some(0), Some(0)), &item);
    }
    group.finish();

    for (name, tables) in [("single cached", Some(0)), ("single hot", None)] {
        let mut group = criterion.benchmark_group(name);
        group.bench_function("ed25519-dalek", |bencher| {
            bencher.iter(|| black_box(&key).verify(message, signature));
        });
        for path in paths() {
            bench_single(&mut group, path, &verifier(path, None, tables), &item);
        }
        group.finish();
    }
}

/// More uses than a key needs to get a table.
const USES: usize = 100;

fn bench_single(
    group: &mut BenchmarkGroup<'_, WallTime>,
    path: Path,
    verifier: &Verifier,
    item: &Item<'_>,
) {
    for _ in 0..USES {
        assert!(verifier.verify_one(item).is_ok());
    }
    group.bench_function(path.name(), |bencher| {
        bencher.iter(|| verifier.verify_one(black_box(item)));
    });
}

/// Messages of 0 to 4,096 bytes, and the same bytes in equal lengths.
fn lengths(criterion: &mut Criterion) {
    let n = SIZE_MAX;
    // 1021 has no divisor in common with 4097, so every length comes up as often as any other.
    let mixed: Vec<usize> = (0..n).map(|index| index * 1021 % 4097).collect();
    let equal = vec![mixed.iter().sum::<usize>() / n; n];
    let mut group = criterion.benchmark_group("lengths");
    group.sample_size(10);
    for (name, lengths) in [("equal", equal), ("mixed", mixed)] {
        let signed = Signed::new(SENDERS, lengths);
        let (items, messages) = (signed.items(), signed.messages());
        let bytes = messages.iter().map(|message| message.len() as u64).sum();
        group.throughput(Throughput::Bytes(bytes));
        group.bench_function(BenchmarkId::new("ed25519-dalek batch", name), |bencher| {
            bencher.iter(|| dalek_batch(&signed, &messages, n, true));
        });
        for path in paths() {
            let verifier = verifier(path, None, None);
            for _ in 0..2 {
                assert!(verifier.verify(&items).all_valid());
            }
            group.bench_function(BenchmarkId::new(path.name(), name), |bencher| {
                bencher.iter(|| verifier.verify(black_box(&items)));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, workloads, single, lengths);
criterion_main!(benches);
