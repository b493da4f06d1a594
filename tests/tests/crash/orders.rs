//! Orders that are cut off: a crash right before one, and SIGTERM in the middle of a POST to Nova. By Nova's history each PilotVM has one
//! server, whoever ends and whoever takes over.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use testbeds::{
    host::{choice::is_full, until::until},
    systems::{
        openstack::lossy::{Loss, Lossy},
        operator::NAMESPACE as OPERATOR,
    },
};

use super::{
    garbage,
    one::{One, PATIENCE, Seen},
    provider::Provider,
    world::{LOSSY, Track, World},
};

pub const TRACK: Track = Track { name: "orders", vo: "biomed", provider: Provider::Nova(LOSSY), most: 1, works: false };
/// Beside the other, since each order in doubt takes minutes.
pub const DOUBTS: Track =
    Track { name: "doubts", vo: "biomed", provider: Provider::Nova("RegionOne"), most: 1, works: false };
/// Sooner than an order in doubt is given up: the next operator has found the server.
const SOON: Duration = Duration::from_secs(150);
/// An operator that is told to stop ends within this time: the chart's `terminationGracePeriodSeconds`.
const ENDS: Duration = Duration::from_secs(90);

pub async fn an_order_that_is_cut_off_makes_exactly_one_vm(world: &World) {
    let way = &world.way;
    let mut one = One::new(world, TRACK);
    one.at_most(0);

    // The answer comes while the operator ends: it is written down before the Lease is given back.
    let left = told_to_stop_in_a_post(&mut one, way, Loss::Slow(Duration::from_secs(6))).await;
    assert!(left.pilotvms[0].launched && left.machines.len() == 1, "the VM is written down: {left:?}");
    taken_over(&mut one, SOON).await;
    // Nova carries it out after the operator has ended: the next one adopts it.
    let left = told_to_stop_in_a_post(&mut one, way, Loss::Late(Duration::from_secs(20))).await;
    assert!(!left.pilotvms[0].launched && left.machines.is_empty(), "Nova has not heard of it yet: {left:?}");
    taken_over(&mut one, SOON).await;
    assert_eq!(way.delivered_late(), 1);
    if is_full() {
        told_to_stop_in_a_post(&mut one, way, Loss::Reply).await;
        taken_over(&mut one, SOON).await;
        told_to_stop_in_a_post(&mut one, way, Loss::Hang).await;
        taken_over(&mut one, PATIENCE).await;
    }
    one.launch_dies_at("create-vm").await;
    one.rows_are_known();
    garbage::orphans_go_and_all_others_stay(&mut one).await;
}

/// Right after an attempt is written down nobody but its operator knows that it called nobody.
pub async fn an_attempt_of_a_dead_operator_is_looked_for_before_another_is_made(world: &World) {
    let mut one = One::new(world, DOUBTS);
    one.launch_dies_at("register-row").await;
    one.end_dies_at("delete-vm", async |s| s.delete()).await;
    one.rows_are_known();
}

/// SIGTERM while a POST is under way that suffers this loss. Gives what is left when the operator has ended in order.
async fn told_to_stop_in_a_post(one: &mut One<'_>, way: &Lossy, loss: Loss) -> Seen {
    let mut operator = one.operator(None);
    operator.ready().await.unwrap();
    way.lose(&[loss]);
    one.at_most(1);
    let sent = async || if way.left() == 0 { Ok(()) } else { Err("no server was asked for".to_owned()) };
    until(&format!("a POST is under way: {loss:?}"), Duration::from_secs(90), sent).await.unwrap();
    operator.process().signal(Signal::SIGTERM).unwrap();
    let begun = Instant::now();
    let ended = loop {
        if let Some(ended) = operator.process().wait(Duration::ZERO).unwrap() {
            break ended;
        }
        assert!(begun.elapsed() < ENDS, "{loss:?}: SIGTERM did not end it: {}", operator.process().last_words());
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(ended.success(), "{loss:?}: it ended with {ended}: {}", operator.process().last_words());
    let path = "--output=jsonpath={.spec.holderIdentity}";
    let holder = one.world.kubectl.run(&["get", "lease", TRACK.name, "--namespace", OPERATOR, path]).unwrap();
    assert_eq!(holder, "", "{loss:?}: the Lease is given back");
    eprintln!("    {loss:?}: ended in order {:.1} s after SIGTERM", begun.elapsed().as_secs_f64());
    one.look().await
}

/// The next operator finds the order's server, or orders once more when none can come; then everything goes again.
async fn taken_over(one: &mut One<'_>, patience: Duration) {
    let mut next = one.world.operator(&TRACK, None);
    next.ready().await.unwrap();
    let took = one.settles_under(&mut next, "an order that SIGTERM met", Seen::is_one).await;
    assert!(took < patience, "it took {took:?}");
    let uid = one.look().await.pilotvms.remove(0).uid;
    let history = one.world.real.history().unwrap();
    let servers = history.iter().filter(|life| life.reference().unwrap().ends_with(&uid)).count();
    assert_eq!(servers, 1, "servers that the PilotVM ever had");
    eprintln!("    the next operator has one VM and one row after {:.1} s", took.as_secs_f64());
    one.delete();
    one.settles_under(&mut next, "its end", Seen::is_none).await;
    one.world.all_is_well();
    one.world.secrets_are_kept(&[&next]).await;
    next.process().kill();
}
