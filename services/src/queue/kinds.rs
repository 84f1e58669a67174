//! Priorities, guarantees, and what becomes of messages for which there is no room: in MPREG's words, where it has them.

macro_rules! words {
    ($($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $each:literal])+ $variant:ident = $word:literal,)+ })+) => {
        $(
            $(#[doc = $doc])+
            #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub enum $name {
                $($(#[doc = $each])+ $variant,)+
            }

            impl $name {
                /// All, in the order of their numbers.
                pub const ALL: &'static [Self] = &[$(Self::$variant),+];

                /// The word that stands for it.
                #[must_use]
                pub const fn word(self) -> &'static str {
                    match self {
                        $(Self::$variant => $word,)+
                    }
                }

                /// What a word stands for.
                #[must_use]
                pub fn from_word(word: &str) -> Option<Self> {
                    Self::ALL.iter().copied().find(|one| one.word() == word)
                }

                /// Its place in [`Self::ALL`], by which it is written down.
                #[must_use]
                pub const fn number(self) -> u8 {
                    self as u8
                }

                /// What stands at a place in [`Self::ALL`].
                #[must_use]
                pub fn from_number(number: u8) -> Option<Self> {
                    Self::ALL.get(usize::from(number)).copied()
                }
            }
        )+
    };
}

words! {
    /// How urgent a message is. The most urgent ones are given out first.
    Priority {
        /// Before everything else.
        Emergency = "emergency",
        /// Before what is normal.
        High = "high",
        /// Where nothing is said.
        Normal = "normal",
        /// After what is normal.
        Low = "low",
        /// After everything else.
        Bulk = "bulk",
    }

    /// How often a message may be given out: see the [module](super).
    Guarantee {
        /// Once or never.
        AtMostOnce = "at_most_once",
        /// Again, until it is acknowledged. Where nothing is said.
        AtLeastOnce = "at_least_once",
        /// Once.
        ExactlyOnce = "exactly_once",
        /// Again, until it is acknowledged, and not before all ordered ones before it in its topic.
        Ordered = "ordered",
    }

    /// What becomes of messages for which a topic has no room.
    Overflow {
        /// New ones don't get in, until groups have done some.
        Refuse = "refuse",
        /// The oldest go.
        DropOldest = "drop_oldest",
    }
}

impl Priority {
    /// What to pay for a message of this priority where a bulk one costs `base`: twice as much for each step, as MPREG's hubs count. A block takes what pays
    /// more first, so the chain prefers what the queue does. No fee makes a message more urgent than it says.
    #[must_use]
    pub const fn fee(self, base: u64) -> u64 {
        base.saturating_mul(1 << (Self::Bulk.number() - self.number()))
    }
}

impl Guarantee {
    /// Whether a consumer acknowledges such a message before it gets it.
    #[must_use]
    pub const fn is_claimed(self) -> bool {
        matches!(self, Self::AtMostOnce | Self::ExactlyOnce)
    }
}
