//! The bed of the EC2 driver: the stand-in, with what a test does behind its back.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use broker::{
    address::Policy,
    clock::Clock,
    cloud::{
        Choice, Cloud, Order, Pace, Purchase, Rate, Room, Scope, Shape, Wanted,
        ec2::{Config, Credential, Ec2Cloud, ImageRef},
    },
};
use testbeds::systems::ec2::{self, Ec2, Pool, REGION};

use super::bed::{Bed, Done, Loss};
use crate::order;

/// What is bought when nothing else is said, in the first zone.
pub const SMALL: &str = "t2.micro";
/// Another one of its class, and one of another.
pub const OTHER: &str = "t2.small";
pub const GPU: &str = "g4dn.xlarge";

pub struct Amazon {
    pub it: Arc<Ec2>,
    /// An account at another address.
    other: Ec2,
    driver: Arc<dyn Cloud>,
}

impl Amazon {
    /// An account, and its driver, which knows what is on offer.
    pub async fn start(state: &Path) -> Self {
        let it = Ec2::start(&state.join("ec2")).await.unwrap();
        let other = Ec2::start(&state.join("other")).await.unwrap();
        // A test does not wait an hour until what has ended is shown no more.
        for account in [&it, &other] {
            account.forgets_after(Duration::from_secs(3)).await.unwrap();
        }
        let driver: Arc<dyn Cloud> = Arc::new(driver(config(&it)));
        driver.offers(&wanted()).await.unwrap();
        Self { it: Arc::new(it), other, driver }
    }

    /// The account at another address.
    pub fn other_account(&self) -> &Ec2 {
        &self.other
    }

    /// The image of all orders.
    pub fn image(&self) -> String {
        self.it.images()["default"].clone()
    }

    /// The zones, each with one subnet.
    pub fn zones(&self) -> Vec<String> {
        self.it.subnets().into_iter().map(|(_, zone)| zone).collect()
    }

    /// A type in a zone by its number.
    pub fn choice(&self, flavor: &str, zone: usize) -> Choice {
        Choice { flavor: flavor.to_owned(), zone: Some(self.zones()[zone].clone()), ..Choice::default() }
    }

