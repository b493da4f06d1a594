//! Which jobs run on a VM: of which class they are, where only one can run there, and since when some wait that could. Pure.

use broker::{
    experience::{
        self, Place,
        measures::{self, Kind},
    },
    plan::Says,
};
use crds::{PilotVM, vm::PilotVMSpec};
use jiff::Timestamp;

use super::lease::job_class;
use crate::amounts::size;

/// What decides which jobs run on a VM: VO, flavor and size, CPU time, and what its pilot says.
type Alike<'a> = (&'a str, &'a str, (i64, i64, i64), u64, [&'a str; 3], &'a [String], &'a [String]);

/// The classes of jobs that were heard of, and the one of each kind of VM.
pub type Kinds<'a> = measures::Kinds<'a, Alike<'a>>;

/// The one class whose jobs run on this VM; `None`: there are several, or none was heard of.
pub fn only<'k, 'a>(kinds: &'k mut Kinds<'a>, vm: &'a PilotVM) -> Option<&'k Kind> {
    kinds.only(alike(vm), || place(vm))
}

/// Since when jobs wait, for each kind of VM.
pub type Waited<'a> = experience::Waited<'a, Alike<'a>>;

/// Since when jobs wait that could run on this VM; `None`: none did at the last round.
pub fn waits<'a>(waited: &mut Waited<'a>, vm: &'a PilotVM) -> Option<Timestamp> {
    waited.since(alike(vm), || place(vm))
}

fn alike(vm: &PilotVM) -> Alike<'_> {
    let (spec, bought) = (&vm.spec, &vm.spec.offering);
    (
        spec.vo.as_str(),
        bought.flavor.as_str(),
        (bought.cores, bought.ram_mib, bought.gpus),
        spec.max_cpu_time.as_secs(),
        [spec.site.as_str(), spec.ce.as_str(), spec.platform.as_deref().unwrap_or_default()],
        spec.tags.as_slice(),
        spec.required_tags.as_slice(),
    )
}

fn place(vm: &PilotVM) -> Place<'_> {
    let spec = &vm.spec;
    Place {
        vo: &spec.vo,
        says: says(spec),
        full: size(vm),
        cpu_time: spec.max_cpu_time.as_secs(),
        own: spec.for_jobs.iter().map(job_class).collect(),
    }
}

/// What the VM's pilot says of itself.
pub fn says(spec: &PilotVMSpec) -> Says {
    Says {
        site: spec.site.clone(),
        ce: spec.ce.clone(),
        platform: spec.platform.clone(),
        tags: spec.tags.clone(),
        required_tags: spec.required_tags.clone(),
    }
}
