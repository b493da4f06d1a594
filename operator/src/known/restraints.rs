//! What is tried with one VM at a time, in the words of statuses, and back: so it outlives a restart. Pure.

use std::sync::Arc;

use broker::experience::{
    Circuit, Closed, Lot, Outcome, Reach,
    reclaims::{Offering, Seen},
};
use crds::restraint::{Breaker, CameTo, MOST, Pause, Reclaim, Refusal, RefusalReach, Silent};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::lots::{bought, purchase};
use crate::amounts::small;

/// What a provider refuses.
pub fn refusals(all: impl Iterator<Item = Closed<Reach>>) -> Vec<Refusal> {
    longest(all).into_iter().map(|closed| refusal(&closed)).collect()
}

/// What was taken back lately, that of which most was first, as many as a status has.
pub fn reclaims<'a>(all: impl Iterator<Item = (&'a Offering, Seen)>) -> Vec<Reclaim> {
    let thousandths = |n: f64| (n * 1_000.0).round() / 1_000.0;
    let reclaim = |(of, seen): (&Offering, Seen)| Reclaim {
        flavor: of.flavor.to_string(),
        zone: of.zone.as_deref().map(str::to_owned),
        purchase: bought(of.purchase),
        vms: thousandths(seen.reclaimed),
        hours: thousandths(seen.hours),
        at: whole_second(seen.at),
    };
    let mut all: Vec<Reclaim> = all.map(reclaim).collect();
    all.sort_by(|a, b| b.vms.total_cmp(&a.vms));
    all.truncate(MOST);
    all.sort_by(|a, b| (&a.flavor, &a.zone, a.purchase).cmp(&(&b.flavor, &b.zone, b.purchase)));
    all
}

/// What a status of this cloud says that was taken back.
pub fn taken_back(cloud: &str, all: &[Reclaim]) -> Vec<(Offering, Seen)> {
    let of = |said: &Reclaim| Offering {
        cloud: cloud.into(),
        zone: said.zone.as_deref().map(Arc::from),
        flavor: said.flavor.as_str().into(),
        purchase: purchase(said.purchase),
    };
    all.iter().map(|said| (of(said), Seen { reclaimed: said.vms, hours: said.hours, at: said.at.0 })).collect()
}

/// What was bought and never asked for work.
pub fn silent(all: impl Iterator<Item = Closed<Lot>>) -> Vec<Silent> {
    longest(all).into_iter().map(|closed| in_words(&closed.what, &closed)).collect()
}

/// What VMs of a pool came to.
pub fn breakers(all: impl Iterator<Item = Closed<(Circuit, Outcome)>>) -> Vec<Breaker> {
    let breaker = |closed: Closed<(Circuit, Outcome)>| {
        let (Circuit { lot, vo, profile, .. }, outcome) = &closed.what;
        let came_to = match outcome {
            Outcome::NeverMatched => CameTo::NeverMatched,
            Outcome::JobsDied => CameTo::JobsDied,
            Outcome::NeverAsked => CameTo::NeverAsked,
        };
        let (vo, jobs, cloud) = (vo.to_string(), profile.to_string(), lot.cloud.to_string());
        Breaker { came_to, vo, jobs, cloud, bought: in_words(lot, &closed) }
    };
    longest(all).into_iter().map(breaker).collect()
}

/// The refusals in a status of this cloud. What names no flavor or no quota, although it must, is left out.
pub fn refused(cloud: &str, all: &[Refusal]) -> Vec<Closed<Reach>> {
    let named = |word: &Option<String>| word.as_deref().map(Arc::<str>::from);
    let cloud: Arc<str> = cloud.into();
    let closed = |refusal: &Refusal| {
        let reach = match refusal.reach {
            RefusalReach::Offering => Reach::Offer {
                cloud: cloud.clone(),
                zone: named(&refusal.zone),
                flavor: named(&refusal.flavor)?,
                purchase: purchase(refusal.purchase?),
            },
            RefusalReach::Zone => Reach::Zone(cloud.clone(), named(&refusal.zone)),
            RefusalReach::Quota => Reach::Class(cloud.clone(), named(&refusal.quota)?),
            RefusalReach::Cloud => Reach::Cloud(cloud.clone()),
        };
        Some(closed(reach, &refusal.pause))
    };
    all.iter().filter_map(closed).collect()
}

