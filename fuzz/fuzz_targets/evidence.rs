//! Evidence that decodes encodes to the same bytes, whatever the order that it is put together in, and claims every signature that it has.

#![no_main]

use bytes::Bytes;
use hubledger::evidence::{DoubleProposal, DoubleVote, Evidence, UnauthorisedSeal};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(evidence) = Evidence::decode(&Bytes::copy_from_slice(input)) else {
        return;
    };
    assert_eq!(evidence.encode(), input);
    assert!(evidence.check_form(&evidence.chain()).is_ok());
    let mut signatures = Vec::new();
    evidence.claims(|key, _, signature| {
        assert_eq!(key, evidence.key());
        signatures.push(signature);
    });
    let key = evidence.key();
    let again = match (&evidence, &signatures[..]) {
        (Evidence::DoubleVote(fault), &[first, second]) => {
            let [one, other] = *fault.votes();
            assert_eq!(one.height, evidence.height());
            let again = DoubleVote::new(key, (other, second), (one, first));
            Evidence::DoubleVote(again.expect("they contradict each other"))
        }
        (Evidence::DoubleProposal(fault), &[first, second]) => {
            let [one, other] = fault.headers().clone();
            assert_eq!(one.height, evidence.height());
            let again = DoubleProposal::new(key, (other, second), (one, first));
            Evidence::DoubleProposal(again.expect("they contradict each other"))
        }
        (Evidence::UnauthorisedSeal(fault), &[signature]) => {
            let header = fault.header().clone();
            Evidence::UnauthorisedSeal(UnauthorisedSeal::new(key, header, signature))
        }
        _ => panic!("{} claims of {}", signatures.len(), evidence.word()),
    };
    assert_eq!(again, evidence);
});
