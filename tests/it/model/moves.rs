//! Steps after which the chain is elsewhere, or under another specification.

use std::ops::ControlFlow;

use hubledger::ledger::copy_chain;
use hubledger::ledger::snapshot::{self, Snapshot};
use hubledger::spec::ChainSpec;

use super::history::{History, version_2};
use super::home::Home;
use super::naive::root;

impl History {
    pub(super) fn migrate(&mut self) {
        self.commit();
        let target = Home::any(&mut self.numbers);
        self.told.push(format!("to {}", target.name()));
        let source = self.ledger().reader();
        copy_chain(&source, target.open(), &mut |_| ControlFlow::Continue(())).unwrap();
        self.move_to(target);
    }

    pub(super) fn export(&mut self) {
        self.commit();
        let height = self.model.height();
        let (reader, state) = (self.ledger().reader(), self.ledger().state().clone());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("snapshot");
        let exported = snapshot::export(&reader, &state, &path, &mut |_| ControlFlow::Continue(()));
        if !self.model.names_root(height) {
            assert!(exported.is_err(), "no block commits to this state");
            return;
        }
        if reader.extent().unwrap().body_floor > height {
            return;
        }
        exported.unwrap();
        let target = Home::any(&mut self.numbers);
        self.told.push(format!("to {}", target.name()));
        let snapshot = Snapshot::open(&path, &state.head()).unwrap();
        snapshot::import(&snapshot, target.open(), &mut |_| ControlFlow::Continue(())).unwrap();
        // It knows the specification of its head: later ones have to be taken up again.
        let is_later = |(first, _): &mut (u64, ChainSpec)| *first > height;
        let later: Vec<_> = self.model.specs.extract_if(.., is_later).collect();
        self.move_to(target);
        for (_, later) in later {
            self.take_up(later);
        }
    }

    fn move_to(&mut self, target: Home) {
        self.ledger = None;
        self.home = Some(target);
        self.open();
        (self.safe, self.committed) = (self.model.height(), self.model.height());
    }

    pub(super) fn upgrade(&mut self) {
        // A few: each has all before it within.
        if self.model.specs.len() > 3 {
            return;
        }
        self.commit();
        let mut fields = self.model.spec().successor_fields();
        version_2(&mut fields, &mut self.numbers);
        fields.limits.payload_bytes_max += 1;
        let (reader, state) = (self.ledger().reader(), self.ledger().state().clone());
        let next = reader.successor(&state, fields).unwrap().unwrap();
        let pinned = next.predecessor().unwrap();
        assert_eq!(pinned.height, self.model.height());
        assert_eq!(pinned.state_root, root(self.model.known()));
        self.take_up(next);
    }

    fn take_up(&mut self, next: ChainSpec) {
        let mut ledger = self.ledger.take().unwrap().upgrade(&next).unwrap();
        ledger.set_durability(self.durability);
        self.ledger = Some(ledger);
        self.model.upgrade(next);
        (self.safe, self.committed) = (self.model.height(), self.model.height());
    }
}
