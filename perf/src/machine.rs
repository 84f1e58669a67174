//! What measured: the processor, its cores and features, the compiler, the date. A figure without these says nothing.

use std::borrow::Cow;
use std::time::SystemTime;

use hubledger_signatures::Path;
use serde::{Deserialize, Serialize};

/// Features of the processor that decide how fast signatures, hashes and checksums are.
const FEATURES: [&str; 14] = [
    "sse4_2",
    "pclmulqdq",
    "sha_ni",
    "bmi2",
    "adx",
    "avx2",
    "fma",
    "avx512f",
    "avx512vl",
    "avx512ifma",
    "vaes",
    "asimd",
    "sha2",
    "sha512",
];

/// Where and when figures were taken.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// The processor's name for itself.
    pub(crate) cpu: String,
    /// Those of its features that matter here.
    pub(crate) features: Vec<String>,
    /// Cores that the process may use.
    pub(crate) cores: usize,
    /// System and architecture.
    pub(crate) system: String,
    /// Processes that wanted a core, averaged over the last minute before the run: above the cores, it was noisy.
    pub(crate) load: Option<f64>,
}

impl Machine {
    pub(crate) fn describe() -> Self {
        let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let flags = field(&processor, &["flags", "Features"]).unwrap_or_default();
        let flags: Vec<&str> = flags.split_whitespace().collect();
        let features = FEATURES.iter().filter(|feature| flags.contains(feature));
        Self {
            cpu: field(&processor, &["model name"])
                .unwrap_or("unknown")
                .to_owned(),
            features: features.map(|&feature| feature.to_owned()).collect(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            load: load.split(' ').next().and_then(|load| load.parse().ok()),
        }
    }
}

impl Machine {
    /// The name of the fastest path of our verifier that its features allow.
    pub(crate) fn fastest_path(&self) -> &'static str {
        let has = |feature: &str| self.features.iter().any(|known| known == feature);
        match (has("avx512ifma"), has("avx2")) {
            (true, _) => Path::Ifma.name(),
            (false, true) => Path::Avx2.name(),
            (false, false) => Path::Portable.name(),
        }
    }
}

/// The first value of one of these names in the manner of `/proc/cpuinfo`.
fn field<'a>(text: &'a str, names: &[&str]) -> Option<&'a str> {
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    let found = fields.find(|(name, _)| names.contains(&name.trim()));
    found.map(|(_, value)| value.trim())
}

/// What compiled the program.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Toolchain {
    pub(crate) rustc: Cow<'static, str>,
    pub(crate) profile: Cow<'static, str>,
    pub(crate) rustflags: Cow<'static, str>,
}

/// The compiler that built this program.
pub(crate) const TOOLCHAIN: Toolchain = Toolchain {
    rustc: Cow::Borrowed(env!("PERF_RUSTC")),
    profile: Cow::Borrowed(env!("PERF_PROFILE")),
    rustflags: Cow::Borrowed(env!("PERF_RUSTFLAGS")),
};

/// The time now, in UTC, to the second.
pub(crate) fn date() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// A line that says what measured.
pub(crate) fn headline(machine: &Machine, path: &str) -> String {
    let load = machine
        .load
        .map_or_else(String::new, |load| format!(", load {load}"));
    format!(
        "{}, {} cores{load}; {} ({}); path {path}; {}\n",
        machine.cpu,
        machine.cores,
        TOOLCHAIN.rustc,
        TOOLCHAIN.profile,
        date()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_any_of_their_names() {
        let text = "processor\t: 0\nmodel name\t: A: B\nflags\t\t: fpu avx2\n\nmodel name: C\n";
        assert_eq!(field(text, &["model name"]), Some("A: B"));
        assert_eq!(field(text, &["Features", "flags"]), Some("fpu avx2"));
        assert_eq!(field(text, &["model"]), None);
    }

    #[test]
    fn a_record_names_its_compiler() {
        assert!(TOOLCHAIN.rustc.starts_with("rustc "));
        assert!(Machine::describe().cores > 0);
    }
}