    /// Waits until no instance of ours lives, by the stand-in's own book.
    pub async fn nothing_is_left(&self) {
        let mut left = Vec::new();
        for _ in 0..60 {
            left = self.it.instances().await.unwrap();
            left.retain(|i| i.lives() && i.tags.contains_key("dirac-operator:pilotvm"));
            if left.is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        panic!("these are left: {left:?}");
    }
}

/// What pools of the tests want.
pub fn wanted() -> Wanted {
    let shape = Shape {
        flavors: [SMALL, OTHER, GPU].map(str::to_owned).to_vec(),
        purchase: vec![Purchase::OnDemand, Purchase::Spot],
        ..Shape::default()
    };
    Wanted { shapes: vec![shape] }
}

/// A driver's configuration for the account.
pub fn config(it: &Ec2) -> Config {
    let (id, secret) = it.keys();
    Config {
        region: REGION.to_owned(),
        endpoint: Some(it.endpoint()),
        credential: Credential::Keys { id, secret: secret.into(), session_token: None, expires: None },
        role: None,
        session: "dirac-operator-test".to_owned(),
        addresses: Policy::OPEN,
        subnets: it.subnets().into_iter().map(|(id, _)| id).collect(),
        security_groups: vec![it.security_group()],
        images: BTreeMap::from([("default".to_owned(), ImageRef::Id(it.images()["default"].clone()))]),
        launch_template: None,
        root_volume_gib: None,
        queue: None,
        gpus: BTreeMap::new(),
    }
}

/// A driver at a pace that a test can wait for.
pub fn driver(config: Config) -> Ec2Cloud {
    Ec2Cloud::new(config, Arc::new(Pace::new(Rate::default())), Room::default(), Clock::system()).unwrap()
}

impl Bed for Amazon {
    fn driver(&self) -> Arc<dyn Cloud> {
        self.driver.clone()
    }
    fn restarted(&self) -> Done<Arc<dyn Cloud>> {
        Ok(Arc::new(driver(config(&self.it))))
    }
    fn another(&self) -> Arc<dyn Cloud> {
        Arc::new(driver(config(&self.other)))
    }
    fn order(&self, cluster: &str, uid: &str) -> Order {
        Order { choices: vec![self.choice(SMALL, 0)], ..order(cluster, uid, SMALL, &self.image(), "") }
    }
    fn order_on_spot(&self, cluster: &str, uid: &str) -> Order {
        let choice = Choice { purchase: Purchase::Spot, ..self.choice(SMALL, 0) };
        Order { choices: vec![choice], ..self.order(cluster, uid) }
    }
    fn other_flavor(&self) -> Choice {
        self.choice(OTHER, 0)
    }
    fn other_zone(&self) -> Done<Choice> {
        Ok(self.choice(SMALL, 1))
    }
    fn other_class(&self) -> Done<Choice> {
        Ok(self.choice(GPU, 0))
    }
    async fn lose(&self, loss: Loss) -> Done {
        let loss = match loss {
            Loss::Reply => ec2::Loss::Reply,
            Loss::Late(pause) => ec2::Loss::Late(pause),
        };
        self.it.lose(loss).await.unwrap();
        Ok(())
    }
    async fn hide(&self, id: &str, pause: Duration) -> Done {
        self.it.hide(&[id.to_owned()]).await.unwrap();
        let it = self.it.clone();
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            it.show().await.unwrap();
        });
        Ok(())
    }
    async fn partial_list(&self, partial: bool) -> Done {
        self.it.partial(partial).await.unwrap();
        Ok(())
    }
    async fn twin(&self, order: &Order) -> Done<String> {
        let tags = [
            ("dirac-operator:cluster", &order.owner.cluster),
            ("dirac-operator:pilotvm", &order.owner.uid),
            ("Name", &order.name),
        ];
        let tags = tags.map(|(key, value)| (key.to_owned(), value.clone())).into();
        Ok(self.it.run_instance(&tags, "a twin").await.unwrap())
    }
    async fn stranger(&self, name: &str) -> Done<String> {
        let tags =
            BTreeMap::from([("Name".to_owned(), name.to_owned()), ("dirac-operator:old".to_owned(), "1".to_owned())]);
        Ok(self.it.run_instance(&tags, "").await.unwrap())
    }
    async fn exists(&self, id: &str) -> bool {
        self.it.instances().await.unwrap().iter().any(|i| i.id == id && i.lives())
    }
    async fn reclaim(&self, id: &str) -> Done {
        self.it.reclaim(id, Duration::from_millis(100)).await.unwrap();
        Ok(())
    }
    async fn power_off(&self, id: &str) -> Done {
        self.it.power_off(id).await.unwrap();
        Ok(())
    }
    async fn refuse(&self, scope: Scope, like: &Choice) -> Done {
        let zone = like.zone.clone().unwrap();
        let any = Pool { purchase: Some(ec2::Purchase::OnDemand), ..Pool::default() };
        match scope {
            Scope::Offer => self.it.capacity(&like.flavor, &zone, ec2::Purchase::OnDemand, Some(0)).await,
            Scope::Zone => self.it.set_free_addresses(&self.it.subnets()[0].0, 0).await,
            Scope::Class => self.it.vcpus("L-1216C47A", Some(0)).await,
            Scope::Cloud => self.it.refuse("InstanceLimitExceeded", "Your quota allows for 0 more", &any).await,
        }
        .unwrap();
        Ok(())
    }
    async fn relent(&self) {
        let (subnet, zone) = self.it.subnets()[0].clone();
        self.it.capacity(SMALL, &zone, ec2::Purchase::OnDemand, None).await.unwrap();
        self.it.set_free_addresses(&subnet, 200).await.unwrap();
        self.it.vcpus("L-1216C47A", None).await.unwrap();
        self.it.relent().await.unwrap();
    }
    async fn silence(&self, silent: bool) -> Done {
        self.it.always(silent.then_some(ec2::Loss::Hang)).await.unwrap();
        Ok(())
    }
}
