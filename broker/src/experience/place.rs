//! What decides which jobs run on a VM. Pure.

use crate::{
    demand::matching::Prepared,
    plan::{Free, JobClass, Says, resource},
};

/// What decides which jobs run on a VM.
pub struct Place<'a> {
    /// VirtualOrganization object.
    pub vo: &'a str,
    /// What its pilot says.
    pub says: Says,
    /// The whole VM.
    pub full: Free,
    /// CPU time that its pilot was made for, in normalised seconds.
    pub cpu_time: u64,
    /// The classes that it was made for.
    pub own: Vec<JobClass>,
}

impl Place<'_> {
    /// What its pilot asks with where nothing else runs.
    pub(super) fn alone(&self) -> Prepared {
        Prepared::new(resource(&self.says, self.full, self.cpu_time))
    }
}
