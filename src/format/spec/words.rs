//! What the fields of a specification mean for its chain, in words for people, and what may surprise them.

use std::collections::HashSet;
use std::time::{Duration, UNIX_EPOCH};

use super::{
    FeesTo, Finality, Identity, Joining, Limits, Nonces, Parameter, Predecessor, Rules, SpecFields,
    Terms, consensus_words,
};
use crate::clock::TIME_US_MAX;
use crate::format::FormatVersion;
use crate::format::codec::FieldError;

/// A genesis before this moment of 2001 is more likely in seconds or milliseconds than meant.
const GENESIS_US_LIKELY: u64 = 1_000_000_000_000_000;

/// Clocks of machines that are kept right differ by less than this …
const DRIFT_US_LIKELY_MIN: u64 = 1_000_000;
/// … and a chain that allows more than a day has no use of its limit.
const DRIFT_US_LIKELY_MAX: u64 = 24 * 60 * 60 * 1_000_000;

impl SpecFields {
    /// Every field, by its path in TOML, with a sentence that says what it means for the chain. O(accounts).
    #[must_use]
    pub fn in_words(&self) -> Vec<(&'static str, String)> {
        let mut words = Vec::new();
        if self.version >= FormatVersion::V2 {
            let text = format!(
                "The chain is written down in version {} of the format.",
                self.version
            );
            words.push(("format", text));
        }
        words.extend([
            (
                "name",
                format!(
                    "The chain is called {:?}; only its id tells it from others.",
                    self.name
                ),
            ),
            (
                "genesis_time",
                format!(
                    "Block 0 is of {}, and every block is later than the one before.",
                    time(self.genesis_time)
                ),
            ),
        ]);
        if self.version >= FormatVersion::V2 {
            words.extend(terms(&self.terms));
        }
        words.extend(consensus_words::in_words(self));
        words.extend(limits(&self.limits));
        words.extend(rules(&self.rules));
        words.push(("accounts", accounts(self)));
        if let Some(import) = &self.import {
            let text = format!(
                "The chain begins with the record of MPREG's chain {:?}, at heights 1 to {}; native blocks come after it.",
                import.chain, import.blocks
            );
            words.push(("import", text));
        }
        words.extend(self.predecessor.as_ref().map(predecessor));
        words
    }

    /// What is allowed, and yet may not be meant; `now_us` is the time in microseconds since the Unix epoch. For
    /// [contradictions](SpecFields::contradictions) there is another function. O(accounts).
    #[must_use]
    pub fn warnings(&self, now_us: u64) -> Vec<FieldError> {
        let found = [
            warn_of_genesis(self, now_us),
            consensus_words::warning(&self.consensus),
            warn_of_identity(self),
            warn_of_missing_witnesses(&self.rules),
            warn_of_fees(self),
            warn_of_drift(&self.rules),
            warn_of_accounts(self),
        ];
        let found = found.into_iter().flatten();
        found
            .map(|(field, problem)| FieldError::new(field, problem))
            .collect()
    }
}

pub(super) type Warning = Option<(&'static str, String)>;

fn time(us: u64) -> String {
    match us {
        0..=TIME_US_MAX => {
            let time = UNIX_EPOCH + Duration::from_micros(us);
            humantime::format_rfc3339(time).to_string()
        }
        _ => format!("{us} µs since the Unix epoch, which is beyond the year 9999"),
    }
}

pub(super) fn duration(us: u64) -> String {
    humantime::format_duration(Duration::from_micros(us)).to_string()
}

/// `1 witness`, `2 witnesses`.
pub(super) fn count(number: u64, one: &str, many: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        number => format!("{number} {many}"),
    }
}

fn terms(terms: &Terms) -> Vec<(&'static str, String)> {
    let nonces = match terms.nonces {
        Nonces::Growing => "Each of a sender's nonces is above the last one.",
        Nonces::Consecutive => "Each of a sender's nonces is one more than the last one.",
    };
    let stake = terms.stake_min;
    let roots = match terms.root_interval {
        0 => "No block commits to the state.".to_owned(),
        1 => "Every block commits to the state after it.".to_owned(),
        interval => format!(
            "Every block whose height is divisible by {interval} commits to the state after it."
        ),
    };
    let pace = match terms.block_time_us {
        0 => "Blocks are made when they are asked for.".to_owned(),
        us => format!("A block is made every {}.", duration(us)),
    };
    let finality = match terms.finality {
        Finality::Immediate => "A block is final at once.".to_owned(),
        Finality::Depth(depth) => {
            let blocks = count(depth.into(), "block comes", "blocks come");
            format!("A block is final once {blocks} after it.")
        }
    };
    let words: Vec<_> = terms.changeable.iter().map(|one| one.word()).collect();
    let changeable = match words.len() {
        0 => "The chain can't change its own parameters.".to_owned(),
        all if all == Parameter::ALL.len() => {
            "The chain can change every one of its parameters.".to_owned()
        }
        _ => format!(
            "The chain can change of its parameters: {}.",
            words.join(", ")
        ),
    };
    let payloads = match terms.payload_json {
        true => "A payload that has a meaning may be written as JSON.",
        false => "A payload has a meaning in its binary form only.",
    };
    let mut words = vec![
        ("nonces", nonces.to_owned()),
        (
            "stake_min",
            format!("Whoever has a stake in the consensus has at least {stake}."),
        ),
        ("root_interval", roots),
        ("block_time_us", pace),
        ("finality", finality),
        ("changeable", changeable),
        ("payload_json", payloads.to_owned()),
    ];
    words.extend(names(terms));
    words.extend([
        ("fees_to", fees_to(&terms.fees_to)),
        (
            "approvals_min",
            match terms.approvals_min {
                0 => {
                    "A change of a parameter needs more than two thirds of the members.".to_owned()
                }
                least => {
                    let members = count(least.into(), "member", "members");
                    format!("A change of a parameter needs {members}.")
                }
            },
        ),
        (
            "empty_blocks",
            match terms.empty_blocks {
                true => "A block is made when it is due, even if nothing is in it.",
                false => "No block is made while there is nothing to put into it.",
            }
            .to_owned(),
        ),
    ]);
    words
}

