use broker::plan::plan;
use serde_json::{Value, json};

use super::*;
use crate::{
    api::{
        Stores,
        fake::{Fake, Fault},
        watch::Objects,
    },
    context::State,
    round::{
        own_writes_are_back,
        snapshot::{
            snapshot,
            tests::{queue, world},
        },
    },
};

/// A world with room for ten VMs in its one pool, and none yet.
fn empty() -> World {
    world(|w| w["vms"] = json!([]))
}
fn ctx(fake: &Fake) -> Context {
    Context::of(fake.client(), State::default())
}
/// Plans for so many jobs of one whole VM each, and applies.
async fn round(ctx: &Context, world: &World, vms: u64) -> Vec<Unmade> {
    let plan = plan(&snapshot(world, vec![queue(vms * 8)]));
    assert_eq!(plan.launches.len() as u64, vms);
    apply(ctx, world, None, &plan, decide(&ctx.state, world, &plan)).await.unmade
}

#[tokio::test]
async fn vms_are_made_with_finalizer_labels_and_no_owner() {
    let fake = Fake::default();
    let failed = round(&ctx(&fake), &empty(), 3).await;
    assert_eq!((failed.len(), fake.names("pilotvms")), (0, vec!["cpu-1".into(), "cpu-2".into(), "cpu-3".into()]));
    let made: PilotVM = serde_json::from_value(fake.0.lock().unwrap().objects["pilotvms/cpu-1"].clone()).unwrap();
    assert_eq!(made.finalizers(), ["diracgrid.org/vm"]);
    assert_eq!((made.labels().len(), made.owner_references().len()), (4, 0));
}

#[tokio::test]
async fn after_a_lost_reply_the_very_name_is_asked_for_and_no_other_is_taken() {
    let fake = Fake::default();
    fake.0.lock().unwrap().faults = vec![Fault::ReplyLost];
    let ctx = ctx(&fake);
    let failed = round(&ctx, &empty(), 3).await;
    assert!(failed.len() == 3 && failed.iter().all(|vm| vm.message.contains("not clear")), "{failed:?}");
    assert_eq!(fake.asked("POST"), ["POST pilotvms/cpu-1"], "nothing more is made in this round");
    let key = empty().installation;
    // The GET finds it: it is expected, and the store does not show it.
    tokio::time::pause();
    assert!(!own_writes_are_back(&ctx, &key).await);
    assert!(fake.asked("GET").contains(&"GET pilotvms/cpu-1".to_owned()));
    assert!(ctx.state.expectations.in_doubt(&key).is_empty());
    assert_eq!(ctx.state.expectations.outstanding(&key).len(), 1);
    let shown: PilotVM = serde_json::from_value(fake.0.lock().unwrap().objects["pilotvms/cpu-1"].clone()).unwrap();
    ctx.state.expectations.seen(&shown);
    ctx.state.numbers.saw(&key.beside("cpu"), "cpu-1");
    assert!(own_writes_are_back(&ctx, &key).await);
}

#[tokio::test]
async fn a_name_that_was_not_made_is_taken_again_before_any_other() {
    let fake = Fake::default();
    fake.0.lock().unwrap().faults = vec![Fault::Lost];
    let ctx = ctx(&fake);
    round(&ctx, &empty(), 2).await;
    assert!(own_writes_are_back(&ctx, &empty().installation).await);
    round(&ctx, &empty(), 2).await;
    assert_eq!(fake.asked("POST"), ["POST pilotvms/cpu-1", "POST pilotvms/cpu-1", "POST pilotvms/cpu-2"]);
    assert_eq!(fake.names("pilotvms"), ["cpu-1", "cpu-2"]);
}

#[tokio::test]
async fn while_nobody_says_whether_it_was_made_no_round_plans() {
    let fake = Fake::default();
    let ctx = ctx(&fake);
    let key = empty().installation;
    ctx.state.expectations.doubt(&key, key.beside("cpu-1"));
    fake.put("pilotvms", &json!({"metadata": {"name": "cpu-1", "labels": "garbage"}}));
    assert!(!own_writes_are_back(&ctx, &key).await);
    assert_eq!(ctx.state.expectations.in_doubt(&key).len(), 1);
}

