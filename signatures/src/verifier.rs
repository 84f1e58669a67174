//! The verifier: a path, a cache of keys, threads.

use std::fmt;
use std::num::NonZero;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::batch::{self, BATCH_MAX, Room, lock};
use crate::coefficients::Coefficients;
use crate::item::{Item, Verdicts};
use crate::portable;
use crate::rule::SignatureError;
use crate::self_test;
use crate::single::Singles;
use crate::vector::{self, VectorPath};

/// The environment variable that forces a path, by its name.
pub const PATH_VARIABLE: &str = "HUBLEDGER_SIGNATURE_PATH";

/// The most threads that are started.
const THREADS_MAX: usize = 1024;

/// So few items are checked one by one, which costs no more, and less for keys that have combs.
const SINGLES_MAX: usize = 2;

/// A batch is cut for several threads, but not into parts of half as many items or fewer.
const PART_MIN: usize = if cfg!(fuzzing) { 32 } else { 512 };

/// How signatures are checked. Every path gives the same verdicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Path {
    /// curve25519-dalek, on any machine.
    Portable,
    /// Four lanes: x86-64 with AVX2 and FMA.
    Avx2,
    /// Eight lanes: x86-64 with AVX-512 IFMA.
    Ifma,
}

impl Path {
    /// Every path, the fastest first.
    pub const ALL: [Self; 3] = [Self::Ifma, Self::Avx2, Self::Portable];

    /// The name: `portable`, `avx2` or `ifma`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Ifma => "ifma",
        }
    }

    /// Whether this machine has it.
    #[must_use]
    pub fn is_available(self) -> bool {
        self == Self::Portable || self.vectors().is_some()
    }

    fn vectors(self) -> Option<&'static dyn VectorPath> {
        match self {
            Self::Portable => None,
            Self::Avx2 => vector::avx2(),
            Self::Ifma => vector::ifma(),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Path {
    type Err = SetupError;

    fn from_str(name: &str) -> Result<Self, SetupError> {
        let found = Self::ALL.into_iter().find(|path| path.name() == name);
        found.ok_or_else(|| SetupError::UnknownPath(name.to_owned()))
    }
}

/// Why a verifier can't be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// No path has this name.
    #[error("{0:?} is no signature path: portable, avx2 or ifma")]
    UnknownPath(String),
    /// The processor lacks what the path needs.
    #[error("this processor has no signature path {0}")]
    Unavailable(Path),
    /// The threads can't be started.
    #[error("can't start {threads} signature threads")]
    Threads {
        /// How many were wanted.
        threads: usize,
        /// What the system says.
        source: rayon::ThreadPoolBuildError,
    },
}

/// What a verifier is made with. Nothing here changes a verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// The path; `None` takes the one that the environment variable [`PATH_VARIABLE`] names, or the fastest there is.
    pub path: Option<Path>,
    /// Threads of the verifier's own; 1 works in the caller's thread, 0 starts as many as the machine has cores. At most
    /// 1,024 are started.
    pub threads: usize,
    /// Bytes for keys that were seen before, at about 400 a key, and an eighth as many again for keys that sign one message
    /// at a time. 0 keeps none.
    pub cache_bytes: usize,
    /// Bytes for tables of keys that sign one message at a time, at about 70,000 a key. 0 keeps none.
    pub table_bytes: usize,
    /// Coefficients from this seed instead of the operating system: the same work for the same calls, in tests. Whoever
    /// knows the seed can make a batch accept bad signatures.
    pub seed: Option<[u8; 32]>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            path: None,
            threads: 1,
            cache_bytes: 64 << 20,
            table_bytes: 16 << 20,
            seed: None,
        }
    }
}

/// Checks signatures, many at once for a fraction of the cost of each.
///
/// One verifier serves any number of threads; it keeps what it computed about keys, within the bounds of its
/// [`Settings`], and its buffers.
#[derive(Debug)]
pub struct Verifier {
    path: Path,
    engine: Engine,
    singles: Singles,
    pool: Option<ThreadPool>,
    /// Buffers that no batch is using.
    rooms: Mutex<Vec<Room>>,
    rooms_max: usize,
    batches: AtomicU64,
}

