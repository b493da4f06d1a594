use broker::cloud::Purchase;

use super::*;

const CLASS: Option<&str> = Some("project");

fn place(flavor: &str) -> Place {
    Place::on_demand(flavor, None)
}
fn lot(image: &str) -> Lot {
    Lot { pool: "cpu".into(), image: image.into(), place: place("c8") }
}
fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}
/// What was refused at once `now`.
fn refused(scope: Scope, now: Instant) -> Exhausted {
    let mut e = Exhausted::default();
    e.refused(scope, &place("c8"), CLASS, now);
    e
}

#[test]
fn a_lone_refusal_pauses_an_offer_for_ten_seconds() {
    let now = Instant::now();
    let mut e = refused(Scope::Offer, now);
    assert!(!e.may_try(&place("c8"), CLASS, now + seconds(9)));
    assert!(e.may_try(&place("c8"), CLASS, now + seconds(10)));
    e.granted(&place("c8"), CLASS, now + seconds(10));
    assert!(e.may_try(&place("c8"), CLASS, now + seconds(10)) && e.refused.is_empty());
}

#[test]
fn what_worked_is_remembered_until_too_many_come_to_nothing() {
    let (now, mut e) = (Instant::now(), Exhausted::default());
    e.worked(&lot("a"));
    e.failed(&lot("a"), now);
    e.worked(&lot("a"));
    assert_eq!(e.worked_lots(), [(lot("a"), 2)]);
    for _ in 0..5 {
        e.failed(&lot("a"), now);
    }
    assert_eq!(e.worked_lots(), []);
}

#[test]
fn each_scope_spares_what_it_does_not_reach() {
    let (now, zone) = (Instant::now(), |zone| Place::on_demand("c8", Some(zone)));
    let open = |scope, place: &Place, class| refused(scope, now).may_try(place, Some(class), now);
    assert!(open(Scope::Offer, &place("c16"), "project") && open(Scope::Offer, &zone("a"), "project"));
    assert!(!open(Scope::Zone, &place("c16"), "project") && open(Scope::Zone, &zone("a"), "project"));
    assert!(!open(Scope::Class, &zone("a"), "project") && open(Scope::Class, &place("c8"), "gpu"));
    assert!(!open(Scope::Cloud, &zone("a"), "gpu"));
    let spot = Place { purchase: Purchase::Spot, ..place("c8") };
    assert!(open(Scope::Offer, &spot, "project"));
}

#[test]
fn a_refusal_of_the_whole_cloud_is_one_pause_and_not_one_for_each_flavor() {
    let now = Instant::now();
    let mut e = refused(Scope::Cloud, now);
    for flavor in ["c1", "c2", "c4"] {
        e.refused(Scope::Cloud, &place(flavor), CLASS, now + seconds(1));
    }
    assert_eq!(e.refused.len(), 1);
    assert!(e.may_try(&place("c1"), CLASS, now + seconds(10)));
    assert!(!e.may_try(&place("c2"), CLASS, now + seconds(10)), "one VM tries for the cloud");
}

#[test]
fn after_a_pause_one_vm_tries_and_the_others_wait_for_what_comes_of_it() {
    let now = Instant::now();
    let mut e = refused(Scope::Offer, now);
    assert!(e.may_try(&place("c8"), CLASS, now + seconds(10)));
    assert!(!e.may_try(&place("c8"), CLASS, now + seconds(11)));
    e.refused(Scope::Offer, &place("c8"), CLASS, now + seconds(12));
    assert!(!e.may_try(&place("c8"), CLASS, now + seconds(31)), "the second pause is of twenty seconds");
    assert!(e.may_try(&place("c8"), CLASS, now + seconds(32)));
}

#[test]
fn a_trial_of_which_nothing_is_heard_does_not_close_an_offer_for_ever() {
    let now = Instant::now();
    let mut e = refused(Scope::Offer, now);
    assert!(e.may_try(&place("c8"), CLASS, now + seconds(10)));
    assert!(e.may_try(&place("c8"), CLASS, now + seconds(10) + TRIAL));
}

