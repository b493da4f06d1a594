//! Decides and buys.
