//! Transactions that are in no block yet: whether one could be in the next and which of many go into it, those that wait, and
//! those whose signatures were checked already. Values and pure functions; the engine brings threads and answers.

mod admission;
mod verified;
mod waiting;

pub(crate) use self::verified::Verified;
pub(crate) use self::waiting::{Entered, Pool};