#[test]
fn a_full_cloud_is_asked_at_most_twenty_times_an_hour_whatever_is_wanted() {
    let now = Instant::now();
    let (mut e, mut calls) = (Exhausted::default(), 0);
    for second in 0..3600 {
        let now = now + seconds(second);
        for _ in 0..500 {
            if e.may_try(&place("c8"), CLASS, now) {
                calls += 1;
                e.refused(Scope::Cloud, &place("c8"), CLASS, now);
            }
        }
    }
    assert!(calls <= 20, "{calls}");
}

#[test]
fn no_pause_is_longer_than_half_an_hour() {
    let (mut now, mut e) = (Instant::now(), Exhausted::default());
    for _ in 0..80 {
        e.refused(Scope::Offer, &place("c8"), CLASS, now);
        now += LONGEST;
        assert!(e.may_try(&place("c8"), CLASS, now));
    }
}

#[test]
fn a_vm_that_was_ordered_before_the_refusal_and_is_granted_after_it_ends_no_pause() {
    let now = Instant::now();
    let mut e = refused(Scope::Offer, now);
    e.granted(&place("c8"), CLASS, now + seconds(1));
    assert!(!e.may_try(&place("c8"), CLASS, now + seconds(2)));
}

#[test]
fn a_grant_makes_good_one_refusal_and_not_all() {
    let now = Instant::now();
    let mut e = refused(Scope::Offer, now);
    e.refused(Scope::Offer, &place("c8"), CLASS, now + seconds(10));
    e.refused(Scope::Offer, &place("c8"), CLASS, now + seconds(30));
    // The third pause was of forty seconds.
    e.granted(&place("c8"), CLASS, now + seconds(70));
    assert!(e.may_try(&place("c8"), CLASS, now + seconds(70)), "it is open");
    assert!(e.may_try(&place("c8"), CLASS, now + seconds(70)), "for all");
    e.refused(Scope::Offer, &place("c8"), CLASS, now + seconds(71));
    assert!(!e.may_try(&place("c8"), CLASS, now + seconds(71 + 39)), "and pauses for forty seconds again, not for ten");
}

#[test]
fn what_is_refused_is_told_by_place() {
    let now = Instant::now();
    let (c8, c16, gpu) = (place("c8"), place("c16"), place("g1"));
    let offers = [(&c8, "project"), (&c16, "project"), (&gpu, "gpu")];
    let told = |scope, at| refused(scope, now).refused_places(offers, at);
    assert_eq!(told(Scope::Offer, now), BTreeSet::from([c8.clone()]));
    assert_eq!(told(Scope::Class, now), BTreeSet::from([c8.clone(), c16.clone()]));
    assert_eq!(told(Scope::Cloud, now).len(), 3);
    assert!(told(Scope::Cloud, now + seconds(10)).is_empty());
}

#[test]
fn five_vms_in_a_row_that_come_to_nothing_pause_the_lot_until_one_works() {
    let (now, mut e) = (Instant::now(), Exhausted::default());
    let at = |minutes: u64| now + seconds(60 * minutes);
    for _ in 0..4 {
        e.failed(&lot("el9"), now);
    }
    assert!(e.failing("cpu", now).is_empty());
    e.failed(&lot("el9"), now);
    assert_eq!(e.failing("cpu", at(2)), BTreeSet::from([place("c8")]));
    assert!(e.failing("other", at(2)).is_empty() && e.may_try(&place("c8"), CLASS, at(2)), "others may buy it");
    e.failed(&lot("el9"), at(4));
    assert_eq!(e.failing("cpu", at(9)).len(), 1, "the second pause is of six minutes");
    assert!(e.failing("cpu", at(10)).is_empty());
    e.worked(&lot("el9"));
    e.failed(&lot("el9"), at(10));
    assert!(e.failing("cpu", at(10)).is_empty());
}
