//! Of which class the jobs of a VM are, where only one can run there. Pure.

use std::collections::HashMap;

use broker::{
    experience::times,
    plan::{JobClass, only_class},
};
use crds::PilotVM;

use super::{lease::job_class, live::size, snapshot::says};
use crate::known::measures::Heard;

/// What decides which jobs run on a VM: VO, flavor and size, CPU time, and what its pilot says.
type Sort<'a> = (&'a str, &'a str, (i64, i64, i64), u64, [&'a str; 3], &'a [String], &'a [String]);

/// A class of jobs, and what the times call it.
pub struct Kind {
    pub class: JobClass,
    pub name: times::JobClass,
}

/// The classes of jobs that were heard of.
pub struct Kinds<'a> {
    /// By VO.
    of_vo: HashMap<&'a str, Vec<&'a JobClass>>,
    only: HashMap<Sort<'a>, Option<Kind>>,
}

impl<'a> Kinds<'a> {
    pub fn of(heard: &'a Heard) -> Self {
        let mut of_vo: HashMap<&str, Vec<&JobClass>> = HashMap::new();
        for (vo, class) in heard.all() {
            of_vo.entry(vo).or_default().push(class);
        }
        Self { of_vo, only: HashMap::new() }
    }

    /// The one class whose jobs run on this VM; `None`: there are several, or none was heard of.
    pub fn only(&mut self, vm: &'a PilotVM) -> Option<&Kind> {
        let (spec, bought) = (&vm.spec, &vm.spec.offering);
        let sort = (
            spec.vo.as_str(),
            bought.flavor.as_str(),
            (bought.cores, bought.ram_mib, bought.gpus),
            spec.max_cpu_time.as_secs(),
            [spec.site.as_str(), spec.ce.as_str(), spec.platform.as_deref().unwrap_or_default()],
            spec.tags.as_slice(),
            spec.required_tags.as_slice(),
        );
        let all = self.of_vo.get(spec.vo.as_str()).map_or(&[][..], Vec::as_slice);
        self.only.entry(sort).or_insert_with(|| only(vm, all)).as_ref()
    }
}

fn only(vm: &PilotVM, all: &[&JobClass]) -> Option<Kind> {
    let (spec, says, full) = (&vm.spec, says(&vm.spec), size(vm));
    let own: Vec<JobClass> = spec.for_jobs.iter().map(job_class).collect();
    let class = only_class(all.iter().copied().chain(&own), &says, full, spec.max_cpu_time.as_secs())?;
    Some(Kind { class: class.clone(), name: times::JobClass::of(&spec.vo, class) })
}
