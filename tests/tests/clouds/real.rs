//! The bed of the OpenStack driver: the testbed's real services, reached through a way that a test may disturb.

use std::{sync::Arc, time::Duration};

use broker::{
    clock::Clock,
    cloud::{
        Choice, Cloud, Order, Pace, Rate, Scope,
        openstack::{Config, OpenStackCloud},
    },
};
use serde_json::json;
use testbeds::systems::openstack::{
    OpenStack, PROJECT,
    lossy::{self, Lossy, OVER_UNIFIED_CORES, OVER_UNIFIED_LIMIT},
};

use super::bed::{Bed, Cannot, Done, Loss};
use crate::{order, password};

const NO_ZONE: Cannot = Cannot("OpenStack", "refuse a zone: Nova's refusals name none");
const NO_CLASS: Cannot = Cannot("OpenStack", "refuse a class: a project has one");

pub struct Real<'a> {
    it: &'a OpenStack,
    way: Arc<Lossy>,
    config: Config,
    driver: Arc<dyn Cloud>,
    image: String,
}

/// A driver at the usual pace.
pub fn driver(config: Config) -> OpenStackCloud {
    try_driver(config).unwrap()
}

/// The same, where it may be refused.
pub fn try_driver(config: Config) -> Result<OpenStackCloud, broker::cloud::CloudError> {
    OpenStackCloud::new(config, Arc::new(Pace::new(Rate::default())), Clock::system())
}

impl<'a> Real<'a> {
    /// A bed whose driver goes through a way of its own.
    pub async fn new(it: &'a OpenStack, image: &str) -> Self {
        let way = Arc::new(it.lossy_region("Bed").await.unwrap());
        let mut config = password(it, PROJECT);
        config.region = "Bed".to_owned();
        let driver = Arc::new(driver(config.clone()));
        Self { it, way, config, driver, image: image.to_owned() }
    }
}

impl Bed for Real<'_> {
    fn driver(&self) -> Arc<dyn Cloud> {
        self.driver.clone()
    }
    fn restarted(&self) -> Done<Arc<dyn Cloud>> {
        Ok(Arc::new(driver(self.config.clone())))
    }
    fn another(&self) -> Arc<dyn Cloud> {
        Arc::new(driver(password(self.it, PROJECT)))
    }
    fn order(&self, cluster: &str, uid: &str) -> Order {
        order(cluster, uid, "m1.tiny", &self.image, "")
    }
    fn other_flavor(&self) -> Choice {
        Choice { flavor: "m1.medium".to_owned(), ..Choice::default() }
    }
    fn other_zone(&self) -> Done<Choice> {
        Err(NO_ZONE)
    }
    fn other_class(&self) -> Done<Choice> {
        Err(NO_CLASS)
    }
    async fn lose(&self, loss: Loss) -> Done {
        self.way.lose(&[match loss {
            Loss::Reply => lossy::Loss::Reply,
            Loss::Late(pause) => lossy::Loss::Late(pause),
        }]);
        Ok(())
    }
    async fn hide(&self, id: &str, pause: Duration) -> Done {
        self.way.hide(&[id.to_owned()]);
        let way = self.way.clone();
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            way.show();
        });
        Ok(())
    }
    async fn partial_list(&self, partial: bool) -> Done {
        if partial { self.it.cut_cell() } else { self.it.mend_cell() }.unwrap();
        Ok(())
    }
    async fn twin(&self, order: &Order) -> Done<String> {
        let [cluster, uid] =
            [("cluster", &order.owner.cluster), ("pvm", &order.owner.uid)].map(|(k, v)| format!("dirac-{k}-{v}"));
        let tags = ["dirac-operator", cluster.as_str(), uid.as_str()];
        Ok(self.it.make_server(PROJECT, &order.name, &tags, &json!({})).await.unwrap())
    }
    async fn stranger(&self, name: &str) -> Done<String> {
        Ok(self.it.make_server(PROJECT, name, &["dirac-operator-old"], &json!({})).await.unwrap())
    }
    async fn exists(&self, id: &str) -> bool {
        self.it.servers(PROJECT).await.unwrap().iter().any(|s| s.id == id)
    }
    async fn reclaim(&self, _: &str) -> Done {
        Err(Cannot("OpenStack", "take a VM back: Nova sells no spot VMs"))
    }
    async fn power_off(&self, id: &str) -> Done {
        self.it.stop_server(PROJECT, id).await.unwrap();
        Ok(())
    }
    async fn refuse(&self, scope: Scope, _: &Choice) -> Done {
        let body = match scope {
            Scope::Offer => OVER_UNIFIED_CORES,
            Scope::Cloud => OVER_UNIFIED_LIMIT,
            Scope::Zone => return Err(NO_ZONE),
            Scope::Class => return Err(NO_CLASS),
        };
        // One order: Nova would go on refusing the same flavor, and other flavors it would not.
        self.way.lose(&[lossy::Loss::Answer(403, body)]);
        Ok(())
    }
    async fn relent(&self) {}
    async fn silence(&self, silent: bool) -> Done {
        self.way.always(silent.then_some(lossy::Loss::Hang));
        Ok(())
    }
}
