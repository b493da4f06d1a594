//! Installations: the way to each DIRAC is kept open, and the rows of its pilots are read.

mod jobs;
mod rows;
mod source;

pub use rows::read_rows;
pub use source::keep_the_way;
