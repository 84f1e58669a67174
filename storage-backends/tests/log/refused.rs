//! What is not a whole store of this version is refused by the file's name, and not changed.

use std::fs;

use hubledger_storage::{Error, StoreUrl};

use super::DamageAt;

#[test]
fn another_programs_directory_is_refused_and_unchanged() {
    let place = DamageAt::new();
    fs::create_dir(place.directory()).unwrap();
    fs::write(place.file("notes.txt"), "mine").unwrap();
    place.assert_refused("chain", "a directory without the file `store`");
    assert!(matches!(
        place.url().create().unwrap_err(),
        Error::Exists { .. }
    ));
    fs::write(
        place.file("store"),
        "apples, pears, and other things in stock, more than sixty-four bytes",
    )
    .unwrap();
    place.assert_refused("store", "another program's file");
    assert!(matches!(
        place.url().create().unwrap_err(),
        Error::Exists { .. }
    ));
    assert_eq!(place.files(), ["notes.txt", "store"]);
}

#[test]
fn a_file_is_refused_and_what_is_missing_is_missing() {
    let place = DamageAt::new();
    assert!(place.url().open().unwrap_err().is_not_found());
    assert!(!place.url().exists());
    fs::write(place.directory(), "x").unwrap();
    assert!(
        place
            .url()
            .open()
            .unwrap_err()
            .to_string()
            .contains("a file, not a directory")
    );
    assert!(matches!(
        place.url().create().unwrap_err(),
        Error::Exists { .. }
    ));
    let below = StoreUrl::Log(place.directory().join("deeper"));
    assert!(below.open().unwrap_err().is_not_found());
    assert!(below.create().is_err());
}

#[test]
fn an_empty_directory_and_an_interrupted_creation_may_become_a_store() {
    for leftovers in [
        &[][..],
        &["store.new"],
        &["store.new", "bodies-00000000", "mark"],
    ] {
        let place = DamageAt::new();
        fs::create_dir(place.directory()).unwrap();
        for name in leftovers {
            fs::write(place.file(name), "half").unwrap();
        }
        assert!(!place.url().exists());
        assert!(
            place
                .url()
                .open()
                .unwrap_err()
                .to_string()
                .contains("an empty directory")
        );
        drop(place.url().create().unwrap());
        assert!(place.url().exists());
        place.url().open().unwrap();
    }
}

#[test]
fn another_version_is_refused_whichever_file_has_it() {
    for whole in [DamageAt::with_chain(), DamageAt::with_branches()] {
        assert_versions_are_refused(&whole);
    }
}

/// A store stays as it is for programs of before until blocks are replaced; then the first file that they would misread refuses them.
#[test]
fn only_heads_from_the_first_replacement_on_are_of_version_3() {
    let versions = |place: &DamageAt| -> Vec<(String, u8)> {
        let content = place.content().into_iter();
        content.map(|(name, bytes)| (name, bytes[8])).collect()
    };
    assert!(
        versions(&DamageAt::with_chain())
            .iter()
            .all(|(_, found)| *found == 2)
    );
    let found = versions(&DamageAt::with_branches());
    let (heads, others): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|(name, _)| name.starts_with("heads"));
    assert!(others.iter().all(|(_, found)| *found == 2));
    let heads: Vec<u8> = heads.into_iter().map(|(_, found)| found).collect();
    assert!(
        heads.is_sorted() && heads[0] == 2 && heads.ends_with(&[3, 3]),
        "{heads:?}"
    );
}

fn assert_versions_are_refused(whole: &DamageAt) {
    for name in whole.files() {
        let place = whole.copy();
        let mut bytes = fs::read(place.file(&name)).unwrap();
        bytes[8..12].copy_from_slice(&9_u32.to_le_bytes());
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..80]);
        bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
        fs::write(place.file(&name), bytes).unwrap();
        place.assert_refused(&name, "format version 9");
    }
}

