//! DIRAC's side, written anew from DIRAC 9.1.22's source; each rule names the file and function that it comes from. Nothing here is
//! shared with the planner.

mod definition;
mod job_agent;
mod matching;
mod names;
mod pool_ce;
mod queues;

pub use definition::Definition;
pub use job_agent::{Ask, JobAgent, Settings, Step};
pub use matching::{Description, is_large_enough, lists_agree, matches};
pub use pool_ce::{Need, PoolCe, Task};
pub use queues::{JobId, TaskQueues};
