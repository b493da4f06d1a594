//! The world: jobs, VMs and their pilots, the providers, and the books. It moves by events, and knows no policy.

mod books;
mod events;
mod job;
mod machines;
mod match_maker;
mod pilot;
mod state;
mod vm;

pub use books::{Books, Passed};
pub use events::Event;
pub use job::{Job, JobState};
pub use match_maker::MatchMaker;
pub use state::World;
pub use vm::{Alone, Order, PilotLife, PilotManners, Row, RowStatus, Stage, Vm, VmId};
