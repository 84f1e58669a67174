//! The chains of every composition that are attacked, and which attacks are tried on which of them.
//!
//! Each `under_*` file of a composition's name tries all of `contents`, `headers`, `key_names`, `money`, `replays`, `seals`, `signers`, `sums`, `times` and `votes`, with blocks under
//! whatever seal the composition asks for. The plain proof of authority is what all other files here are about. Left out are
//!
//! | attack | not under | because |
//! |---|---|---|
//! | `blocks` | all but plain proof of authority | it says what one authority does alone and at any time; `tests/consensus/compositions.rs` has the seals, turns and certificates of all |
//! | `key_names` | the two of stake | a stake belongs to a name that is bound to keys, so that a specification with names that are keys is refused |
//! | `votes`, `parameters` | proof of work | there are no members who could vote |
//! | `votes` | the two of stake | members follow from stakes, so that a specification which lets them be voted on is refused |
//! | `parameters` | the others | it exchanges the one authority that seals, or has one that decides alone |
//! | an authority's name taken | proof of work | there is none |
//! | `stakes`, `evidence` | all but the two of stake | nothing is put up that could be taken |
//! | `checkpoints` | all but hybrid | nothing else has any |
//! | a header rewritten under its old seal | the two of work, where it has by chance the work that it claims | it is a block of its own, whose work somebody has done |
//! | `seals` | the two of work | the nonce in the header is the seal |

use hubledger::format::FormatVersion;
use hubledger::spec::{ConsensusName, SpecFields};

use crate::common::composed::compose;
use crate::common::{Chain, account};

/// Members where a composition has any, so that no quorum and no turn is one member's alone.
const MEMBERS: usize = 4;

/// A chain of a composition.
pub(crate) fn chain(
    name: ConsensusName,
    authorities: usize,
    change: impl FnOnce(&mut SpecFields),
) -> Chain {
    let members = authorities.max(MEMBERS);
    Chain::in_version(FormatVersion::V2, members, |fields| {
        change(fields);
        let is_poor = !fields.rules.balances;
        compose(name, fields);
        // Stakes have balances kept, and whoever is asked for a fee needs one.
        if is_poor && fields.rules.balances && fields.rules.fee_min > 0 {
            fields.accounts.extend([account("alice", 1_000_000)]);
        }
    })
}