#[derive(Debug)]
enum Engine {
    Portable(Box<portable::Shared>),
    Vector(Box<batch::Shared>),
}

impl Default for Verifier {
    /// A verifier with the default settings. Where the environment forces a path that there isn't, a warning is logged
    /// and the portable path taken.
    fn default() -> Self {
        Self::new(&Settings::default()).unwrap_or_else(|error| {
            tracing::warn!(%error, "taking the portable signature path");
            Self::with_path(Path::Portable, &Settings::default(), None)
        })
    }
}

impl Verifier {
    /// A verifier with these settings.
    ///
    /// # Errors
    /// [`SetupError`]: a forced path is unknown or not available, or the threads can't be started.
    pub fn new(settings: &Settings) -> Result<Self, SetupError> {
        let path = choose_path(settings.path)?;
        Ok(Self::with_path(
            path,
            settings,
            start_threads(settings.threads)?,
        ))
    }

    fn with_path(path: Path, settings: &Settings, pool: Option<ThreadPool>) -> Self {
        let coefficients = match settings.seed {
            Some(seed) => Coefficients::Seeded(seed),
            None => Coefficients::System,
        };
        let vectors = path.vectors().filter(|vectors| is_trusted(path, *vectors));
        let path = if vectors.is_some() {
            path
        } else {
            Path::Portable
        };
        let engine = match vectors {
            Some(vectors) => Engine::Vector(Box::new(batch::Shared::new(
                vectors,
                settings.cache_bytes,
                coefficients,
            ))),
            None => Engine::Portable(Box::new(portable::Shared::new(
                settings.cache_bytes,
                coefficients,
            ))),
        };
        let (points, combs) = (settings.cache_bytes / 8, settings.table_bytes);
        // More are of use only while more threads than there are cores have been interrupted in a batch.
        let cores = cores();
        let threads = pool.as_ref().map_or(1, ThreadPool::current_num_threads);
        Self {
            path,
            engine,
            singles: Singles::new(vectors, points, combs),
            pool,
            rooms: Mutex::default(),
            rooms_max: threads.max(cores),
            batches: AtomicU64::new(0),
        }
    }

    /// The path taken: [`Path::Portable`] too where a faster one failed its self-test.
    #[must_use]
    pub const fn path(&self) -> Path {
        self.path
    }

