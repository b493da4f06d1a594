//! What the providers answer, and what becomes of the VMs that they make.

use crate::{
    dice::Dice,
    scenario::{FullWindow, Limits, Model, Offer, Size},
    time::{HOUR, Ms, SECOND, ms},
};

/// How far a refusal reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// This flavor in this zone.
    Offer,
    /// Every flavor in this zone.
    Zone,
    /// The quota of the flavor's class in the project.
    Quota,
    /// Everything in the cloud.
    Cloud,
}

/// What a provider answers to a creation, as the caller sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It makes the VM, and says so.
    Made,
    /// It makes no VM, and would refuse this too.
    Refused(Scope),
    /// A server error, and no VM.
    Failed,
    /// No answer came. The VM is made, and the caller does not know.
    Lost,
}

impl Answer {
    /// Whether there is a VM.
    pub fn is_made(self) -> bool {
        matches!(self, Self::Made | Self::Lost)
    }
}

/// What becomes of a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The provider cannot build it: it becomes ERROR.
    Error,
    /// It runs, and nothing on it ever asks for work.
    Dead,
    /// Its pilot starts after this time, and first asks for work after the second.
    Boots(Ms, Ms),
}

/// The providers' own books.
pub struct Provider<'a> {
    model: &'a Model,
    dice: Vec<Dice>,
    /// By project and class of quota.
    used: Vec<Vec<Size>>,
    /// By cloud and flavor.
    sold: Vec<Vec<u64>>,
}

impl<'a> Provider<'a> {
    /// Nothing is sold yet.
    pub fn new(model: &'a Model, seed: u64) -> Self {
        Self {
            model,
            dice: model.clouds.iter().map(|c| Dice::new(seed, &format!("cloud {}", c.name))).collect(),
            used: model.projects.iter().map(|p| vec![Size::default(); p.quotas.len()]).collect(),
            sold: model.clouds.iter().map(|c| vec![0; c.flavors.len()]).collect(),
        }
    }

    /// What is left of the quota of each class, of the project of a cloud: what an operator reads.
    pub fn headroom(&self, cloud: usize) -> Vec<Limits> {
        let project = self.model.clouds[cloud].project;
        let left = |(limits, used): (&Limits, &Size)| {
            let parts = used.parts();
            Limits(std::array::from_fn(|i| limits.0[i].map(|limit| limit.saturating_sub(parts[i]))))
        };
        self.model.projects[project].quotas.iter().zip(&self.used[project]).map(left).collect()
    }

    /// What is used of the quotas of a project, by class.
    pub fn used(&self, project: usize) -> &[Size] {
        &self.used[project]
    }

    /// Answers a creation. `room` says what a Downtime leaves, if there is one.
    pub fn create(
        &mut self,
        now: Ms,
        offer: Offer,
        image: &str,
        room: Option<(Limits, Size)>,
    ) -> (Answer, Option<Fate>) {
        let model = self.model;
        let cloud = &model.clouds[offer.cloud];
        let (flavor, behaviour) = (&cloud.flavors[offer.flavor], &cloud.behaviour);
        let dice = &mut self.dice[offer.cloud];
        // Thrown first and always, so that what is refused does not change what becomes of the next.
        let (fails, refuses, loses) =
            (dice.chance(behaviour.transient), dice.chance(behaviour.refused), dice.chance(behaviour.lost_reply));
        if fails {
            return (Answer::Failed, None);
        }
        if room.is_some_and(|(keep, used)| !keep.has_room(used, flavor.size)) {
            return (Answer::Refused(Scope::Cloud), None);
        }
        let quota = &model.projects[cloud.project].quotas[flavor.class];
        if !quota.has_room(self.used[cloud.project][flavor.class], flavor.size) {
            return (Answer::Refused(Scope::Quota), None);
        }
        if flavor.capacity.is_some_and(|capacity| self.sold[offer.cloud][offer.flavor] >= capacity) || refuses {
            return (Answer::Refused(Scope::Offer), None);
        }
        let zone = cloud.zones[offer.zone].as_deref();
        if let Some(window) = behaviour.full.iter().find(|window| covers(window, now, &flavor.name, zone)) {
            let scope = match (&window.flavor, &window.zone) {
                (Some(_), _) => Scope::Offer,
                (None, Some(_)) => Scope::Zone,
                (None, None) => Scope::Cloud,
            };
            return (Answer::Refused(scope), None);
        }
        self.used[cloud.project][flavor.class] += flavor.size;
        self.sold[offer.cloud][offer.flavor] += 1;
        let fate = self.fate(now, offer, image);
        (if loses { Answer::Lost } else { Answer::Made }, Some(fate))
    }

    fn fate(&mut self, now: Ms, offer: Offer, image: &str) -> Fate {
        let model = self.model;
        let (behaviour, dice) = (&model.clouds[offer.cloud].behaviour, &mut self.dice[offer.cloud]);
        let mut boot = behaviour.boot.map_or(60 * SECOND, |boot| dice.draw(&boot));
        let first = dice.draw(&behaviour.first_match);
        let (error, dead, slow) =
            (dice.chance(behaviour.error_state), dice.chance(behaviour.never_boots), dice.chance(behaviour.slow_boot));
        if slow {
            boot *= 5;
        }
        let is_bad = behaviour
            .bad_images
            .iter()
            .any(|bad| bad.image == image && ms(bad.from) <= now && bad.until.is_none_or(|until| now < ms(until)));
        match (error, dead || is_bad) {
            (true, _) => Fate::Error,
            (_, true) => Fate::Dead,
            _ => Fate::Boots(boot, first),
        }
    }

    /// After how long a new Spot VM is taken back, if it is at all.
    pub fn reclaimed_after(&mut self, offer: Offer) -> Option<Ms> {
        let per_hour = self.model.clouds[offer.cloud].behaviour.spot_reclaims_per_hour / 100.0;
        (offer.spot && per_hour > 0.0)
            .then(|| self.dice[offer.cloud].until_next(per_hour))
            .flatten()
            .map(|w| w.min(HOUR * 10_000))
    }

    /// Whether a Spot VM is among those that a storm takes.
    pub fn is_hit(&mut self, offer: Offer, part: f64) -> bool {
        offer.spot && self.dice[offer.cloud].chance(part)
    }

    /// A VM is gone.
    pub fn free(&mut self, offer: Offer) {
        let model = self.model;
        let cloud = &model.clouds[offer.cloud];
        let flavor = &cloud.flavors[offer.flavor];
        self.used[cloud.project][flavor.class] -= flavor.size;
        self.sold[offer.cloud][offer.flavor] -= 1;
    }
}

fn covers(window: &FullWindow, now: Ms, flavor: &str, zone: Option<&str>) -> bool {
    let names = |said: &Option<String>, name: Option<&str>| said.as_deref().is_none_or(|said| Some(said) == name);
    ms(window.from) <= now
        && window.until.is_none_or(|until| now < ms(until))
        && names(&window.flavor, Some(flavor))
        && names(&window.zone, zone)
}
