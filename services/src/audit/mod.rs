//! Who did what: joins and leaves, keys, attestations, parameters, as the chain has them; prunes, rejected blocks and the like, as this hub saw them.
//!
//! What is on the chain is in the [view](AuditView): every hub has the same lines, filtered by act, actor and height ([`Audit::lines`]), and each is proved
//! by its transaction. It says what transactions say; that they are in the chain says that its rules let them. Where a chain doesn't go by payloads, or not by their JSON form, what
//! they say had no effect, and is told all the same.
//!
//! A heartbeat and a hop of a message are no acts: nodes send them all the time, and they change nothing that a node said of itself. The
//! [registry](crate::registry) and the [routes](crate::route) tell of them. A payload that only resembles one is an update like any other.
//!
//! What is not on the chain is this hub's own word. The host writes it into a [`LocalLog`], a file of JSON lines, each with the hash of the line before: what
//! was written can't be changed afterwards without changing everything behind it. Such lines are marked `"source":"hub"`, those of the chain `"source":"chain"`.
//! A [`Watch`] writes down by itself what an engine prunes and refuses.

mod local;
mod local_act;
mod ration;
mod reader;
mod rows;
mod view;
mod watch;

pub use self::local::{LINE_BYTES_MAX, LocalError, LocalLine, LocalLog};
pub use self::local_act::LocalAct;
pub use self::ration::REJECTIONS_A_MINUTE;
pub use self::reader::{Audit, AuditFilter, AuditLine, Lines};
pub use self::rows::Act;
pub use self::view::AuditView;
pub use self::watch::Watch;
