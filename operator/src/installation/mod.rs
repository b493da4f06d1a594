//! Installations: the way to each DIRAC is kept open, the rows of its pilots are read, and DIRAC is looked at: does it know
//! what pilots need?

mod jobs;
mod readiness;
mod rows;
mod source;

pub use readiness::watch_readiness;
pub use rows::read_rows;
pub use source::{clients, keep_the_way};
