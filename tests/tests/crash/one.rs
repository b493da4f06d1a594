//! A track of one VM: what is there of it in Kubernetes, at its cloud and in DIRAC, and operators that die and that live.

use std::{
    collections::BTreeSet,
    os::unix::process::ExitStatusExt,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use serde_json::Value;
use testbeds::{
    real::{Life, ROW_IS_OPEN, peak, twins},
    systems::operator::Operator,
};

use super::{
    provider::Machine,
    world::{Track, World},
};

/// An order that was cut off is only looked for during three minutes: Nova may still carry it out (`broker/src/cloud/openstack/create.rs`).
pub const PATIENCE: Duration = Duration::from_secs(420);
/// For this time must the world look as it should, under an operator that is ready, before it counts as settled.
const CALM: Duration = Duration::from_millis(2_500);

/// What is there, in the three places.
#[derive(Debug)]
pub struct Seen {
    pub pilotvms: Vec<Pilot>,
    /// Machines with the tags of a PilotVM of the track.
    pub machines: Vec<Machine>,
    /// Reference and status of the rows that are not closed.
    pub open: Vec<(String, String)>,
}

/// A PilotVM.
#[derive(Debug)]
pub struct Pilot {
    pub name: String,
    pub uid: String,
    /// Whether its finalizer is on.
    held: bool,
    /// Whether its VM is written down.
    pub launched: bool,
    /// Whether its pilot's first request is.
    running: bool,
}

impl Seen {
    /// One PilotVM, its one machine, and its one row, which knows of the VM.
    pub fn is_one(&self) -> bool {
        let [vm] = &self.pilotvms[..] else { return false };
        let [machine] = &self.machines[..] else { return false };
        let [(row, status)] = &self.open[..] else { return false };
        let written = vm.held && vm.launched && vm.running == (status == "Running");
        let made = machine.uid == vm.uid && machine.runs;
        written && made && row.ends_with(&vm.uid) && (status == "Waiting" || status == "Running")
    }

    pub fn is_none(&self) -> bool {
        self.pilotvms.is_empty() && self.machines.is_empty() && self.open.is_empty()
    }

    fn short(&self) -> String {
        format!("{} PilotVM, {} machine, {} open row", self.pilotvms.len(), self.machines.len(), self.open.len())
    }
}

/// A track whose pool has at most one VM.
pub struct One<'a> {
    pub world: &'a World,
    pub track: Track,
    /// UIDs of the PilotVMs that were seen.
    ever: BTreeSet<String>,
}

impl<'a> One<'a> {
    pub fn new(world: &'a World, track: Track) -> Self {
        Self { world, track, ever: BTreeSet::new() }
    }

    fn rows(&self, more: &str) -> Vec<(String, String)> {
        let rows = format!(
            "select PilotJobReference, Status from PilotAgentsDB.PilotAgents where DestinationSite = '{}' {more}",
            self.track.ce()
        );
        let rows = self.world.real.dirac.sql(&rows).unwrap();
        rows.lines().filter_map(|l| l.split_once('\t')).map(|(r, s)| (r.to_owned(), s.to_owned())).collect()
    }

    pub fn open_rows(&self) -> Vec<(String, String)> {
        self.rows(&format!("and {ROW_IS_OPEN}"))
    }

    pub async fn look(&mut self) -> Seen {
        let word = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let pilot = |vm: &Value| Pilot {
            name: word(&vm["metadata"]["name"]),
            uid: word(&vm["metadata"]["uid"]),
            held: vm["metadata"]["finalizers"]
                .as_array()
                .is_some_and(|all| all.iter().any(|f| f == "diracgrid.org/vm")),
            launched: vm["status"]["launchedAt"].is_string(),
            running: vm["status"]["runningSince"].is_string(),
        };
        let pilotvms: Vec<_> = self.world.pilotvms(&self.track).iter().map(pilot).collect();
        self.ever.extend(pilotvms.iter().map(|vm| vm.uid.clone()));
        Seen { pilotvms, machines: self.world.machines(&self.track).await, open: self.open_rows() }
    }

    /// An operator that leads as soon as it may: the one before is dead, and its Lease is taken away.
    pub fn operator(&self, crash_at: Option<&str>) -> Operator {
        self.world.bury(&self.track);
        self.world.operator(&self.track, crash_at)
    }

