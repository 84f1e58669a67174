//! Key files: PKCS#8 PEM, readable by their owner only, and never overwritten.
//!
//! Written is PKCS#8 version 1 without the public key (RFC 8410, section 7), which is what `openssl genpkey
//! -algorithm ed25519` writes and what every OpenSSL reads; version 2 with the public key is read too, and
//! refused if the two halves don't match.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use ed25519_dalek::pkcs8::spki::der::pem::{LineEnding, PemLabel};
use ed25519_dalek::pkcs8::{self, ALGORITHM_ID, OctetStringRef, PrivateKeyInfoRef, SecretDocument};
use hubledger_storage::opening::{open_regular_or_given, sync_name};
use zeroize::Zeroizing;

use super::KeyPair;

/// A key file that is larger is not read. A PEM key has about 120 bytes.
pub const PEM_BYTES_MAX: u64 = 4096;

/// Why there is no key, or no key file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The operating system gave no random numbers.
    #[error("no random numbers from the operating system")]
    Entropy(#[source] getrandom::Error),
    /// The text is not a PKCS#8 PEM Ed25519 private key.
    #[error("not a PKCS#8 PEM Ed25519 private key: {detail}")]
    Malformed {
        /// What is wrong with it.
        detail: String,
    },
    /// The file does not hold a PKCS#8 PEM Ed25519 private key.
    #[error("{}: not a PKCS#8 PEM Ed25519 private key: {detail}", path.display())]
    MalformedFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// Others than its owner may read or write the key file.
    #[error("{}: mode {mode:04o} lets group or others at the private key; chmod 600 it", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// There is a file already, and keys are not overwritten.
    #[error("{}: already exists, and a key is never overwritten", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file can't be opened, read or written.
    #[error("{}: can't {operation} the key file", path.display())]
    Io {
        /// What was tried: `open`, `read`, `create`, `write`.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn io_error(operation: &'static str, path: &Path, source: io::Error) -> KeyError {
    KeyError::Io {
        operation,
        path: path.to_owned(),
        source,
    }
}

impl KeyPair {
    /// The private key as PKCS#8 PEM. The text is wiped on drop.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        encode(self).expect("32 bytes always have a PKCS#8 encoding")
    }

    /// The key pair of a PKCS#8 PEM text.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] if the text is anything else.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        decode(text).map_err(|detail| KeyError::Malformed { detail })
    }

    /// Reads the key pair in the file at `path`.
    ///
    /// # Errors
    /// On Unix, [`KeyError::Exposed`] if its mode gives group or others any right (judged on the open file, so
    /// that it can't be exchanged in between); [`KeyError::MalformedFile`], [`KeyError::Io`].
    pub fn read_pem(path: impl AsRef<Path>) -> Result<Self, KeyError> {
        let path = path.as_ref();
        let file = open_regular_or_given(path).map_err(|e| io_error("open", path, e))?;
        refuse_exposed(&file, path)?;
        let malformed = |detail| KeyError::MalformedFile {
            path: path.to_owned(),
            detail,
        };
        // Room for all that may be read: a buffer that grows would leave copies of the secret behind.
        let mut text = Zeroizing::new(Vec::with_capacity(PEM_BYTES_MAX as usize + 1));
        file.take(PEM_BYTES_MAX + 1)
            .read_to_end(&mut text)
            .map_err(|e| io_error("read", path, e))?;
        if text.len() as u64 > PEM_BYTES_MAX {
            return Err(malformed(format!("longer than {PEM_BYTES_MAX} bytes")));
        }
        let text = std::str::from_utf8(&text).map_err(|_| malformed("not text".into()))?;
        decode(text).map_err(malformed)
    }

    /// Writes the private key to a new file at `path`, on Unix with mode 0600, and syncs it.
    ///
    /// # Errors
    /// [`KeyError::Exists`] if there is anything at `path`; it is left as it is. [`KeyError::Io`]; a file that
    /// could not be written completely is removed again.
    pub fn write_pem(&self, path: impl AsRef<Path>) -> Result<(), KeyError> {
        let path = path.as_ref();
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => KeyError::Exists {
                path: path.to_owned(),
            },
            _ => io_error("create", path, e),
        })?;
        let written = file
            .write_all(self.to_pem().as_bytes())
            .and_then(|()| file.sync_all())
            // A key whose name is forgotten with the power is lost, and with it whatever it was already used for.
            .and_then(|()| sync_name(path));
        written.map_err(|e| {
            drop(file);
            // The first error is the one to report; half a key file is of no use to anybody.
            let _ = std::fs::remove_file(path);
            io_error("write", path, e)
        })
    }
}

/// What comes before the 32 bytes of the private key, which is an octet string within an octet string.
const INNER_HEADER: [u8; 2] = [0x04, 0x20];

// Encoded and decoded here rather than by `ed25519_dalek`'s traits for whole keys: those go through a
// `KeypairBytes` that, as that library is built by default, is not wiped.
fn encode(pair: &KeyPair) -> pkcs8::Result<Zeroizing<String>> {
    let mut inner = Zeroizing::new([0u8; 34]);
    inner[..2].copy_from_slice(&INNER_HEADER);
    inner[2..].copy_from_slice(pair.seed());
    let document = PrivateKeyInfoRef::new(ALGORITHM_ID, OctetStringRef::new(inner.as_slice())?);
    let document = SecretDocument::encode_msg(&document)?;
    Ok(document.to_pem(PrivateKeyInfoRef::PEM_LABEL, LineEnding::LF)?)
}

fn decode(text: &str) -> Result<KeyPair, String> {
    let (label, document) = SecretDocument::from_pem(text).map_err(|e| e.to_string())?;
    if label != PrivateKeyInfoRef::PEM_LABEL {
        return Err(format!(
            "it says {label} where {} is expected",
            PrivateKeyInfoRef::PEM_LABEL
        ));
    }
    let info = PrivateKeyInfoRef::try_from(document.as_bytes()).map_err(|e| e.to_string())?;
    if info.algorithm != ALGORITHM_ID {
        return Err(format!(
            "its algorithm is {}, not Ed25519",
            info.algorithm.oid
        ));
    }
    let seed = info.private_key.as_bytes().strip_prefix(&INNER_HEADER);
    let seed = seed
        .and_then(|seed| seed.try_into().ok())
        .ok_or("its key is not of 32 bytes")?;
    let pair = KeyPair::from_seed(seed);
    let public = info.public_key.map(|bits| bits.as_bytes());
    if public.is_some_and(|public| public != Some(pair.public_key().as_bytes())) {
        return Err("its public half is not that of its private half".to_owned());
    }
    Ok(pair)
}

#[cfg(unix)]
fn refuse_exposed(file: &File, path: &Path) -> Result<(), KeyError> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = file.metadata().map_err(|e| io_error("read", path, e))?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    Ok(())
}

#[cfg(not(unix))]
fn refuse_exposed(_: &File, _: &Path) -> Result<(), KeyError> {
    Ok(())
}

#[cfg(test)]
mod tests;
