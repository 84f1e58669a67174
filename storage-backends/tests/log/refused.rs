//! What is not a whole store of this version is refused by the file's name, and not changed.

use std::fs;

use hubledger_storage::{Error, StoreUrl};

use super::Place;

#[test]
fn another_programs_directory_is_refused_and_unchanged() {
    let place = Place::new();
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
    let place = Place::new();
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
        let place = Place::new();
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
    let whole = Place::with_chain();
    for name in whole.files() {
        let place = whole.copy();
        let mut bytes = fs::read(place.file(&name)).unwrap();
        bytes[8..12].copy_from_slice(&9_u32.to_le_bytes());
        fs::write(place.file(&name), bytes).unwrap();
        place.assert_refused(&name, "format version 9");
    }
}

#[test]
fn a_file_of_another_store_is_refused() {
    let (whole, other) = (Place::with_chain(), Place::with_chain());
    for name in whole.files() {
        let place = whole.copy();
        fs::copy(other.file(&name), place.file(&name)).unwrap();
        let named = if name == "store" { "" } else { &name };
        place.assert_refused(named, "belongs to another store");
    }
}

#[test]
fn a_missing_file_is_named() {
    let whole = Place::with_chain();
    let needed =
        |name: &&String| !(name.starts_with("index") || *name == "mark" || *name == "store");
    for name in whole.files().iter().filter(needed) {
        let place = whole.copy();
        fs::remove_file(place.file(name)).unwrap();
        place.assert_refused(name, "the file is missing");
    }
}

#[test]
fn a_file_under_another_ones_name_is_refused() {
    let whole = Place::with_chain();
    let place = whole.copy();
    fs::copy(place.file("heads-00000003"), place.file("heads-00000002")).unwrap();
    place.assert_refused("heads-00000002", "another one's name");
}

#[test]
fn a_link_that_leads_nowhere_is_refused_and_stays() {
    let place = Place::new();
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
    let whole = Place::with_chain();
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