/// What names and their keys have to obey.
fn names(terms: &Terms) -> [(&'static str, String); 3] {
    let least = terms.stake_min;
    let joining = match terms.joining {
        Joining::Free => "Anybody can register a name.".to_owned(),
        Joining::Stake => format!("Whoever registers a name puts up at least {least}."),
        Joining::Attested => "A name is registered if a member attests to its keys.".to_owned(),
        Joining::StakeOrAttested => {
            format!(
                "Whoever registers a name puts up at least {least}, or a member attests to its keys."
            )
        }
    };
    let age = match terms.key_age_max {
        0 => "Registered keys don't age.".to_owned(),
        heights => {
            let heights = count(heights, "height", "heights");
            format!("Registered keys speak for {heights}, and have to be exchanged before.")
        }
    };
    let grace = match terms.grace_max {
        0 => "After a rotation the old keys never speak.".to_owned(),
        heights => {
            let heights = count(heights.into(), "height", "heights");
            format!("After a rotation the old keys may speak for {heights} at most.")
        }
    };
    [
        ("joining", joining),
        ("key_age_max", age),
        ("grace_max", grace),
    ]
}

fn fees_to(recipient: &FeesTo) -> String {
    match recipient {
        FeesTo::Producer => "Fees go to whoever makes the block.".to_owned(),
        FeesTo::Burn => "Fees go to nobody: they are gone.".to_owned(),
        FeesTo::Treasury(name) => format!("Fees go to the account {name:?}."),
    }
}

fn predecessor(predecessor: &Predecessor) -> (&'static str, String) {
    let Predecessor {
        specification,
        height,
        head,
        ..
    } = predecessor;
    let text = format!(
        "The chain goes on from the chain {} ({:?}), behind its block {height} with the hash {head}; blocks up to there are \
         under that specification.",
        specification.id(),
        specification.name
    );
    ("predecessor", text)
}

fn limits(limits: &Limits) -> [(&'static str, String); 6] {
    let Limits {
        transactions_max,
        body_bytes_max,
        payload_bytes_max,
        name_bytes_max,
        clock_entries_max,
        witnesses_max,
    } = limits;
    let transactions = count((*transactions_max).into(), "transaction", "transactions");
    let witnesses = count((*witnesses_max).into(), "witness", "witnesses");
    let entries = count((*clock_entries_max).into(), "entry", "entries");
    [
        (
            "limits.transactions_max",
            format!("A block holds at most {transactions}."),
        ),
        (
            "limits.body_bytes_max",
            format!("The transactions of a block take at most {body_bytes_max} bytes together."),
        ),
        (
            "limits.payload_bytes_max",
            format!("A transaction's payload has at most {payload_bytes_max} bytes."),
        ),
        (
            "limits.name_bytes_max",
            format!("A name has at most {name_bytes_max} bytes."),
        ),
        (
            "limits.clock_entries_max",
            format!("A block's vector clock has at most {entries}."),
        ),
        (
            "limits.witnesses_max",
            format!("A transaction has at most {witnesses}, each a key with its signature."),
        ),
    ]
}

fn rules(rules: &Rules) -> [(&'static str, String); 6] {
    let identity = match rules.identity {
        Identity::Open => "Anybody can send under any name.",
        Identity::Pinned => {
            "A name belongs to the keys that signed its first transaction, or that are listed here."
        }
        Identity::Key => {
            "A sender's name is its public key in hexadecimal, so that nobody else can use it."
        }
        Identity::Registered => {
            "A name belongs to the keys that it registered, or that are listed here; nobody sends before."
        }
    };
    let witnesses = match rules.witnesses_min {
        0 => "A transaction needs no witness.".to_owned(),
        least => {
            let witnesses = count(least.into(), "witness", "witnesses");
            format!("A transaction needs at least {witnesses}.")
        }
    };
    let balances = match rules.balances {
        true => "Balances are kept: a transfer moves its amount, and fees are paid.",
        false => "No balances are kept: amounts and fees are written down, and nothing moves.",
    };
    let drift = duration(rules.clock_drift_max_us);
    let advance = rules.clock_advance_max;
    [
        ("rules.identity", identity.to_owned()),
        ("rules.witnesses_min", witnesses),
        ("rules.balances", balances.to_owned()),
        (
            "rules.fee_min",
            format!("A transaction's fee is at least {}.", rules.fee_min),
        ),
        (
            "rules.clock_drift_max_us",
            format!(
                "A block may be {drift} ahead of the clock of whoever checks it, and a transaction as far ahead of its block."
            ),
        ),
        (
            "rules.clock_advance_max",
            format!(
                "A block may advance another node's entry in the vector clock by {advance} at most."
            ),
        ),
    ]
}

fn accounts(fields: &SpecFields) -> String {
    // Within the format's limits the sum fits.
    let balances = fields.accounts.values().map(|account| account.balance);
    let total = balances.fold(0, u64::saturating_add);
    if fields.predecessor.is_some() {
        return "The accounts are those of the chain that this one goes on from.".to_owned();
    }
    match (fields.accounts.len() as u64, fields.rules.balances) {
        (0, _) => "No account exists from genesis on.".to_owned(),
        (listed, false) => {
            let accounts = count(listed, "account exists", "accounts exist");
            format!("{accounts} from genesis on.")
        }
        (listed, true) => {
            let accounts = count(listed, "account exists", "accounts exist");
            let for_ever = match fields.terms.fees_to {
                FeesTo::Burn => "now, and to less with every fee",
                FeesTo::Producer | FeesTo::Treasury(_) => "now and ever",
            };
            format!("{accounts} from genesis on; all balances add up to {total}, {for_ever}.")
        }
    }
}

fn warn_of_genesis(fields: &SpecFields, now_us: u64) -> Warning {
    let genesis = fields.genesis_time;
    let problem = if genesis < GENESIS_US_LIKELY {
        format!("{genesis} µs is {}; is it in another unit?", time(genesis))
    } else if genesis > now_us.saturating_add(fields.rules.clock_drift_max_us) {
        format!(
            "{} is to come: until then every block is refused as too far ahead",
            time(genesis)
        )
    } else {
        return None;
    };
    Some(("genesis_time", problem))
}

fn warn_of_identity(fields: &SpecFields) -> Warning {
    let problem = "under \"open\" anybody can send, and spend, under any name";
    let is_open = fields.rules.identity == Identity::Open;
    is_open.then(|| ("rules.identity", problem.to_owned()))
}

fn warn_of_missing_witnesses(rules: &Rules) -> Warning {
    // Under "key" nothing is valid that the sender's key didn't sign.
    let may_lack = rules.witnesses_min == 0 && rules.identity != Identity::Key;
    let problem = "0 witnesses: transactions that nobody signed are valid";
    may_lack.then(|| ("rules.witnesses_min", problem.to_owned()))
}

fn warn_of_fees(fields: &SpecFields) -> Warning {
    let fee = fields.rules.fee_min;
    if !fields.rules.balances && fee > 0 {
        let problem =
            format!("a fee of {fee} is asked for, but rules.balances is off and nobody pays it");
        return Some(("rules.fee_min", problem));
    }
    if fields.predecessor.is_some() {
        return None;
    }
    let nobody_holds = fields.accounts.values().all(|account| account.balance == 0);
    let problem = "balances are kept, but no account holds anything: nothing can ever be moved";
    (fields.rules.balances && nobody_holds).then(|| ("rules.balances", problem.to_owned()))
}

fn warn_of_drift(rules: &Rules) -> Warning {
    let drift = rules.clock_drift_max_us;
    let problem = match drift {
        0..DRIFT_US_LIKELY_MIN => {
            "hubs whose clocks differ by more would refuse each other's blocks; is it in another unit?"
        }
        DRIFT_US_LIKELY_MIN..=DRIFT_US_LIKELY_MAX => return None,
        _ => "a block may be so far ahead, and all later ones have to be later still",
    };
    let problem = format!("{}: {problem}", duration(drift));
    Some(("rules.clock_drift_max_us", problem))
}

fn warn_of_accounts(fields: &SpecFields) -> Warning {
    let first = match fields.rules.identity {
        Identity::Pinned => "signs first under",
        Identity::Registered => "registers",
        Identity::Open | Identity::Key => return None,
    };
    let bound: HashSet<&str> = fields.consensus.bound().map(|(name, _)| name).collect();
    let accounts = fields.accounts.iter();
    let mut keyless =
        accounts.filter(|(name, account)| account.key.is_none() && !bound.contains(name.as_str()));
    let (name, _) = keyless.next()?;
    let others = match keyless.count() {
        0 => String::new(),
        others => format!(" (and {others} others)"),
    };
    let problem = format!("{name:?}{others} names no key: it belongs to whoever {first} that name");
    Some(("accounts", problem))
}
