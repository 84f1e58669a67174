use super::*;

fn key(number: u32) -> [u8; 32] {
    let mut key = [0; 32];
    key[..4].copy_from_slice(&number.to_le_bytes());
    key
}

#[test]
fn nobody_is_suspected_at_first_nor_for_good_signatures() {
    let mut suspicion = Suspicion::new();
    suspicion.note_key(&key(1), 100, 0);
    assert!(suspicion.is_empty());
    assert!(!suspicion.suspects(&key(1)));
    assert!(!suspicion.expects_bad(8192));
}

#[test]
fn a_bad_signature_is_forgotten_after_enough_good_ones() {
    let mut suspicion = Suspicion::new();
    suspicion.note_key(&key(1), 5_000, 1);
    assert!(suspicion.suspects(&key(1)) && !suspicion.suspects(&key(2)));
    for _ in 0..GOOD_TO_FORGET - 1 {
        suspicion.note_key(&key(1), 1, 0);
        suspicion.note_key(&key(2), 1, 0);
    }
    assert!(suspicion.suspects(&key(1)));
    // Another bad one, and it owes as much again.
    suspicion.note_key(&key(1), 1, 1);
    suspicion.note_key(&key(1), GOOD_TO_FORGET - 1, 0);
    assert!(suspicion.suspects(&key(1)));
    suspicion.note_key(&key(1), u32::MAX, 0);
    assert!(!suspicion.suspects(&key(1)) && suspicion.is_empty());
}

#[test]
fn it_never_holds_more_keys_than_its_bytes_and_drops_the_oldest() {
    let mut suspicion = Suspicion::new();
    for number in 0..40_000 {
        suspicion.note_key(&key(number), 0, 1);
    }
    let held = suspicion.keys.len();
    assert!(held > 5_000 && held * (32 + 4) < BYTES_MAX, "{held}");
    assert!(suspicion.suspects(&key(39_999)) && !suspicion.suspects(&key(0)));
}

#[test]
fn the_share_rises_with_bad_signatures_and_falls_with_good_ones() {
    let mut suspicion = Suspicion::new();
    let mut last = 0.0;
    for _ in 0..20 {
        suspicion.note_share(1_000, 100);
        assert!(suspicion.share > last && suspicion.share < 0.1);
        last = suspicion.share;
    }
    assert!(last > 0.05, "{last}");
    assert!(suspicion.expects_bad(1_000) && !suspicion.expects_bad(10));
    for _ in 0..200 {
        suspicion.note_share(1_000, 0);
        assert!(suspicion.share < last);
        last = suspicion.share;
    }
    assert!(!suspicion.expects_bad(8_192), "{last}");
    suspicion.note_share(0, 0);
    assert_eq!(suspicion.share, last, "nothing tells nothing");
}

#[test]
fn a_single_bad_signature_does_not_make_the_next_batch_expected_bad() {
    let mut suspicion = Suspicion::new();
    suspicion.note_share(8_192, 1);
    assert!(!suspicion.expects_bad(8_192));
}

#[test]
fn some_bad_signatures_in_every_batch_come_to_be_expected() {
    let mut suspicion = Suspicion::new();
    for _ in 0..20 {
        suspicion.note_share(8_192, 3);
    }
    assert!(suspicion.expects_bad(8_192));
    assert!(!suspicion.expects_bad(4_096));
}
