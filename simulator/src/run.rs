//! One run: a scenario, a seed and a policy, from the beginning to the end.

use crate::{
    policy::{Hands, Policy, Seen},
    report::{Figures, Sample, figures},
    scenario::Loaded,
    time::{Ms, ms},
    world::{Event, JobState, Stage, VmId, World},
};

/// This many moments are kept for the plots.
const SAMPLES: u64 = 240;

/// Runs a scenario to its end.
pub fn run(loaded: &Loaded, seed: u64, policy: &mut dyn Policy) -> Figures {
    let mut world = World::new(loaded, seed, policy.manners());
    let end = ms(loaded.words.lasts);
    let mut samples = Vec::new();
    world.heap.set(0, Event::Sample);
    world.heap.set(0, Event::Poll);
    while let Some(event) = world.heap.next(end) {
        match event {
            Event::Poll => poll(&mut world, policy),
            Event::Create(vm) => create(&mut world, policy, vm),
            Event::Sample => {
                samples.push(sample(&mut world));
                world.heap.after((end / SAMPLES).max(1), Event::Sample);
            }
            other => step(&mut world, other),
        }
    }
    figures(world, policy.name(), seed, end, samples)
}

/// What happens without the policy.
pub(crate) fn step(world: &mut World<'_>, event: Event) {
    match event {
        Event::Arrive(stream) => world.arrive(stream),
        Event::Enqueue(job) => world.enqueue(job),
        Event::QueueWasEmpty(queue) => world.queues.remove_if_empty(queue),
        Event::JobEnds(job, attempt) => world.job_ends(job, attempt),
        Event::LostIsFound(job) => world.lost_is_found(job),
        Event::Delete(vm) => {
            world.count("delete", 1);
            world.vanish(vm);
        }
        Event::Built(vm) => world.built(vm),
        Event::FirstAsk(vm) => world.first_ask(vm),
        Event::Cycle(vm) => world.cycle(vm),
        Event::Hang(vm) => world.hang(vm),
        Event::IdleCheck(vm, since) => world.idle_check(vm, since),
        Event::PilotEnds(vm) => world.pilot_ends(vm),
        Event::Stops(vm) => world.stops(vm),
        Event::Reclaimed(vm) => world.vanish(vm),
        Event::Storm(cloud, storm) => world.storm(cloud, storm),
        Event::Closes(number) => world.closes(number),
        Event::Poll | Event::Sample | Event::Create(_) => {}
    }
}

fn poll(world: &mut World<'_>, policy: &mut dyn Policy) {
    let lag = world.loaded.model.clouds.iter().map(|c| ms(c.behaviour.list_lag)).max().unwrap_or(0);
    world.forget(lag);
    let mut hands = Hands::new(world.vms.len() as VmId);
    policy.decide(&Seen::new(world), &mut hands);
    // What is given back goes first, so that no limit is passed.
    hands.deletions.into_iter().for_each(|vm| world.order_deletion(vm));
    hands.orders.into_iter().for_each(|order| world.order(order));
    hands.calls.into_iter().for_each(|(kind, calls)| world.count(kind, calls));
    world.heap.after(policy.period(), Event::Poll);
}

fn create(world: &mut World<'_>, policy: &mut dyn Policy, vm: VmId) {
    let (now, order) = (world.heap.now(), world.vms[vm as usize].order);
    if world.vms[vm as usize].is_deleting || !policy.may_launch(now, &order) {
        world.drop_order(vm);
        return;
    }
    let answer = world.create(vm);
    policy.told(now, vm, &order, answer);
}

fn sample(world: &mut World<'_>) -> Sample {
    let now: Ms = world.heap.now();
    world.books.remember(now);
    let waiting = world.queues.all().map(|queue| queue.len() as u64).sum();
    let booting = world.live.iter().filter(|vm| {
        let of = &world.vms[**vm as usize];
        of.exists() && of.pilot.is_none() && of.stage != Stage::Stopped
    });
    Sample {
        at: now,
        waiting,
        vms: world.books.vms(),
        booting: booting.count() as u64,
        cores: world.books.cores,
        busy: world.books.busy,
        vos: world.books.by_vo(),
    }
}

/// Every job is in exactly one place: what the queues and the pilots hold is what the jobs themselves say. Gives how many are waiting,
/// running, done, failed and lost, or what does not agree.
pub fn conserved(world: &World<'_>) -> Result<[u64; 5], String> {
    let mut counts = [0; 5];
    let mut held = vec![0_u8; world.jobs.len()];
    for vm in &world.vms {
        for job in vm.pilot.iter().flat_map(|pilot| &pilot.running) {
            held[*job as usize] += 1;
        }
    }
    for (number, job) in world.jobs.iter().enumerate() {
        let is_running = job.state == JobState::Running;
        if held[number] != u8::from(is_running) {
            return Err(format!("job {number} is {:?} and on {} VMs", job.state, held[number]));
        }
        counts[match job.state {
            JobState::Waiting => 0,
            JobState::Running => 1,
            JobState::Done => 2,
            JobState::Failed => 3,
            JobState::Lost => 4,
        }] += 1;
    }
    let queued: u64 = world.queues.all().map(|queue| queue.len() as u64).sum();
    if queued > counts[0] {
        return Err(format!("{queued} jobs are in queues, and {} say that they wait", counts[0]));
    }
    let booked: u64 = world.books.served.iter().map(|s| s.done + s.failed + s.lost).sum();
    if booked != counts[2] + counts[3] + counts[4] {
        return Err(format!("the books say that {booked} jobs ended, and {:?} are", &counts[2..]));
    }
    Ok(counts)
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