    /// Starts an operator that dies at `point`, lets `act` happen, and waits until it has died there.
    async fn dies_at(&mut self, point: &str, act: impl AsyncFnOnce(&Self)) -> Seen {
        let mut operator = self.operator(Some(point));
        act(self).await;
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = operator.process().wait(Duration::ZERO).unwrap() {
                break status;
            }
            assert!(begun.elapsed() < PATIENCE, "the operator did not die at {point}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        assert_eq!(status.signal(), Some(Signal::SIGABRT as i32), "{point}: {}", operator.process().last_words());
        self.look().await
    }

    /// An operator that lives: until the world has been as it should for a while. It is then killed.
    pub async fn settles(&mut self, what: &str, as_it_should: impl Fn(&Seen) -> bool) -> Duration {
        let mut operator = self.operator(None);
        operator.ready().await.unwrap();
        let took = self.settles_under(&mut operator, what, as_it_should).await;
        self.world.all_is_well();
        // What the next point begins with is no orderly end either.
        operator.process().kill();
        took
    }

    /// Waits until the world has been as it should for a while under this operator; the time that it took.
    pub async fn settles_under(
        &mut self,
        operator: &mut Operator,
        what: &str,
        as_it_should: impl Fn(&Seen) -> bool,
    ) -> Duration {
        let begun = Instant::now();
        let mut since = None;
        while since.is_none_or(|since| begun.elapsed() < since + CALM) {
            let seen = self.look().await;
            since = as_it_should(&seen).then(|| since.unwrap_or(begun.elapsed()));
            if begun.elapsed() > PATIENCE {
                panic!(
                    "{what}: not settled; there is {seen:?}; the operator says\n{}",
                    operator.process().last_words()
                );
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        since.unwrap_or_default()
    }

    pub fn at_most(&self, vms: usize) {
        self.world.at_most(&self.track, vms);
    }

    pub fn halt(&self, on: bool) {
        self.world.halt(&self.track, on);
    }

    /// Deletes the one PilotVM, as a person does, and wants no other.
    pub fn delete(&self) {
        self.at_most(0);
        let words = ["delete", "pilotvms", "--all", "--wait=false", "--namespace", self.track.name];
        self.world.kubectl.run(&words).unwrap();
    }

    pub async fn launch_dies_at(&mut self, point: &str) {
        self.at_most(1);
        let left = self.dies_at(point, async |_| ()).await;
        let took = self.settles(&format!("a launch that died before {point}"), Seen::is_one).await;
        say(point, &left, "one VM, one row", took);
    }

    pub async fn life_dies_at(&mut self, point: &str, act: impl AsyncFnOnce(&Self)) {
        let left = self.dies_at(point, act).await;
        let took = self.settles(&format!("a life that died before {point}"), Seen::is_one).await;
        say(point, &left, "one VM, one row", took);
    }

    pub async fn end_dies_at(&mut self, point: &str, act: impl AsyncFnOnce(&Self)) {
        let left = self.dies_at(point, act).await;
        // The job still waits, and would be given another VM.
        self.at_most(0);
        let took = self.settles(&format!("an end that died before {point}"), Seen::is_none).await;
        self.halt(false);
        say(point, &left, "no VM, no open row", took);
    }

    /// Whether this is the reference of a PilotVM of this track.
    pub fn knows(&self, reference: &str) -> bool {
        self.ever.iter().any(|uid| reference.ends_with(uid.as_str()))
    }

    /// By the cloud's own history no PilotVM had two machines, there was never more than one, and none is left; every row was of a
    /// PilotVM that was seen.
    pub async fn ends_well(&mut self) {
        self.rows_are_known();
        let mut history = self.world.real.lives().await.unwrap();
        history.retain(|life| life.reference().is_ok_and(|pilot| self.knows(pilot)));
        let twins = twins(&history).unwrap();
        assert!(twins.is_empty(), "PilotVMs that had two machines: {:?}", twins.keys());
        let times: Vec<_> = history.iter().map(|life| (life.began, life.ended)).collect();
        assert!(peak(&history) <= self.track.most, "more than {} at one time: {times:?}", self.track.most);
        let left: Vec<&Life> = history.iter().filter(|life| life.ended.is_none()).collect();
        assert!(left.is_empty(), "machines that live when all is over: {left:?}");
    }

    /// Every row had its PilotVM, which was seen.
    pub fn rows_are_known(&self) {
        let all = self.rows("");
        let strange: Vec<_> = all.iter().filter(|(row, _)| !self.knows(row)).collect();
        assert!(strange.is_empty(), "rows that are of no PilotVM that was seen: {strange:?}");
    }
}

pub fn say(point: &str, left: &Seen, end: &str, took: Duration) {
    eprintln!("    {point:<24} left {:<40} then {end} after {:.1} s", left.short(), took.as_secs_f64());
}
