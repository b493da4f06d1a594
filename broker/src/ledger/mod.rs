//! Who is served by what: waiting jobs against the supply of live and booting VMs, each job counted once over all pools.

mod account;
mod class;
mod supply;

pub use account::{Account, Accounts, Binding};
pub use class::{Class, Demand};
pub use supply::{Slots, Supply};
