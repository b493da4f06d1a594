//! What a pilot needs to exist: its reference and stamp, its row in DIRAC, and the user-data that starts it.

pub mod rows;
pub mod stamp;
