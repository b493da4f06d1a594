//! What can be observed: task queues as `getActiveTaskQueues` tells them, VMs as the clouds' late lists show them, the pilots' rows and the
//! jobs that run on each (`getPilotInfo`, `getJobsStatus`), and quotas. Nothing else of the world is shown to a policy.

use crate::{
    dirac::{Definition, JobId},
    scenario::{Limits, Model},
    time::{Ms, ms},
    world::{Order, Row, Stage, VmId, World},
};

/// A VM as a list shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// The provider makes it.
    Building,
    /// Nova's ACTIVE: it is up for the provider, whatever its pilot does.
    Active,
    /// Nova's SHUTOFF: it stopped by itself.
    Stopped,
    /// Nova's ERROR: the provider could not make it.
    Error,
}

/// A task queue, as `getActiveTaskQueues` tells of it.
#[derive(Clone, Copy, Debug)]
pub struct QueueSeen<'s> {
    /// DIRAC's number.
    pub id: u64,
    /// What its jobs need.
    pub definition: &'s Definition,
    /// How many jobs wait in it.
    pub jobs: u64,
    /// DIRAC's priority of the queue: queues are drawn in proportion to it.
    pub priority: f64,
}

/// A VM that the policy has ordered, and what can be known of it.
#[derive(Clone, Copy, Debug)]
pub struct VmSeen<'s> {
    /// The number that [`super::Hands::order`] gave.
    pub id: VmId,
    /// The order that it was made for.
    pub order: Order,
    /// Cores of its flavor.
    pub cores: u64,
    /// When the policy ordered it.
    pub ordered: Ms,
    /// When it was made, where the caller knows that it was: by the answer, or since it is listed.
    pub made: Option<Ms>,
    /// How the list shows it; `None`: not at all.
    pub listed: Option<Listed>,
    /// Whether its deletion was ordered.
    pub is_deleting: bool,
    /// The row of its pilot in PilotAgentsDB.
    pub row: Row,
    /// The jobs that its pilot runs now.
    pub running: &'s [JobId],
}

/// What a policy can see of the world at one moment.
#[derive(Clone, Copy)]
pub struct Seen<'s> {
    world: &'s World<'s>,
}

impl<'s> Seen<'s> {
    /// The view of this world as it is now.
    pub fn new(world: &'s World<'s>) -> Self {
        Self { world }
    }

    /// Virtual time.
    pub fn now(&self) -> Ms {
        self.world.heap.now()
    }

    /// What the manifests say.
    pub fn model(&self) -> &'s Model {
        &self.world.loaded.model
    }

    /// The task queues with waiting jobs.
    pub fn queues(&self) -> impl Iterator<Item = QueueSeen<'s>> {
        let world = self.world;
        world.queues.all().filter(|queue| queue.len() > 0).map(|queue| QueueSeen {
            id: queue.id,
            definition: world.queues.definition(queue.definition),
            jobs: queue.len() as u64,
            priority: queue.priority,
        })
    }

    /// What a cloud says is left of its quotas, by class.
    pub fn headroom(&self, cloud: usize) -> Vec<Limits> {
        self.world.provider.headroom(cloud)
    }

    /// The VMs that were ordered and are not known to be gone.
    pub fn vms(&self) -> impl Iterator<Item = VmSeen<'s>> {
        let (world, now) = (self.world, self.now());
        world.live.iter().filter_map(move |id| {
            let vm = &world.vms[*id as usize];
            let lag = ms(world.loaded.model.clouds[vm.order.offer.cloud].behaviour.list_lag);
            if vm.stage == Stage::Refused || vm.gone.is_some_and(|gone| gone + lag <= now) {
                return None;
            }
            let listed = vm.born.filter(|born| born + lag <= now).map(|_| match vm.stage {
                Stage::Ordered | Stage::Refused | Stage::Building => Listed::Building,
                Stage::Active | Stage::Gone => Listed::Active,
                Stage::Stopped => Listed::Stopped,
                Stage::Error => Listed::Error,
            });
            Some(VmSeen {
                id: *id,
                order: vm.order,
                cores: vm.cores,
                ordered: vm.ordered,
                made: vm.born.filter(|_| vm.is_answered || listed.is_some()),
                listed,
                is_deleting: vm.is_deleting,
                row: vm.row,
                running: vm.pilot.as_ref().map_or(&[], |pilot| pilot.running.as_slice()),
            })
        })
    }
}
