//! The bed of the simulated driver.

use std::{sync::Arc, time::Duration};

use broker::{
    clock::Clock,
    cloud::{Choice, Cloud, Order, Pace, Rate, Scope},
    simulation::{self, CloudConfig, SimulatedCloud, SimulatedFlavor},
};

use super::bed::{Bed, Cannot, Done, Loss};
use crate::order;

/// Time that a test calls "for ever".
const LONG: Duration = Duration::from_secs(3_600);

pub struct Simulated(Arc<SimulatedCloud>);

/// A simulated cloud with two zones and three flavors of one core, the last of another class of quota.
pub fn config() -> CloudConfig {
    let flavor =
        |name: &str| SimulatedFlavor { name: name.to_owned(), cores: 1, ram_mib: 2_048, ..SimulatedFlavor::default() };
    let other = SimulatedFlavor { quota_class: Some("other".to_owned()), ..flavor("o1") };
    let (flavors, zones) =
        ([flavor("c1"), flavor("d1"), other].map(Arc::new).to_vec(), ["a", "b"].map(str::to_owned).to_vec());
    CloudConfig { flavors, zones, boot_seconds: 1, ..CloudConfig::default() }
}

fn choice(flavor: &str, zone: &str) -> Choice {
    Choice { flavor: flavor.to_owned(), zone: Some(zone.to_owned()), ..Choice::default() }
}

/// A driver of such a cloud.
pub fn cloud(config: CloudConfig) -> SimulatedCloud {
    SimulatedCloud::new(config, None, Clock::system()).at_pace(Arc::new(Pace::new(Rate::default())))
}

impl Simulated {
    /// A bed of its own.
    pub fn new() -> Self {
        Self(Arc::new(cloud(config())))
    }
}

impl Bed for Simulated {
    fn driver(&self) -> Arc<dyn Cloud> {
        self.0.clone()
    }
    fn restarted(&self) -> Done<Arc<dyn Cloud>> {
        Err(Cannot("the simulation", "be asked by another driver: it is its own driver"))
    }
    fn another(&self) -> Arc<dyn Cloud> {
        Arc::new(cloud(config()))
    }
    fn order(&self, cluster: &str, uid: &str) -> Order {
        Order { choices: vec![choice("c1", "a")], ..order(cluster, uid, "c1", "any", "#cloud-config\n") }
    }
    fn other_flavor(&self) -> Choice {
        choice("d1", "a")
    }
    fn other_zone(&self) -> Done<Choice> {
        Ok(choice("c1", "b"))
    }
    fn other_class(&self) -> Done<Choice> {
        Ok(choice("o1", "a"))
    }
    async fn lose(&self, loss: Loss) -> Done {
        self.0.lose(match loss {
            Loss::Reply => simulation::Loss::Reply,
            Loss::Late(pause) => simulation::Loss::Late(pause),
        });
        Ok(())
    }
    async fn hide(&self, id: &str, pause: Duration) -> Done {
        self.0.hide(id, pause);
        Ok(())
    }
    async fn partial_list(&self, partial: bool) -> Done {
        self.0.hide_all(if partial { LONG } else { Duration::ZERO });
        Ok(())
    }
    async fn twin(&self, order: &Order) -> Done<String> {
        Ok(self.0.twin(order).expect("the order can be had"))
    }
    async fn stranger(&self, _: &str) -> Done<String> {
        Ok(self.0.add_stranger())
    }
    async fn exists(&self, id: &str) -> bool {
        self.0.has_stranger(id) || self.0.get(id).await.unwrap().is_some()
    }
    async fn reclaim(&self, id: &str) -> Done {
        self.0.reclaim(id);
        Ok(())
    }
    async fn power_off(&self, id: &str) -> Done {
        self.0.power_off(id);
        Ok(())
    }
    async fn refuse(&self, scope: Scope, like: &Choice) -> Done {
        self.0.refuse(scope, like.clone());
        Ok(())
    }
    async fn relent(&self) {
        self.0.relent();
    }
    async fn silence(&self, silent: bool) -> Done {
        self.0.hang(if silent { LONG } else { Duration::ZERO });
        Ok(())
    }
}
