//! What was learnt from VMs and jobs so far, as pure state: no clock, no client, no async. Time comes in with each call.
//!
//! Whoever carries out plans tells what happened, and the plan reads what follows from it. All of it can be written and read again, so
//! that it outlives a restart, and all of it is bounded in size.
//!
//! | question | file |
//! |---|---|
//! | how many VMs may be on their way at once | `budget` |
//! | what do launch budgets mean for a plan | `holds` |
//! | which purchases came to nothing, and are tried with one VM only | `breaker` |
//! | what do VMs come to, and what follows for a plan | `lessons` |
//! | what of it outlives a restart | `closed` |
//! | what of a running VM is free, and when its pilot asks | `room` |
//! | which jobs wait, and since when | `waiting` |
//! | what decides which jobs run on a VM | `place` |
//! | how long does it take, how often does it work, how fast is it | `times` |
//! | what of each VM was measured, and what follows for a plan | `measures` |
//! | what has each VO used lately | `usage` |
//! | what has each VO spent, and what is it about to spend | `money` |
//! | how often does a provider take VMs back | `reclaims` |
//! | what is bought alike, how far does a refusal reach | `lot` |
//! | how is the size bounded | `kept`, `recent` |

pub mod breaker;
pub mod budget;
mod closed;
mod holds;
mod kept;
mod lessons;
mod lot;
pub mod measures;
mod moment;
pub mod money;
mod place;
mod recent;
pub mod reclaims;
pub mod room;
pub mod times;
pub mod usage;
mod waiting;

pub use breaker::{Breakers, Circuit, Opened, Outcome, UNPROVEN};
pub use budget::{Allowance, Budgets, FRESH, Flight, Held, Phase};
pub use closed::Closed;
pub use holds::{Shop, holds};
pub use kept::Kept;
pub use lessons::{End, Lessons, Sight, Wishes};
pub use lot::{Lot, Reach};
pub use money::{Living, NoRate, Price, Purse, Short, Standing, Terms, Unit, Written};
pub use place::Place;
pub use recent::Recent;
pub use reclaims::Reclaims;
pub use times::Times;
pub use usage::{Amounts, Usage};
pub use waiting::{Classes, Waited, Waiting, Waits};