/// That it is none of this version, or no store at all, would be believed without looking for a backup.
#[test]
fn a_damaged_superblock_is_damage_whichever_file_has_it() {
    let whole = DamageAt::with_chain();
    for (name, bytes) in whole.content() {
        if name.starts_with("index") {
            continue;
        }
        let flipped = [0, 5, 8, 11, 12, 16, 31, 32, 40, 79].map(|at| {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x11;
            bytes
        });
        let zeroed = [&[0; 80], &bytes[80..]].concat();
        let others = [Vec::new(), bytes[..79].to_vec(), zeroed];
        for damaged in flipped.into_iter().chain(others) {
            let place = whole.copy();
            fs::write(place.file(&name), damaged).unwrap();
            place.assert_refused(&name, "corrupt at byte ");
        }
    }
}

#[test]
fn a_store_that_lost_the_file_that_names_it_is_damaged() {
    for place in [DamageAt::with_chain(), DamageAt::new()] {
        if !place.directory().exists() {
            drop(place.url().create().unwrap());
        }
        fs::remove_file(place.file("store")).unwrap();
        place.assert_refused(
            "store",
            "corrupt at the file's structure: the file is missing",
        );
        assert!(matches!(
            place.url().create().unwrap_err(),
            Error::Exists { .. }
        ));
    }
}

#[test]
fn a_file_of_another_store_is_refused() {
    let (whole, other) = (DamageAt::with_chain(), DamageAt::with_chain());
    for name in whole.files() {
        let place = whole.copy();
        fs::copy(other.file(&name), place.file(&name)).unwrap();
        let named = if name == "store" { "" } else { &name };
        place.assert_refused(named, "belongs to another store");
    }
}

#[test]
fn a_missing_file_is_named() {
    let whole = DamageAt::with_chain();
    let needed = |name: &&String| !(name.starts_with("index") || *name == "store");
    for name in whole.files().iter().filter(needed) {
        let place = whole.copy();
        fs::remove_file(place.file(name)).unwrap();
        place.assert_refused(name, "the file is missing");
    }
}

#[test]
fn a_file_under_another_ones_name_is_refused() {
    let whole = DamageAt::with_chain();
    let place = whole.copy();
    fs::copy(place.file("heads-00000003"), place.file("heads-00000002")).unwrap();
    place.assert_refused("heads-00000002", "another one's name");
}

#[test]
fn a_link_that_leads_nowhere_is_refused_and_stays() {
    let place = DamageAt::new();
    let target = place.0.path().join("unmounted");
    std::os::unix::fs::symlink(&target, place.directory()).unwrap();
    assert!(place.url().exists());
    for error in [
        place.url().open().unwrap_err(),
        place.url().open_read_only().map(drop).unwrap_err(),
        place.url().create().unwrap_err(),
        place.url().open_or_create().unwrap_err(),
    ] {
        assert!(matches!(error, Error::Unusable { .. }), "{error}");
        assert!(error.to_string().contains("a symbolic link to"), "{error}");
    }
    assert_eq!(fs::read_link(place.directory()).unwrap(), target);
    assert!(!target.exists());
}

/// A store that was copied as links: its files would be written to, and have holes punched into them, through either.
#[test]
fn files_that_another_directory_has_too_are_refused() {
    let whole = DamageAt::with_chain();
    for name in whole.files() {
        let place = whole.copy();
        let elsewhere = place.0.path().join("elsewhere");
        fs::hard_link(place.file(&name), &elsewhere).unwrap();
        place.assert_refused(&name, "2 names (hard links)");
        fs::remove_file(place.file(&name)).unwrap();
        std::os::unix::fs::symlink(&elsewhere, place.file(&name)).unwrap();
        place.assert_refused(&name, "a symbolic link");
        fs::remove_file(place.file(&name)).unwrap();
        fs::rename(&elsewhere, place.file(&name)).unwrap();
        place.url().open().unwrap();
    }
}