/// The lots in a status of this cloud that never asked for work.
pub fn never_asked(cloud: &str, all: &[Silent]) -> Vec<Closed<Lot>> {
    all.iter().map(|silent| closed(lot(cloud, silent), &silent.pause)).collect()
}

/// The breakers in a status of this pool.
pub fn opened(pool: &str, all: &[Breaker]) -> Vec<Closed<(Circuit, Outcome)>> {
    let one = |breaker: &Breaker| {
        let outcome = match breaker.came_to {
            CameTo::NeverMatched => Outcome::NeverMatched,
            CameTo::JobsDied => Outcome::JobsDied,
            CameTo::NeverAsked => Outcome::NeverAsked,
        };
        let circuit = Circuit {
            pool: pool.into(),
            lot: lot(&breaker.cloud, &breaker.bought),
            vo: breaker.vo.as_str().into(),
            profile: breaker.jobs.as_str().into(),
        };
        closed((circuit, outcome), &breaker.bought.pause)
    };
    all.iter().map(one).collect()
}

/// Those of which one VM tries last, as many as a status has, in their own order.
fn longest<K: Ord>(all: impl Iterator<Item = Closed<K>>) -> Vec<Closed<K>> {
    let mut all: Vec<Closed<K>> = all.collect();
    all.sort_by(|a, b| b.until.cmp(&a.until).then_with(|| a.what.cmp(&b.what)));
    all.truncate(MOST);
    all.sort_by(|a, b| a.what.cmp(&b.what));
    all
}

fn refusal(closed: &Closed<Reach>) -> Refusal {
    let empty = |reach| Refusal { reach, flavor: None, zone: None, purchase: None, quota: None, pause: pause(closed) };
    let named = |word: &Option<Arc<str>>| word.as_deref().map(str::to_owned);
    match &closed.what {
        Reach::Offer { zone, flavor, purchase, .. } => Refusal {
            flavor: Some(flavor.to_string()),
            zone: named(zone),
            purchase: Some(bought(*purchase)),
            ..empty(RefusalReach::Offering)
        },
        Reach::Zone(_, zone) => Refusal { zone: named(zone), ..empty(RefusalReach::Zone) },
        Reach::Class(_, class) => Refusal { quota: Some(class.to_string()), ..empty(RefusalReach::Quota) },
        Reach::Cloud(_) => empty(RefusalReach::Cloud),
    }
}

fn in_words<K>(lot: &Lot, closed: &Closed<K>) -> Silent {
    Silent {
        flavor: lot.flavor.to_string(),
        zone: lot.zone.as_deref().map(str::to_owned),
        purchase: bought(lot.purchase),
        image: lot.image.to_string(),
        pause: pause(closed),
    }
}

fn lot(cloud: &str, silent: &Silent) -> Lot {
    Lot {
        cloud: cloud.into(),
        zone: silent.zone.as_deref().map(Arc::from),
        flavor: silent.flavor.as_str().into(),
        purchase: purchase(silent.purchase),
        image: silent.image.as_str().into(),
    }
}

fn pause<K>(closed: &Closed<K>) -> Pause {
    Pause {
        since: whole_second(closed.since),
        next_try: whole_second(closed.until),
        in_a_row: closed.in_a_row.into(),
        pauses: closed.pauses.into(),
    }
}

fn closed<K>(what: K, pause: &Pause) -> Closed<K> {
    let Pause { since, next_try, in_a_row, pauses } = pause;
    Closed { what, since: since.0, until: next_try.0, in_a_row: small(*in_a_row), pauses: small(*pauses) }
}

