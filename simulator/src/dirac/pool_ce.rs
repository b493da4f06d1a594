//! PoolComputingElement: the processors and the memory of one VM, shared by the jobs of its pilot
//! (`Resources/Computing/PoolComputingElement.py`).

/// What a job asks of the pool.
#[derive(Clone, Copy, Debug, Default)]
pub struct Need {
    /// `NumberOfProcessors` of the job.
    pub processors: u32,
    /// Whether its tags name MultiProcessor (`mpTag`): without it a job gets one processor whatever else it says.
    pub multi: bool,
    /// Whether it is a WholeNode job.
    pub whole_node: bool,
    /// Memory in MB that the JobAgent passes on; DIRAC 9.1.22's passes none.
    pub ram: u64,
}

/// What a job holds while it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Task {
    /// Processors that it holds.
    pub processors: u32,
    /// Memory in MB.
    pub ram: u64,
}

/// The processors and memory of one VM, and the jobs that hold them.
#[derive(Clone, Debug)]
pub struct PoolCe {
    processors: u32,
    ram: u64,
    used: Task,
    tasks: u32,
    /// GPUs, each of which has an agent with one job at a time and this part of the VM; `None`: one agent has all.
    gpus: Option<(u32, Task)>,
}

impl PoolCe {
    /// A pool with this many processors and this much memory in MB, of which none is used.
    pub fn new(processors: u32, ram: u64) -> Self {
        Self { processors, ram, used: Task::default(), tasks: 0, gpus: None }
    }

    /// The same on a VM with GPUs whose pilot offers the tag GPU: that is not DIRAC's but `images/pilot/start-pilot`'s. Its agents, one for
    /// each GPU, are taken for one that has as many jobs as there are GPUs, each with an equal part of the VM.
    #[must_use]
    pub fn with_gpus(self, gpus: u32) -> Self {
        let each = |all: u64| all / u64::from(gpus.max(1));
        let processors = u32::try_from(each(u64::from(self.processors))).unwrap_or(u32::MAX).max(1);
        let part = Task { processors, ram: each(self.ram) };
        Self { gpus: (gpus > 0).then_some((gpus.min(self.processors), part)), ..self }
    }

    /// Jobs that run.
    pub fn tasks(&self) -> u32 {
        self.tasks
    }

    /// Processors that jobs hold.
    pub fn in_use(&self) -> u32 {
        self.used.processors
    }

    /// `ComputingElement.available`: fewer jobs than processors (MaxTotalJobs), and a processor that is free.
    pub fn is_available(&self) -> bool {
        self.gpus.is_none_or(|(gpus, _)| self.tasks < gpus)
            && self.tasks < self.processors
            && self.used.processors < self.processors
    }

    /// `ComputingElement.getDescription`: NumberOfProcessors is what is free, and so is MaxRAM.
    pub fn free(&self) -> Task {
        if let Some((gpus, part)) = self.gpus {
            return if self.tasks < gpus { part } else { Task::default() };
        }
        Task { processors: self.processors - self.used.processors, ram: self.ram.saturating_sub(self.used.ram) }
    }

    /// `PoolComputingElement.submitJob`. `None`: "Not enough processors for the job", or not enough memory; the job is rescheduled.
    pub fn submit(&mut self, need: Need) -> Option<Task> {
        let task = Task { processors: self.processors_for(need)?, ram: self.memory_for(need)? };
        self.used.processors += task.processors;
        self.used.ram += task.ram;
        self.tasks += 1;
        Some(task)
    }

    /// `PoolComputingElement.finalizeJob`.
    pub fn finish(&mut self, task: Task) {
        self.used.processors -= task.processors;
        self.used.ram -= task.ram;
        self.tasks -= 1;
    }

    /// `_getProcessorsForJobs`.
    fn processors_for(&self, need: Need) -> Option<u32> {
        let free = self.free().processors;
        let given = match need {
            Need { multi: false, .. } => 1,
            Need { whole_node: true, .. } if self.gpus.is_some_and(|(gpus, _)| gpus > 1) => return None,
            Need { whole_node: true, .. } if self.used.processors > 0 => return None,
            Need { whole_node: true, .. } => self.processors,
            Need { processors, .. } => processors.max(1),
        };
        (given <= free).then_some(given)
    }

    /// `_getMemoryForJobs`.
    fn memory_for(&self, need: Need) -> Option<u64> {
        (self.ram == 0 || need.ram <= self.free().ram).then_some(need.ram)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(processors: u32) -> Need {
        Need { processors, multi: processors > 1, ..Need::default() }
    }

    #[test]
    fn processors_are_held_and_given_back_as_in_get_processors_for_jobs() {
        let mut pool = PoolCe::new(8, 16_384);
        let six = pool.submit(job(6)).unwrap();
        assert_eq!((six.processors, pool.free().processors), (6, 2));
        assert_eq!(pool.submit(job(4)), None);
        pool.submit(job(1)).unwrap();
        pool.submit(job(1)).unwrap();
        assert!(!pool.is_available());
        pool.finish(six);
        assert_eq!((pool.free().processors, pool.tasks()), (6, 2));
    }

    #[test]
    fn a_gpu_has_one_job_at_a_time_with_its_part_of_the_vm() {
        let mut pool = PoolCe::new(8, 16_384).with_gpus(2);
        assert_eq!(pool.free(), Task { processors: 4, ram: 8_192 });
        assert_eq!(pool.submit(job(5)), None);
        let first = pool.submit(job(4)).unwrap();
        pool.submit(job(1)).unwrap();
        assert!(!pool.is_available() && pool.submit(job(1)).is_none(), "three cores are free, and no GPU");
        pool.finish(first);
        assert_eq!(pool.free().processors, 4);
    }

    #[test]
    fn a_job_without_the_multi_processor_tag_gets_one_processor() {
        assert_eq!(PoolCe::new(8, 0).submit(Need { processors: 4, ..Need::default() }).unwrap().processors, 1);
    }

    #[test]
    fn a_whole_node_job_gets_all_of_an_empty_pool_and_nothing_of_another() {
        let whole = Need { processors: 1, multi: true, whole_node: true, ram: 0 };
        let mut pool = PoolCe::new(4, 0);
        assert_eq!(pool.submit(whole).unwrap().processors, 4);
        let mut busy = PoolCe::new(4, 0);
        busy.submit(job(1)).unwrap();
        assert_eq!(busy.submit(whole), None);
    }

    #[test]
    fn memory_is_reserved_only_where_it_is_passed_on_as_in_get_memory_for_jobs() {
        let mut pool = PoolCe::new(8, 16_384);
        pool.submit(job(1)).unwrap();
        assert_eq!(pool.free().ram, 16_384, "DIRAC 9.1.22's JobAgent passes no MinRAM");
        pool.submit(Need { ram: 16_000, ..job(1) }).unwrap();
        assert_eq!(pool.submit(Need { ram: 1_000, ..job(1) }), None);
        assert!(PoolCe::new(8, 0).submit(Need { ram: 1_000_000, ..job(1) }).is_some(), "0 is no bound");
    }
}
