//! A simulator of DIRAC, its pilots and clouds in virtual time. It owes nothing to the planner: one folder, `policy/operator/`, hands what
//! can be observed to `broker::plan::plan` and carries the plan out. `docs/simulator.md` is its manual.

pub mod cloud;
pub mod dice;
pub mod dirac;
pub mod heap;
pub mod policy;
pub mod report;
pub mod run;
pub mod scenario;
pub mod time;
pub mod world;
