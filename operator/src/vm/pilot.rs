//! What a PilotVM's pilot is told about itself.

use broker::pilot::{Pilot, stamp, user_data};
use crds::PilotVM;
use kube::ResourceExt;
use secrecy::SecretString;

use crate::{amounts::count, context::State, life::before_the_first_job, names::Key};

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
        cpu_time: spec.max_cpu_time.as_secs().saturating_add(before_the_first_job(spec)),
        tags: spec.tags.clone(),
        required_tags: spec.required_tags.clone(),
        platform: spec.platform.clone(),
        idle_timeout: spec.idle_timeout.as_secs(),
    }
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
