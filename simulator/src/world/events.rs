//! What can happen.

use super::VmId;
use crate::{dirac::JobId, time::Ms};

/// Something that happens at a moment.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// The policy looks at the world.
    Poll,
    /// A figure is taken for the plots.
    Sample,
    /// Jobs of a stream arrive.
    Arrive(usize),
    /// A job comes (again) into the task queues.
    Enqueue(JobId),
    /// Five minutes after a task queue was seen empty.
    QueueWasEmpty(u64),
    /// A job ends, in its so-manyth attempt.
    JobEnds(JobId, u8),
    /// StalledJobAgent finds a lost job.
    LostIsFound(JobId),
    /// The provider gets the request to create a VM.
    Create(VmId),
    /// The provider gets the request to delete a VM.
    Delete(VmId),
    /// A VM is ready at the provider: it becomes ACTIVE.
    Built(VmId),
    /// A VM's pilot asks for work for the first time.
    FirstAsk(VmId),
    /// A cycle of a VM's JobAgent.
    Cycle(VmId),
    /// A VM's pilot hangs.
    Hang(VmId),
    /// A VM that was idle since this moment may have been so for too long.
    IdleCheck(VmId, Ms),
    /// A VM's pilot has no more to do and ends.
    PilotEnds(VmId),
    /// A VM stops by itself after its pilot has ended.
    Stops(VmId),
    /// The provider takes a Spot VM back.
    Reclaimed(VmId),
    /// A storm takes Spot VMs: cloud, and its number there.
    Storm(usize, usize),
    /// A Downtime begins: its number.
    Closes(usize),
}
