//! One order that names several zones: what it names is written down first, and what comes of it counts where the VM was bought.

use std::sync::{Arc, Mutex};

use broker::{
    clock::moment,
    cloud::{Choice, CloudError, Image, Limits, Offers, Order, Scope, Vm},
    experience::{Lot, Reach},
};
use crds::{
    PilotPool, PilotVM,
    pool::Purchase,
    vm::{Offering, OtherZone},
};

use super::{
    done::Done,
    launch::lots_of,
    next::Step,
    observed::Observed,
    orders_tests::{OrdersOnly, Takes},
    outcome_tests::{at, pilot_vm, server},
    step::take,
    write_down::write_down,
};
use crate::{
    api::{Stores, fake::Fake, watch::Objects},
    context::{Context, State},
    known::cloud::Handle,
    life::place,
    names::Key,
};

/// A cloud that has room in one zone, or refuses everything; and the zones of each order.
struct Zones {
    room: Result<&'static str, CloudError>,
    asks_for_all: bool,
    ordered: Mutex<Vec<Vec<String>>>,
}

impl Takes for Zones {
    const LIMITS: Limits = Limits::EC2;

    fn take(&self, order: &Order) -> Result<Vm, CloudError> {
        let zones = order.choices.iter().filter_map(|choice| choice.zone.clone()).collect();
        self.ordered.lock().unwrap().push(zones);
        let zone = self.room.clone()?.to_owned();
        Ok(Vm { bought: Some(Choice { zone: Some(zone), ..order.choices[0].clone() }), ..server(&order.owner.uid) })
    }

    fn asks_for_all(&self) -> bool {
        self.asks_for_all
    }
}

/// A PilotVM for zone a, or else b or c.
fn wished(purchase: Purchase) -> PilotVM {
    let mut vm = pilot_vm("cpu-1", "paris");
    let other = |zone: &str, price: &str| OtherZone { zone: zone.into(), per_hour: price.parse().ok() };
    vm.spec.offering = Offering {
        flavor: "m5.large".into(),
        zone: Some("a".into()),
        purchase,
        per_hour: "0.10".parse().ok(),
        other_zones: vec![other("b", "0.11"), other("c", "0.12")],
        ..Offering::default()
    };
    vm.metadata.resource_version = Some("1".into());
    vm
}

struct World {
    ctx: Context,
    fake: Fake,
    cloud: Arc<Handle>,
    driver: Arc<OrdersOnly<Zones>>,
}

fn world(vm: &PilotVM, room: Result<&'static str, CloudError>, asks_for_all: bool) -> World {
    let mut pool = PilotPool::new(&vm.spec.pool_ref.name, Default::default());
    pool.metadata.namespace = Some("demo".into());
    let stores = Stores { pools: Objects::of([pool]), ..Stores::default() };
    let fake = Fake::default();
    fake.put("pilotvms", vm);
    let ctx = Context::of(fake.client(), State { stores, ..State::default() });
    let driver = Arc::new(OrdersOnly(Zones { room, asks_for_all, ordered: Mutex::default() }));
    let mut offers = Offers::default();
    offers.images.insert("default".into(), Image { id: "image".into(), ..Image::default() });
    let cloud = ctx.state.clouds.get(&Key::of(vm).beside("paris"));
    cloud.update(|facts| {
        facts.driver = Some(driver.clone());
        facts.offers = Some(Arc::new(offers));
    });
    World { ctx, fake, cloud, driver }
}

impl World {
    /// Takes a step and writes down what came of it: the object as it is then.
    async fn takes(&self, vm: &PilotVM, step: Step) -> (PilotVM, Done) {
        let seen = Observed::of(&self.ctx.state, vm, at(5), moment());
        let mut done = take(&self.ctx, &seen, step, None).await.unwrap();
        write_down(&self.ctx, vm, &mut done).await.unwrap();
        let there = self.fake.0.lock().unwrap().objects["pilotvms/cpu-1"].clone();
        (serde_json::from_value(there).unwrap(), done)
    }

    /// The PilotVM's attempt begins, and its order is sent.
    async fn orders(&self, vm: &PilotVM) -> PilotVM {
        let (begun, _) = self.takes(vm, Step::Begin(1)).await;
        self.takes(&begun, order(&begun)).await.0
    }

    fn ordered(&self) -> Vec<Vec<String>> {
        self.driver.0.ordered.lock().unwrap().clone()
    }

    /// Zones of what is refused, one by one.
    fn refused(&self) -> Vec<Reach> {
        self.cloud.learnt().budgets.refusals().map(|closed| closed.what).collect()
    }
}

/// The order of the attempt that is written down.
fn order(vm: &PilotVM) -> Step {
    let since = vm.status.as_ref().and_then(|status| status.attempt.as_ref()).map(|attempt| attempt.since.0);
    Step::Create { n: 1, since: since.unwrap(), repeated: false }
}

