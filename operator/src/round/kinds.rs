//! Of which class the jobs of a VM are, where only one can run there. Pure.

use broker::experience::measures::{self, Kind, Place};
use crds::PilotVM;

use super::{lease::job_class, live::size, snapshot::says};

/// What decides which jobs run on a VM: VO, flavor and size, CPU time, and what its pilot says.
type Alike<'a> = (&'a str, &'a str, (i64, i64, i64), u64, [&'a str; 3], &'a [String], &'a [String]);

/// The classes of jobs that were heard of, and the one of each kind of VM.
pub type Kinds<'a> = measures::Kinds<'a, Alike<'a>>;

/// The one class whose jobs run on this VM; `None`: there are several, or none was heard of.
pub fn only<'k, 'a>(kinds: &'k mut Kinds<'a>, vm: &'a PilotVM) -> Option<&'k Kind> {
    let (spec, bought) = (&vm.spec, &vm.spec.offering);
    let alike = (
        spec.vo.as_str(),
        bought.flavor.as_str(),
        (bought.cores, bought.ram_mib, bought.gpus),
        spec.max_cpu_time.as_secs(),
        [spec.site.as_str(), spec.ce.as_str(), spec.platform.as_deref().unwrap_or_default()],
        spec.tags.as_slice(),
        spec.required_tags.as_slice(),
    );
    kinds.only(alike, || Place {
        vo: &spec.vo,
        says: says(spec),
        full: size(vm),
        cpu_time: spec.max_cpu_time.as_secs(),
        own: spec.for_jobs.iter().map(job_class).collect(),
    })
}
