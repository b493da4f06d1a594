//! What was measured of the VMs and jobs of one installation, and of which VMs it was told already: nothing counts twice.

use std::collections::{BTreeMap, HashMap};

use broker::{
    experience::{Lot, Times, times::JobClass},
    plan,
};
use jiff::{SignedDuration, Timestamp};

/// Jobs of a class that waited so long ago may still run.
const HEARD_FOR: SignedDuration = SignedDuration::from_hours(72);

/// The times of an installation, and what of each VM they hold.
#[derive(Debug, Default)]
pub struct Measures {
    pub times: Times,
    pub heard: Heard,
    pub told: Tellers,
}

/// What of each VM was told, by UID of the PilotVM.
#[derive(Debug, Default)]
pub struct Tellers(HashMap<Box<str>, Told>);

/// The classes of jobs that waited within the last days.
#[derive(Debug, Default)]
pub struct Heard(BTreeMap<JobClass, (plan::JobClass, Timestamp)>);

impl Heard {
    /// Takes over the classes that wait now, by what they are called.
    pub fn hear(&mut self, waiting: &BTreeMap<JobClass, plan::JobClass>, now: Timestamp) {
        for (kind, class) in waiting {
            match self.0.get_mut(kind) {
                Some((_, heard)) => *heard = now,
                None => drop(self.0.insert(kind.clone(), (class.clone(), now))),
            }
        }
        self.0.retain(|_, (_, heard)| now.duration_since(*heard) < HEARD_FOR);
    }

    /// Each with its VO.
    pub fn all(&self) -> impl Iterator<Item = (&str, &plan::JobClass)> {
        self.0.iter().map(|(kind, (class, _))| (&*kind.vo, class))
    }
}

/// What of one VM was told.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    came: bool,
    boot: bool,
    fill: bool,
    power: bool,
    jobs: u64,
}

/// What a round sees of one VM.
#[derive(Clone, Debug)]
pub struct Sight<'a> {
    pub uid: &'a str,
    pub lot: Lot,
    /// Whether its pilot came to work; `None`: that is not known yet, or nobody can say.
    pub came: Option<bool>,
    /// Seconds from the order to the first job; `None`: it had none, or no job waited for it all the time.
    pub boot: Option<u64>,
    /// Its first jobs, and the seconds in which its pilot took those after the first.
    pub fill: Option<(u64, u64)>,
    /// Power of a core, in hundredths of DIRAC's unit.
    pub power: Option<u64>,
    /// The class of its jobs; `None`: it may have had jobs of several.
    pub class: Option<JobClass>,
    /// Of how many of its jobs it was seen how long they ran.
    pub measured: u64,
    /// How long the last of these ran, in seconds, the last one last.
    pub lately: &'a [u64],
}

impl Tellers {
    /// Tells the times what is new of a VM.
    pub fn see(&mut self, vm: &Sight<'_>, times: &mut Times, now: Timestamp) {
        let told = self.0.entry(vm.uid.into()).or_default();
        let lot = &vm.lot;
        if let (Some(came), false) = (vm.came, told.came) {
            told.came = true;
            times.outcome(lot, came, now);
        }
        if let (Some(seconds), false) = (vm.boot, told.boot) {
            told.boot = true;
            times.booted(lot, seconds, now);
        }
        if let (Some((jobs, seconds)), false) = (vm.fill, told.fill) {
            told.fill = true;
            times.filled(lot, jobs, seconds, now);
        }
        if let (Some(power), false) = (vm.power, told.power) {
            told.power = true;
            times.measured_power(lot, power, now);
        }
        let new = vm.measured.saturating_sub(told.jobs);
        told.jobs = vm.measured;
        if let Some(class) = &vm.class {
            let skip = vm.lately.len().saturating_sub(usize::try_from(new).unwrap_or(usize::MAX));
            vm.lately[skip..].iter().for_each(|seconds| times.ran(class, *seconds, now));
        }
    }

    /// Forgets of VMs that are gone what was told.
    pub fn retain(&mut self, is_there: impl Fn(&str) -> bool) {
        self.0.retain(|uid, _| is_there(uid));
    }
}

#[cfg(test)]
mod tests {
    use broker::cloud::Purchase;

    use super::*;

    fn lot() -> Lot {
        Lot { cloud: "c".into(), zone: None, flavor: "c8".into(), purchase: Purchase::OnDemand, image: "el9".into() }
    }
    fn class() -> JobClass {
        JobClass { vo: "biomed".into(), profile: "60 s".into() }
    }
    fn sight(uid: &str) -> Sight<'_> {
        let (came, boot, power) = (Some(true), Some(60), Some(1_000));
        Sight {
            uid,
            lot: lot(),
            came,
            boot,
            fill: Some((7, 70)),
            power,
            class: Some(class()),
            measured: 0,
            lately: &[],
        }
    }

    fn see(measures: &mut Measures, vm: &Sight<'_>) {
        measures.told.see(vm, &mut measures.times, Timestamp::UNIX_EPOCH);
    }

    #[test]
    fn what_three_vms_took_is_known_and_one_vm_counts_once() {
        let mut measures = Measures::default();
        for _ in 0..3 {
            see(&mut measures, &sight("a"));
        }
        let times = &measures.times;
        assert_eq!((times.boot(&lot()), times.power(&lot()), times.fill_milliseconds(&lot())), (None, None, None));
        see(&mut measures, &sight("b"));
        see(&mut measures, &sight("c"));
        let times = &measures.times;
        assert_eq!(times.boot(&lot()).unwrap().median, 60);
        assert_eq!((times.power(&lot()), times.fill_milliseconds(&lot())), (Some(1_000), Some(10_000)));
    }

    #[test]
    fn each_job_counts_once_and_those_of_unknown_class_never() {
        let mut measures = Measures::default();
        let mut after = |class: Option<JobClass>, lately: &[u64], measured: u64| {
            see(&mut measures, &Sight { class, measured, lately, ..sight("a") });
            measures.times.run_time(&self::class()).map(|ran| ran.mean)
        };
        assert_eq!(after(None, &[9; 9], 9), None);
        assert_eq!(after(Some(class()), &[9, 9, 9, 9, 9, 9, 9, 9, 9, 20, 20, 20, 20], 13), None);
        assert_eq!(after(Some(class()), &[20, 20, 20, 20], 13), None, "the same four");
        assert_eq!(after(Some(class()), &[20, 20, 20, 20, 20], 14), Some(20));
    }

    #[test]
    fn a_vm_of_which_nobody_can_say_yet_is_told_when_it_is_known() {
        let mut measures = Measures::default();
        let mut after = |uid: &str, came: Option<bool>| {
            see(&mut measures, &Sight { came, ..sight(uid) });
            measures.times.success(&lot())
        };
        let both = [after("a", None), after("a", Some(false)), after("a", Some(false)), after("b", Some(true))];
        assert_eq!(both, [None; 4], "each is told once");
        assert_eq!(after("c", Some(true)), Some(85));
    }
}
