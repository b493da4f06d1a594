//! What a PilotVM's pilot is told about itself.

use broker::pilot::{Pilot, stamp, user_data};
use crds::PilotVM;
use kube::ResourceExt;
use secrecy::SecretString;

use crate::{
    amounts::{count, size},
    context::State,
    life::before_the_first_job,
    names::Key,
};

/// The description; the groups whose jobs it may take come from the VO's object, or from its own group where that is gone.
pub fn describe(state: &State, vm: &PilotVM) -> Pilot {
    let vo = state.stores.vos.get(&Key::of(vm).beside(&vm.spec.vo));
    let groups =
        vo.map_or_else(|| vec![vm.spec.group.clone()], |vo| vo.spec.groups.iter().map(|g| g.name.clone()).collect());
    from_spec(vm, groups)
}

/// The description of the pilot of `vm`, which may take jobs of these groups.
pub fn from_spec(vm: &PilotVM, owner_groups: Vec<String>) -> Pilot {
    let uid = vm.uid().unwrap_or_default();
    let spec = &vm.spec;
    Pilot {
        reference: stamp::reference(&uid),
        stamp: stamp::stamp(&uid),
        vo: spec.dirac_vo.clone(),
        group: spec.group.clone(),
        owner_groups,
        site: spec.site.clone(),
        ce: spec.ce.clone(),
        queue: spec.queue.clone(),
        cores: count(spec.offering.cores),
        ram_mib: count(spec.offering.ram_mib),
        gpus: count(spec.offering.gpus),
        gpu_model: spec.offering.gpu_model.clone().unwrap_or_default(),
        gpu_cores: if spec.tags.iter().any(|tag| tag.eq_ignore_ascii_case("GPU")) { gpu_cores(vm) } else { 0 },
        cpu_time: spec.max_cpu_time.as_secs().saturating_add(before_the_first_job(spec)),
        tags: spec.tags.clone(),
        required_tags: spec.required_tags.clone(),
        platform: spec.platform.clone(),
        idle_timeout: spec.idle_timeout.as_secs(),
    }
}

/// The cores that go with each GPU of this VM; 0: it has none.
fn gpu_cores(vm: &PilotVM) -> u64 {
    let all = size(vm);
    if all.gpus > 0 { all.of_a_gpu().cores } else { 0 }
}

/// The user-data of the PilotVM: the pilot's description, with its pool's template.
pub fn contextualise(state: &State, vm: &PilotVM, pilot: &Pilot) -> Result<SecretString, user_data::UserDataError> {
    user_data::render(pilot, template(state, vm).as_deref())
}

/// The template of the VM's pool; a pool that is gone has none any more.
pub fn template(state: &State, vm: &PilotVM) -> Option<String> {
    let pool = state.stores.pools.get(&Key::of(vm).beside(&vm.spec.pool_ref.name))?;
    pool.spec.machine.user_data.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Model of the GPUs, and cores of each, that a pilot is told of a VM with two GPUs and ten cores.
    fn told(tags: &[&str], cores_per_gpu: Option<i64>) -> (String, u64) {
        let mut vm = PilotVM::new("v", crds::vm::PilotVMSpec::default());
        vm.spec.tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        vm.spec.offering = crds::vm::Offering {
            cores: 10,
            gpus: 2,
            gpu_model: Some("A100".to_owned()),
            cores_per_gpu,
            ..crds::vm::Offering::default()
        };
        let pilot = from_spec(&vm, Vec::new());
        assert_eq!(pilot.gpus, 2);
        (pilot.gpu_model, pilot.gpu_cores)
    }

    #[test]
    fn a_pilot_is_told_its_gpus_their_model_and_the_cores_of_each() {
        let model = "A100".to_owned();
        assert_eq!(told(&["GPU"], None), (model.clone(), 5));
        assert_eq!(told(&["x", "gpu"], Some(2)), (model.clone(), 2));
        assert_eq!(told(&["GPU"], Some(64)), (model.clone(), 5), "no more than there are");
        assert_eq!(told(&["x"], None), (model, 0), "no job is given a GPU of its own");
    }

    #[test]
    fn a_vm_without_gpus_has_no_cores_for_them() {
        let mut vm = PilotVM::new("v", crds::vm::PilotVMSpec::default());
        (vm.spec.tags, vm.spec.offering.cores) = (vec!["GPU".to_owned()], 8);
        assert_eq!(from_spec(&vm, Vec::new()).gpu_cores, 0);
    }
}