    /// Checks all items by the rule; the verdict on each is that of [`verify`](crate::verify), the reason included.
    ///
    /// Any number of items; at most 8,192 are summed at once for each thread, in 4 MiB if they are by few keys, in 11 if
    /// each is by another. As much is kept for each thread of the verifier, or core if those are more. A bad item passes
    /// with a chance below `2^-115`; a good one never fails.
    #[must_use]
    pub fn verify(&self, items: &[Item<'_>]) -> Verdicts {
        if items.len() <= SINGLES_MAX {
            let verdicts = items.iter().map(|item| self.verify_one(item));
            let bad = verdicts.enumerate();
            return Verdicts::new(
                bad.filter_map(|(index, verdict)| Some((index, verdict.err()?)))
                    .collect(),
            );
        }
        let threads = self
            .pool
            .as_ref()
            .map_or(1, ThreadPool::current_num_threads);
        let part = items.len().div_ceil(threads).clamp(PART_MIN, BATCH_MAX);
        // As many parts as that makes, but equally large.
        let parts = items.len().div_ceil(part).max(1);
        let part = items.len().div_ceil(parts).max(1);
        // Each part has a number of its own: with a seed, two parts of one number would have the same coefficients.
        let number = self.batches.fetch_add(parts as u64, Ordering::Relaxed);
        let check = |index: usize, items: &[Item<'_>]| {
            self.verify_part(number + index as u64, index * part, items)
        };
        let bad = match &self.pool {
            Some(pool) if parts > 1 => pool.install(|| {
                let parts = items.par_chunks(part).enumerate();
                parts
                    .map(|(index, items)| check(index, items))
                    .reduce(Vec::new, concat)
            }),
            _ => {
                let parts = items.chunks(part).enumerate();
                parts
                    .map(|(index, items)| check(index, items))
                    .fold(Vec::new(), concat)
            }
        };
        Verdicts::new(bad)
    }

    /// Checks one signature by the rule, as [`verify`](crate::verify) does, but faster for a key that came before.
    ///
    /// # Errors
    /// The first step of the rule that fails.
    pub fn verify_one(&self, item: &Item<'_>) -> Result<(), SignatureError> {
        self.singles.verify(item)
    }

    fn verify_part(
        &self,
        number: u64,
        first: usize,
        items: &[Item<'_>],
    ) -> Vec<(usize, SignatureError)> {
        let mut bad = Vec::new();
        match &self.engine {
            Engine::Portable(shared) => shared.verify(number, first, items, &mut bad),
            Engine::Vector(shared) => {
                // Taken out rather than used under the lock, which would let one batch go at a time.
                let mut room = lock(&self.rooms).pop().unwrap_or_default();
                shared.verify(number, first, items, &mut room, &mut bad);
                self.keep(room);
            }
        }
        bad
    }

    fn keep(&self, room: Room) {
        let mut rooms = lock(&self.rooms);
        if rooms.len() < self.rooms_max {
            rooms.push(room);
        }
    }
}

fn concat<T>(mut a: Vec<T>, mut b: Vec<T>) -> Vec<T> {
    a.append(&mut b);
    a
}

/// Whether the path passes its self-test, which is run once in a process.
fn is_trusted(path: Path, vectors: &'static dyn VectorPath) -> bool {
    static AVX2: OnceLock<bool> = OnceLock::new();
    static IFMA: OnceLock<bool> = OnceLock::new();
    let tested = match path {
        Path::Portable => return false,
        Path::Avx2 => &AVX2,
        Path::Ifma => &IFMA,
    };
    *tested.get_or_init(|| {
        let passes = self_test::passes(vectors);
        if !passes {
            tracing::error!(%path, "signature path fails its self-test, taking the portable one");
        }
        passes
    })
}

fn choose_path(wanted: Option<Path>) -> Result<Path, SetupError> {
    let wanted = match wanted {
        Some(path) => Some(path),
        None => match std::env::var_os(PATH_VARIABLE) {
            Some(name) if !name.is_empty() => Some(name.to_string_lossy().parse()?),
            _ => None,
        },
    };
    match wanted {
        Some(path) if path.is_available() => Ok(path),
        Some(path) => Err(SetupError::Unavailable(path)),
        None => {
            let fastest = Path::ALL.into_iter().find(|path| path.is_available());
            Ok(fastest.unwrap_or(Path::Portable))
        }
    }
}

/// The machine's cores, as far as this process may use them.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

fn start_threads(threads: usize) -> Result<Option<ThreadPool>, SetupError> {
    // Not left to rayon, which would ask the environment for its own number.
    let threads = match threads {
        0 => cores(),
        threads => threads.min(THREADS_MAX),
    };
    if threads == 1 {
        return Ok(None);
    }
    let pool = ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|index| format!("signatures-{index}"))
        .build()
        .map_err(|source| SetupError::Threads { threads, source })?;
    Ok(Some(pool))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_buffers_are_kept_than_can_be_in_use_at_a_time() {
        let settings = Settings {
            threads: 2,
            ..Settings::default()
        };
        let verifier = Verifier::new(&settings).expect("threads");
        for _ in 0..5_000 {
            verifier.keep(Room::default());
        }
        let kept = lock(&verifier.rooms).len();
        assert!((2..=1_024).contains(&kept), "{kept}");
    }
}