#[tokio::test]
async fn a_leader_with_a_late_store_waits_for_what_the_last_one_made() {
    let (fake, old) = (Fake::default(), Fake::default());
    round(&ctx(&old), &empty(), 5).await;
    for name in ["cpu-1", "cpu-2", "cpu-3", "cpu-4", "cpu-5"] {
        let made = old.0.lock().unwrap().objects[&format!("pilotvms/{name}")].clone();
        fake.put("pilotvms", &made);
    }
    let ctx = ctx(&fake);
    round(&ctx, &empty(), 10).await;
    assert_eq!(fake.names("pilotvms").len(), 5, "no other name is taken");
    assert_eq!(fake.asked("POST"), ["POST pilotvms/cpu-1"]);
    tokio::time::pause();
    assert!(!own_writes_are_back(&ctx, &empty().installation).await, "the store does not show it yet");
}

#[tokio::test]
async fn what_the_api_server_refuses_is_said_and_its_name_is_free() {
    let fake = Fake::default();
    fake.0.lock().unwrap().faults = vec![Fault::Refused];
    let ctx = ctx(&fake);
    let failed = round(&ctx, &empty(), 2).await;
    assert!(failed.len() == 1 && failed[0].message.contains("could not be made"), "{failed:?}");
    assert_eq!((failed[0].reason, failed[0].jobs), (Reason::PilotVMsNotMade, 8));
    assert_eq!(fake.names("pilotvms"), ["cpu-2"]);
    assert_eq!(ctx.state.numbers.take(&empty().installation.beside("cpu")), "cpu-1");
}

#[tokio::test]
async fn no_vm_is_made_for_a_pool_without_its_finalizer() {
    let fake = Fake::default();
    let bare = world(|w| {
        w["vms"] = json!([]);
        w["pools"][0]["metadata"]["finalizers"] = Value::Null;
    });
    let failed = round(&ctx(&fake), &bare, 2).await;
    assert!(failed.len() == 2 && failed[0].message.contains("finalizer"), "{failed:?}");
    assert!(fake.asked("POST").is_empty());
}

#[tokio::test]
async fn what_is_given_back_goes_before_anything_is_made() {
    let fake = Fake::default();
    let both = world(|_| ());
    fake.put("pilotvms", both.vms[0].as_ref());
    let mut plan = plan(&snapshot(&both, vec![queue(80)]));
    plan.surplus = vec![Surplus { vm: "cpu-1".into(), reason: "too many".into() }];
    let dirac = broker::simulation::SimulatedDirac::new(1, vec![], broker::clock::Clock::driven(|| world(|_| ()).now));
    let state = State {
        stores: Stores { vms: Objects::of([(*both.vms[0]).clone()]), ..Stores::default() },
        ..State::default()
    };
    let ctx = Context::of(fake.client(), state);
    ctx.state.numbers.saw(&both.installation.beside("cpu"), "cpu-1");
    apply(&ctx, &both, Some(&dirac), &plan, decide(&ctx.state, &both, &plan)).await;
    let asked = fake.0.lock().unwrap().asked.clone();
    assert_eq!((asked[0].as_str(), asked[1].as_str()), ("DELETE pilotvms/cpu-1", "POST pilotvms/cpu-2"));
}

/// Each of two installations has jobs for all that the cloud's ceiling leaves, and both plan before a PilotVM of the other is in the store.
#[tokio::test]
async fn two_installations_that_plan_at_the_same_moment_pass_no_ceiling_together() {
    let other = Key { name: "other".into(), ..empty().installation };
    let fake = Fake::default();
    let ctx = ctx(&fake);
    let bought = |key: &Key| {
        let mut world = world(|w| {
            w["vms"] = json!([]);
            w["clouds"][0]["object"]["spec"]["ceiling"] = json!({"vms": 3});
            for kind in ["vos", "sites"] {
                w[kind][0]["spec"]["installationRef"]["name"] = json!(key.name);
            }
            w["installations"][0]["metadata"]["name"] = json!(key.name);
        });
        world.installation = key.clone();
        world.vms = super::super::world::vms(&ctx.state, key);
        let plan = plan(&snapshot(&world, vec![queue(8 * 8)]));
        (decide(&ctx.state, &world, &plan), world, plan)
    };
    let (orders, world, plan) = bought(&empty().installation);
    assert_eq!(orders.orders.len(), 3);
    assert_eq!(bought(&other).1.vms.len(), 3);
    assert_eq!(bought(&other).0.orders.len(), 0, "the first is about to make three");
    fake.0.lock().unwrap().faults = vec![Fault::Refused];
    apply(&ctx, &world, None, &plan, orders).await;
    assert_eq!(bought(&other).0.orders.len(), 1, "one was refused");
}