/// Moments in objects have whole seconds.
fn whole_second(at: Timestamp) -> Time {
    Time(Timestamp::from_second(at.as_second()).unwrap_or(at))
}

#[cfg(test)]
mod tests {
    use broker::cloud::Purchase;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }
    fn shut<K>(what: K, until: i64) -> Closed<K> {
        Closed { what, since: at(0), until: at(until), in_a_row: 3, pauses: 2 }
    }
    fn c8(image: &str) -> Lot {
        let (cloud, flavor, image) = ("lyon".into(), "c8".into(), image.into());
        Lot { cloud, zone: Some("nova".into()), flavor, purchase: Purchase::Spot, image }
    }

    #[test]
    fn all_that_is_written_down_is_read_again_as_it_was() {
        let cloud: Arc<str> = "lyon".into();
        let reaches = [
            Reach::offer(&c8("el9")),
            Reach::Zone(cloud.clone(), None),
            Reach::Zone(cloud.clone(), Some("nova".into())),
            Reach::Class(cloud.clone(), "project".into()),
            Reach::Cloud(cloud),
        ];
        let all: Vec<_> = reaches.into_iter().map(|reach| shut(reach, 9)).collect();
        let text = serde_json::to_string(&refusals(all.iter().cloned())).unwrap();
        assert_eq!(refused("lyon", &serde_json::from_str::<Vec<_>>(&text).unwrap()), all);

        let lots = vec![shut(c8("el8"), 9), shut(c8("el9 (7)"), 9)];
        assert_eq!(never_asked("lyon", &silent(lots.iter().cloned())), lots);

        let circuit = Circuit { pool: "cpu".into(), lot: c8("el9"), vo: "biomed".into(), profile: "8 cores".into() };
        for outcome in Outcome::ALL {
            let one = vec![shut((circuit.clone(), outcome), 9)];
            let text = serde_json::to_string(&breakers(one.iter().cloned())).unwrap();
            assert_eq!(opened("cpu", &serde_json::from_str::<Vec<_>>(&text).unwrap()), one);
        }
    }

    #[test]
    fn what_was_taken_back_is_written_down_and_read_again() {
        let of = |n: u64| Offering { flavor: format!("c{n}").into(), ..Offering::of(&c8("el9")) };
        let seen = |n: u64| Seen { reclaimed: n as f64 + 0.5, hours: 12.125, at: at(9) };
        let all: Vec<(Offering, Seen)> = (0..3).map(|n| (of(n), seen(n))).collect();
        let text = serde_json::to_string(&reclaims(all.iter().map(|(of, seen)| (of, *seen)))).unwrap();
        assert_eq!(taken_back("lyon", &serde_json::from_str::<Vec<_>>(&text).unwrap()), all);
        let many: Vec<(Offering, Seen)> = (0..100).map(|n| (of(n), seen(n))).collect();
        let written = reclaims(many.iter().map(|(of, seen)| (of, *seen)));
        assert!(written.len() == MOST && written.iter().all(|reclaim| reclaim.vms > 68.0), "those that matter most");
    }

    #[test]
    fn a_status_has_few_of_them_and_the_same_while_nothing_changes() {
        let all = || (0..500).map(|n| shut(c8(&format!("{n:03}")), n));
        let written = silent(all());
        assert_eq!((written.len(), written[0].image.as_str()), (MOST, "468"));
        assert_eq!(written, silent(all().collect::<Vec<_>>().into_iter().rev()));
    }

    #[test]
    fn what_a_hand_wrote_half_is_left_out() {
        let text = r#"[{"reach": "Offering", "since": "2026-11-24T12:00:00Z", "nextTry": "2026-11-24T12:00:00Z", "inARow": -3, "pauses": 99999999999},
            {"reach": "Quota", "since": "2026-11-24T12:00:00Z", "nextTry": "2026-11-24T12:00:00Z", "inARow": 1, "pauses": 1}]"#;
        assert_eq!(refused("lyon", &serde_json::from_str::<Vec<_>>(text).unwrap()), []);
    }
}
