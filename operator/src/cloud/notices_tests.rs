use std::sync::Arc;

use broker::{
    cloud::Coming,
    simulation::{CloudConfig, SimulatedCloud},
};
use crds::{
    PilotVM,
    vm::{PilotVMSpec, PilotVMStatus},
};
use jiff::Timestamp;

use super::*;
use crate::{
    api::{Stores, fake::Fake, watch::Objects},
    context::State,
};

fn key(name: &str) -> Key {
    Key { namespace: "demo".into(), name: name.into() }
}

fn pilot_vm() -> PilotVM {
    let mut vm = PilotVM::new("cpu-1", PilotVMSpec::default());
    vm.metadata.namespace = Some("demo".into());
    vm.spec.cloud_ref.name = "c".into();
    vm.status = Some(PilotVMStatus { provider_id: Some("sim-1".into()), ..PilotVMStatus::default() });
    vm
}

fn cloud() -> Arc<SimulatedCloud> {
    let clock = broker::clock::Clock::driven(|| Timestamp::UNIX_EPOCH);
    Arc::new(SimulatedCloud::new(CloudConfig::default(), None, clock))
}

fn notice(id: &str, what: Coming) -> Notice {
    Notice { id: id.into(), at: Timestamp::UNIX_EPOCH, what }
}

#[tokio::test]
async fn a_notice_rings_the_pilotvm_of_its_vm_and_each_new_driver_is_listened_to() {
    let stores = Stores { vms: Objects::of([pilot_vm()]), ..Stores::default() };
    let ctx = Context::of(Fake::default().client(), State { stores, ..State::default() });
    let (handle, mut rung) = (ctx.state.clouds.get(&key("c")), ctx.bells.vms());
    let (driven, listens) = watch::channel(());
    let told = async {
        for _ in 0..2 {
            let driver = cloud();
            handle.update(|f| f.driver = Some(driver.clone()));
            driven.send_replace(());
            // The listener takes the new driver up when it has its turn.
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            driver.announce(notice("somebody-else", Coming::Rebalance));
            driver.announce(notice("sim-1", Coming::Reclaim));
            assert_eq!(rung.recv().await.unwrap(), key("cpu-1"));
        }
    };
    let key = key("c");
    tokio::select! {
        () = listen(&ctx, &key, &handle, listens) => panic!("it listens until it is dropped"),
        () = told => {}
    }
    assert_eq!(handle.facts().announced["sim-1"].what, Coming::Reclaim);
}
