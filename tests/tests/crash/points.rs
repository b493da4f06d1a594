//! The operator dies between any two outside calls of a launch and of a deletion, and at any moment of them.

use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use testbeds::host::choice::is_full;

use super::{
    one::{One, PATIENCE, Pilot, Seen, say},
    provider::Provider,
    world::{Track, World},
};

pub const TRACK: Track =
    Track { name: "points", vo: "biomed", provider: Provider::Nova("RegionOne"), most: 1, works: false };
pub const AMAZON: Track = Track { name: "amazon", vo: "biomed", provider: Provider::Ec2, most: 1, works: false };
const SEED: u64 = 20_261_124;
/// EC2 may know nothing for so long of what it just made. It is longer than an operator takes to come again and to order again.
const LATE: Duration = Duration::from_secs(20);

/// All points but `register-row` and `create-vm`, after which an order is looked for during minutes: those are in `orders.rs`.
pub async fn killed_between_any_two_calls_it_ends_with_exactly_one_vm_and_row_or_none(world: &World) {
    let mut one = One::new(world, TRACK);
    let launches = ["create-pilotvm", "record-attempt", "row-waiting", "record-vm"];
    let ends = ["record-end", "delete-vm", "close-row", "remove-finalizer"];
    launches_and_ends_die(&mut one, &launches, &ends).await;
    an_end_by_itself_dies(&mut one).await;
    a_life_survives_its_points_and_ends_at_the_provider(&mut one).await;
    killed_at_any_moment(&mut one, if is_full() { 10 } else { 3 }).await;
    one.ends_well().await;
}

/// On EC2 an order in doubt is sent again at once, for its token makes that harmless; only where the pilot has no row yet (`register-row`)
/// it is looked for during minutes. The short form has the points that EC2 makes different: around the order, whose instance is known by
/// its token and later by its tags, and around the end, after which an instance is told of for an hour.
pub async fn on_ec2_it_ends_with_exactly_one_instance_or_none(world: &World) {
    let mut one = One::new(world, AMAZON);
    let ec2 = world.real.ec2().unwrap();
    ec2.late(LATE).await.unwrap();
    launches_and_ends_die(&mut one, &["create-vm", "record-vm"], &["delete-vm", "close-row"]).await;
    ec2.late(Duration::ZERO).await.unwrap();
    one.launch_dies_at("record-vm").await;
    one.end_dies_at("remove-finalizer", async |s| s.delete()).await;
    an_end_by_itself_dies(&mut one).await;
    if is_full() {
        let launches = ["create-pilotvm", "register-row", "record-attempt", "row-waiting"];
        let ends = ["record-end", "delete-vm", "close-row", "remove-finalizer"];
        launches_and_ends_die(&mut one, &launches, &ends).await;
        a_life_survives_its_points_and_ends_at_the_provider(&mut one).await;
        killed_at_any_moment(&mut one, 10).await;
    }
    one.ends_well().await;
}

async fn launches_and_ends_die(one: &mut One<'_>, launches: &[&str], ends: &[&str]) {
    for (launch, end) in launches.iter().zip(ends) {
        one.launch_dies_at(launch).await;
        one.end_dies_at(end, async |s| s.delete()).await;
    }
}

/// The guest powers itself off.
async fn an_end_by_itself_dies(one: &mut One<'_>) {
    one.at_most(1);
    one.settles("a launch", Seen::is_one).await;
    one.end_dies_at("keep-console", async |s| s.halt(true)).await;
}

async fn a_life_survives_its_points_and_ends_at_the_provider(one: &mut One<'_>) {
    one.at_most(1);
    one.settles("a launch", Seen::is_one).await;
    let Pilot { name, uid, .. } = one.look().await.pilotvms.remove(0);
    let bare = r#"{"metadata": {"finalizers": null}}"#;
    let words = ["patch", "pilotvm", &name, "--namespace", one.track.name, "--type=merge", "--patch", bare];
    one.world.kubectl.run(&words).unwrap();
    one.life_dies_at("finalizer", async |_| ()).await;
    // As the Matcher does at the pilot's first request.
    let asks = format!("update PilotAgentsDB.PilotAgents set Status = 'Running' where PilotJobReference like '%{uid}'");
    one.world.real.dirac.sql(&asks).unwrap();
    one.life_dies_at("record-running", async |_| ()).await;
    assert_eq!(one.look().await.pilotvms[0].name, name, "it is the same VM all the time");
    let machine = one.look().await.machines.remove(0).id;
    one.end_dies_at("delete-pilotvm", async |s| s.track.provider.delete(&s.world.real, &machine).await).await;
}

/// Where no crash point stands: in the middle of a call, above all in that which makes the machine.
async fn killed_at_any_moment(one: &mut One<'_>, times: usize) {
    let mut random = StdRng::seed_from_u64(SEED);
    let mut pause = |most: u64| Duration::from_millis(random.random_range(0..most));
    for _ in 0..times {
        one.at_most(1);
        let after = pause(600);
        let left = launch_killed_after(one, after).await;
        let took = one.settles("a launch killed somewhere", Seen::is_one).await;
        say(&format!("row + {} ms", after.as_millis()), &left, "one VM, one row", took);
        one.delete();
        let after = pause(1_200);
        let left = end_killed_after(one, after).await;
        let took = one.settles("an end killed somewhere", Seen::is_none).await;
        say(&format!("ready + {} ms", after.as_millis()), &left, "no VM, no open row", took);
    }
}

/// Kills an operator this long after the pilot's row is there: the machine is made in that time.
async fn launch_killed_after(one: &mut One<'_>, pause: Duration) -> Seen {
    let mut operator = one.operator(None);
    let begun = Instant::now();
    while one.open_rows().is_empty() {
        assert!(begun.elapsed() < PATIENCE, "no row was registered: {}", operator.process().last_words());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(pause).await;
    operator.process().kill();
    one.look().await
}

/// Kills an operator this long after it is ready.
async fn end_killed_after(one: &mut One<'_>, pause: Duration) -> Seen {
    let mut operator = one.operator(None);
    operator.ready().await.unwrap();
    tokio::time::sleep(pause).await;
    operator.process().kill();
    one.look().await
}