fn offers(world: &World, vm: &PilotVM, zones: &[&str]) -> Vec<Reach> {
    let is_one = |lot: &Lot| lot.zone.as_deref().is_some_and(|zone| zones.contains(&zone));
    lots_of(&world.ctx.state, vm).iter().filter(|lot| is_one(lot)).map(Reach::offer).collect()
}

#[tokio::test]
async fn where_the_first_zone_is_full_one_order_buys_in_another_and_all_accounts_say_so() {
    let vm = wished(Purchase::OnDemand);
    let world = world(&vm, Ok("b"), true);
    let made = world.orders(&vm).await;
    assert_eq!(world.ordered(), [["a", "b", "c"]]);
    let bought = made.status.as_ref().unwrap().bought.clone().unwrap();
    assert_eq!((bought.zone.as_deref(), bought.per_hour), (Some("b"), "0.11".parse().ok()));
    assert_eq!(place(&made), (Some("b"), "0.11".parse().ok()));
    assert_eq!(
        world.refused(),
        offers(&world, &made, &["a"]),
        "the zone before it had no room, and no other was asked"
    );
    // What the provider took in b counts in b.
    let budgets = world.cloud.learnt().budgets;
    let open: Vec<(Reach, u64)> =
        budgets.rooms(&Default::default(), at(6)).into_iter().map(|(reach, allowed)| (reach, allowed.most)).collect();
    let [b, c] = ["b", "c"].map(|zone| offers(&world, &made, &[zone])[0].clone());
    assert!(open.contains(&(b, 2)) && open.contains(&(c, 1)), "{open:?}");
}

#[tokio::test]
async fn after_a_crash_the_order_is_the_same_whatever_was_refused_meanwhile() {
    let vm = wished(Purchase::OnDemand);
    let before = world(&vm, Err(CloudError::Unclear { message: "lost".into(), until: at(180) }), true);
    let begun = before.orders(&vm).await;
    let after = world(&begun, Ok("a"), true);
    offers_refused(&after, &begun, "b");
    let since = begun.status.as_ref().unwrap().attempt.as_ref().unwrap().since.0;
    after.takes(&begun, Step::Create { n: 1, since, repeated: true }).await;
    assert_eq!((before.ordered(), after.ordered()), (vec![vec!["a".into(), "b".into(), "c".into()]], before.ordered()));
}

/// The zone was refused to others until it was shut.
fn offers_refused(world: &World, vm: &PilotVM, zone: &str) {
    let lot = lots_of(&world.ctx.state, vm).into_iter().find(|lot| lot.zone.as_deref() == Some(zone)).unwrap();
    world.cloud.refused(&lot, Scope::Offer, at(3), at(4));
    assert_eq!(world.refused(), [Reach::offer(&lot)]);
}

#[tokio::test]
async fn a_zone_that_was_refused_since_the_plan_is_not_named() {
    let vm = wished(Purchase::OnDemand);
    let world = world(&vm, Ok("a"), true);
    offers_refused(&world, &vm, "b");
    let made = world.orders(&vm).await;
    assert_eq!(world.ordered(), [["a", "c"]]);
    assert_eq!(place(&made), (Some("a"), "0.10".parse().ok()));
}

#[tokio::test]
async fn where_a_cloud_takes_one_choice_the_first_is_ordered_and_refused_alone() {
    let vm = wished(Purchase::OnDemand);
    let no_room = CloudError::NoCapacity { message: "full".into(), scope: Scope::Offer };
    let world = world(&vm, Err(no_room), false);
    let ended = world.orders(&vm).await;
    assert_eq!((world.ordered(), world.refused()), (vec![vec!["a".to_owned()]], offers(&world, &ended, &["a"])));
    assert_eq!(lots_of(&world.ctx.state, &ended).len(), 1);
}

#[tokio::test]
async fn what_all_zones_refuse_is_refused_in_each_and_a_quota_once() {
    let vm = wished(Purchase::OnDemand);
    for scope in [Scope::Offer, Scope::Zone] {
        let world = world(&vm, Err(CloudError::NoCapacity { message: "full".into(), scope }), true);
        let ended = world.orders(&vm).await;
        assert_eq!(
            world.refused(),
            offers(&world, &ended, &["a", "b", "c"]),
            "{scope:?}: of which zone it is nobody knows"
        );
    }
    let world = world(&vm, Err(CloudError::Quota { message: "too many".into(), scope: Scope::Cloud }), true);
    world.orders(&vm).await;
    assert_eq!(world.refused(), [Reach::Cloud("paris".into())]);
}

#[tokio::test]
async fn as_spot_a_provider_may_prefer_a_later_zone_and_has_refused_none() {
    let vm = wished(Purchase::Spot);
    let world = world(&vm, Ok("c"), true);
    let made = world.orders(&vm).await;
    assert_eq!((place(&made).0, world.refused()), (Some("c"), vec![]));
}
