//! Key files: what is written, read and refused.

use super::*;
use crate::format::signature::verify;

/// What `openssl genpkey -algorithm ed25519` (OpenSSL 3.0) wrote, with the public key that it derives and the
/// signature that `openssl pkeyutl -sign -rawin` makes of the nine bytes `hubledger`.
const OPENSSL_PEM: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJkZmKY6FgHXDU6no+E6Jw4ebY7jjM2oZzAGE/ovyYI/
-----END PRIVATE KEY-----
";
const OPENSSL_PUBLIC: &str = "6e8957118ed780d6d49e118a934a016912ef355193f57f0361226e6532e563c9";
const OPENSSL_SIGNATURE: &str = "2ac66600ab4d043d199a43bcdacafbcd097e9fe4b05758e2294950559fb0dd4d\
                                 0349755def94cb2810ae0c48f644ca4c01d48a128838affcaa3cb85470e8e60c";

/// The second example of RFC 8410, section 10.3: version 2, with attributes and the public key.
const RFC_8410_V2: &str = "-----BEGIN PRIVATE KEY-----
MHICAQEwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
oB8wHQYKKoZIhvcNAQkJFDEPDA1DdXJkbGUgQ2hhaXJzgSEAGb9ECWmEzf6FQbrB
Z9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PRIVATE KEY-----
";
const RFC_8410_PUBLIC: &str = "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1";

#[test]
fn a_key_by_openssl_is_read_and_written_back_to_the_byte() {
    let pair = KeyPair::from_pem(OPENSSL_PEM).expect("a key");
    assert_eq!(pair.public_key().to_string(), OPENSSL_PUBLIC);
    let signature = pair.sign(b"hubledger");
    assert_eq!(signature.to_string(), OPENSSL_SIGNATURE);
    assert_eq!(verify(&pair.public_key(), b"hubledger", &signature), Ok(()));
    assert_eq!(pair.to_pem().as_str(), OPENSSL_PEM);
}

#[test]
fn a_version_2_key_is_read_and_its_public_half_must_match() {
    let pair = KeyPair::from_pem(RFC_8410_V2).expect("a key");
    assert_eq!(pair.public_key().to_string(), RFC_8410_PUBLIC);
    let other_half = RFC_8410_V2.replace("gSEAGb9E", "gSEAGb9F");
    assert!(matches!(
        KeyPair::from_pem(&other_half),
        Err(KeyError::Malformed { .. })
    ));
}

#[test]
fn a_key_file_is_read_back_as_written() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("node.pem");
    let pair = KeyPair::generate().expect("entropy");
    pair.write_pem(&path).expect("written");
    let read = KeyPair::read_pem(&path).expect("read");
    assert_eq!(read.public_key(), pair.public_key());
    assert_eq!(read.sign(b"m"), pair.sign(b"m"));
}

#[test]
fn a_key_file_is_never_overwritten() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("node.pem");
    std::fs::write(&path, "something else").expect("written");
    let error = KeyPair::from_seed(&[1; 32])
        .write_pem(&path)
        .expect_err("there is a file");
    assert!(matches!(error, KeyError::Exists { .. }), "{error}");
    assert!(error.to_string().contains("node.pem"));
    assert_eq!(
        std::fs::read(&path).expect("still there"),
        b"something else"
    );
}

#[cfg(unix)]
#[test]
fn a_key_file_is_its_owners_only_and_otherwise_not_read() {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("node.pem");
    KeyPair::from_seed(&[1; 32])
        .write_pem(&path)
        .expect("written");
    let mode = std::fs::metadata(&path)
        .expect("there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o600);
    for mode in [0o640, 0o620, 0o610, 0o604, 0o602, 0o601, 0o644, 0o777] {
        set_permissions(&path, Permissions::from_mode(mode)).expect("changed");
        let error = KeyPair::read_pem(&path).expect_err("exposed");
        assert!(matches!(error, KeyError::Exposed { mode: found, .. } if found == mode));
        let text = error.to_string();
        assert!(
            text.contains("node.pem") && text.contains(&format!("{mode:04o}")),
            "{text}"
        );
    }
    for mode in [0o600, 0o400, 0o700] {
        set_permissions(&path, Permissions::from_mode(mode)).expect("changed");
        assert!(KeyPair::read_pem(&path).is_ok());
    }
}

#[test]
fn malformed_pem_is_refused_and_the_file_is_named() {
    let public = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
";
    // The same key said to be X25519 (1.3.101.110).
    let x25519 = OPENSSL_PEM.replace("BQYDK2Vw", "BQYDK2Vu");
    let texts = [
        String::new(),
        "hello".to_owned(),
        public.to_owned(),
        x25519,
        OPENSSL_PEM.replace("-----END", "----END"),
        OPENSSL_PEM.replace("PRIVATE", "SECRET"),
        OPENSSL_PEM.replace("MC4C", "MC4!"),
        OPENSSL_PEM.replace("MC4C", "MC0C"),
        OPENSSL_PEM.replace("BCIEI", "BCIEH"),
        OPENSSL_PEM[..60].to_owned(),
    ];
    let directory = tempfile::tempdir().expect("a directory");
    for (number, text) in texts.iter().enumerate() {
        let error = KeyPair::from_pem(text).expect_err("malformed");
        assert!(
            matches!(error, KeyError::Malformed { .. }),
            "{number}: {error}"
        );
        let path = directory.path().join(format!("{number}.pem"));
        let error = read_private(&path, text.as_bytes()).expect_err("malformed");
        assert!(
            matches!(error, KeyError::MalformedFile { .. }),
            "{number}: {error}"
        );
        assert!(
            error.to_string().contains(&format!("{number}.pem")),
            "{error}"
        );
    }
}

#[test]
fn a_file_that_is_no_text_too_long_or_not_there_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let long = [OPENSSL_PEM.as_bytes(), &vec![b'\n'; PEM_BYTES_MAX as usize]].concat();
    let error = read_private(&directory.path().join("long.pem"), &long).expect_err("too long");
    assert!(
        error.to_string().contains("longer than 4096 bytes"),
        "{error}"
    );
    let error = read_private(&directory.path().join("der.pem"), &[0xff; 48]).expect_err("no text");
    assert!(error.to_string().contains("not text"), "{error}");
    let error = KeyPair::read_pem(directory.path().join("absent.pem")).expect_err("not there");
    assert!(
        matches!(
            error,
            KeyError::Io {
                operation: "open",
                ..
            }
        ),
        "{error}"
    );
}

/// Reads a key from a new file that holds `contents` and is its owner's only.
fn read_private(path: &Path, contents: &[u8]) -> Result<KeyPair, KeyError> {
    std::fs::write(path, contents).expect("written");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let owners = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(path, owners).expect("changed");
    }
    KeyPair::read_pem(path)
}
