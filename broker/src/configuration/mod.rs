//! DIRAC's configuration, in which people write and we own some paths: its text, and what we change in it.
//!
//! We are one more administrator. What others wrote stays as it is: their options, their comments and their order.

pub mod cfg;
mod commit;
mod owned;
mod plan;
pub mod text;
mod wanted;

pub use cfg::{At, Cfg};
pub use commit::{Actor, CommitError, Gate, Master, Open, Outcome, Refusal, Task, bring};
pub use owned::{Owned, Unfit, Value};
pub use plan::{Changes, Edit, Policy, Step, plan};
pub use text::CfgError;
pub use wanted::{Beside, Ce, CeQueue, Host, Kind, User, wanted};
