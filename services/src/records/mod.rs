//! Performance records: hubs commit their own figures every so many blocks, as a rule to a chain of their own (`monitoring`), and whoever has
//! that chain reads them by hub and time.
//!
//! A record says of a period what its hub measured, as whole numbers by name: the unit belongs into the name, such as `latency_us`. It is its hub's word;
//! that the hub said so is proved by the transaction. All of it is on the chain.

mod payload;
mod reader;
mod rows;
mod view;

pub use self::payload::{FIGURE_NAME_BYTES_MAX, FIGURES_MAX, PerformanceRecord, RecordPayload};
pub use self::reader::{Record, RecordPage, Records, Summary};
pub use self::rows::Hub;
pub use self::view::{RecordsView, is_due};
