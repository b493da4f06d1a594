use super::*;

/// A Lease, two candidates or one, and the hands of a steady clock. Every replica has a date of its own.
struct World {
    now: Instant,
    lease: Option<Found>,
    versions: u32,
}

/// Dates of machines: right, an hour ahead, an hour behind, and of other centuries.
const DATES: [i64; 5] = [1_764_000_000, 1_764_003_600, 1_763_996_400, 0, 200_000_000_000];

impl World {
    fn new() -> Self {
        Self { now: Instant::now(), lease: None, versions: 0 }
    }

    fn held_by_others(record: Record) -> Self {
        let mut world = Self::new();
        world.put(record);
        world
    }

    fn put(&mut self, record: Record) {
        self.versions += 1;
        self.lease = Some(Found { record, version: self.versions.to_string() });
    }

    fn passes(&mut self, seconds: f64) {
        self.now += Duration::from_secs_f64(seconds);
    }

    fn look(&self, replica: &mut Candidate, date: i64) -> Action {
        replica.decide(self.lease.clone(), self.now, Timestamp::from_second(date).unwrap())
    }

    /// Whether the API server carries the action out.
    fn carries_out(&mut self, replica: &mut Candidate, action: Action) -> bool {
        let version = self.lease.as_ref().map(|lease| lease.version.clone());
        let record = match action {
            Action::Make(record) if version.is_none() => record,
            Action::Write { record, over } if version.as_ref() == Some(&over) => record,
            Action::Rest | Action::Make(_) | Action::Write { .. } => return false,
        };
        self.put(record.clone());
        replica.wrote(record, self.now);
        true
    }

    /// A look, and what follows from it. Whether it wrote.
    fn turn(&mut self, replica: &mut Candidate, date: i64) -> bool {
        let action = self.look(replica, date);
        self.carries_out(replica, action)
    }

    fn record(&self) -> &Record {
        &self.lease.as_ref().unwrap().record
    }
}

fn replica(name: &str) -> Candidate {
    Candidate::new(name.to_owned())
}

fn held_by(name: &str) -> Record {
    Record { holder_identity: Some(name.to_owned()), ..Record::default() }
}

#[test]
fn the_first_makes_the_lease_and_leads() {
    let (mut world, mut we) = (World::new(), replica("we"));
    assert!(!we.leads(world.now));
    assert!(world.turn(&mut we, 1_764_000_000));
    assert!(we.leads(world.now));
    let date = Some("2025-11-24T16:00:00.000000Z".to_owned());
    let expected = Record {
        holder_identity: Some("we".into()),
        lease_duration_seconds: Some(15),
        acquire_time: date.clone(),
        renew_time: date,
        lease_transitions: Some(0),
    };
    assert_eq!(*world.record(), expected);
}

#[test]
fn a_renewal_keeps_the_date_of_the_first_and_is_no_transition() {
    let (mut world, mut we) = (World::new(), replica("we"));
    world.turn(&mut we, 1_764_000_000);
    world.passes(3.9);
    assert!(!world.turn(&mut we, 1_764_000_003), "it is renewed after four seconds");
    world.passes(0.1);
    assert!(world.turn(&mut we, 1_764_000_004));
    let record = world.record();
    assert_eq!(record.acquire_time.as_deref(), Some("2025-11-24T16:00:00.000000Z"));
    assert_eq!(record.renew_time.as_deref(), Some("2025-11-24T16:00:04.000000Z"));
    assert_eq!(record.lease_transitions, Some(0));
}

#[test]
fn a_healthy_lease_is_not_taken_whatever_the_clocks_say() {
    for (ours, theirs) in DATES.into_iter().flat_map(|a| DATES.map(|b| (a, b))) {
        let (mut world, mut they, mut we) = (World::new(), replica("they"), replica("we"));
        for second in 0..120 {
            world.turn(&mut they, theirs + second);
            // Our clock jumps an hour forward, and back, while we stand by.
            let jump = [0, 3_600, -3_600][usize::try_from(second / 40).unwrap()];
            assert!(!world.turn(&mut we, ours + second + jump), "taken after {second} s ({ours}, {theirs})");
            assert!(they.leads(world.now) && !we.leads(world.now));
            world.passes(1.0);
        }
    }
}

#[test]
fn the_lease_of_a_dead_holder_is_taken_after_fifteen_steady_seconds_whatever_the_clocks_say() {
    for (ours, theirs) in DATES.into_iter().flat_map(|a| DATES.map(|b| (a, b))) {
        let (mut world, mut they, mut we) = (World::new(), replica("they"), replica("we"));
        world.turn(&mut they, theirs);
        world.passes(5.0);
        // It is not known when the holder wrote what the first look shows: the time begins with the look.
        assert!(!world.turn(&mut we, ours));
        world.passes(14.9);
        assert!(!world.turn(&mut we, ours + 3_600));
        world.passes(0.1);
        assert!(world.turn(&mut we, ours - 3_600), "not taken in time ({ours}, {theirs})");
        assert!(we.leads(world.now) && !they.leads(world.now));
        assert_eq!(world.record().lease_transitions, Some(1));
    }
}

#[test]
fn a_holder_stops_three_seconds_before_another_may_take_the_lease() {
    let (mut world, mut they, mut we) = (World::new(), replica("they"), replica("we"));
    world.turn(&mut they, 0);
    world.turn(&mut we, 0);
    world.passes(11.9);
    assert!(they.leads(world.now));
    world.passes(0.1);
    assert!(!they.leads(world.now));
    world.passes(2.9);
    assert!(!world.turn(&mut we, 0));
    world.passes(0.1);
    assert!(world.turn(&mut we, 0));
}

#[test]
fn of_two_that_try_at_once_the_slower_does_not_lead() {
    let (mut world, mut a, mut b) = (World::new(), replica("a"), replica("b"));
    for may_take_after in [0.0, 15.0] {
        world.passes(may_take_after);
        if may_take_after > 0.0 {
            world.put(held_by("dead"));
            assert_eq!((world.look(&mut a, 0), world.look(&mut b, 0)), (Action::Rest, Action::Rest));
            world.passes(15.0);
        }
        let (of_a, of_b) = (world.look(&mut a, 0), world.look(&mut b, 0));
        assert!(world.carries_out(&mut a, of_a));
        assert!(!world.carries_out(&mut b, of_b), "the version that it names is not there any more");
        assert!(a.leads(world.now) && !b.leads(world.now));
        assert!(!world.turn(&mut b, 0));
    }
}

#[test]
fn who_sees_another_holder_stops_at_once() {
    let (mut world, mut we) = (World::new(), replica("we"));
    world.turn(&mut we, 0);
    world.put(held_by("they"));
    assert!(!world.turn(&mut we, 0));
    assert!(!we.leads(world.now));
}

#[test]
fn a_lease_that_is_given_back_is_taken_at_once() {
    let (mut world, mut they, mut we) = (World::new(), replica("they"), replica("we"));
    world.turn(&mut they, 0);
    world.turn(&mut we, 0);
    let found = world.lease.clone().unwrap();
    assert_eq!(we.give_back(found.clone(), Timestamp::UNIX_EPOCH), None, "it is not ours");
    let action = they.give_back(found, Timestamp::UNIX_EPOCH).unwrap();
    assert!(world.carries_out(&mut they, action));
    assert!(!they.leads(world.now));
    let record = world.record();
    assert_eq!((record.holder_identity.as_deref(), record.lease_duration_seconds), (Some(""), Some(1)));
    assert!(world.turn(&mut we, 0));
    assert!(we.leads(world.now));
    assert_eq!(world.record().lease_transitions, Some(1));
}

#[test]
fn a_lease_that_somebody_deleted_is_made_again_by_its_holder() {
    let (mut world, mut they, mut we) = (World::new(), replica("they"), replica("we"));
    world.turn(&mut they, 0);
    world.turn(&mut we, 0);
    world.passes(1.0);
    world.lease = None;
    assert!(!world.turn(&mut we, 0), "its holder still acts");
    assert!(world.turn(&mut they, 0));
    assert!(they.leads(world.now) && !we.leads(world.now));
    assert_eq!(world.record().lease_transitions, Some(0));
}

#[test]
fn a_lease_that_somebody_deleted_is_made_by_another_when_its_holder_is_dead() {
    let (mut world, mut we) = (World::held_by_others(held_by("they")), replica("we"));
    world.turn(&mut we, 0);
    world.lease = None;
    world.passes(14.9);
    assert!(!world.turn(&mut we, 0));
    world.passes(0.1);
    assert!(world.turn(&mut we, 0));
    assert_eq!(world.record().lease_transitions, Some(1));
}

#[test]
fn a_lease_without_a_holder_is_taken_at_once() {
    let dated = Record { renew_time: Some("2999-01-01T00:00:00.000000Z".into()), ..Record::default() };
    for record in [Record::default(), held_by(""), dated] {
        let (mut world, mut we) = (World::held_by_others(record), replica("we"));
        assert!(world.turn(&mut we, 0));
        assert!(we.leads(world.now));
    }
}

#[test]
fn absurd_fields_of_another_holder_keep_nobody_out_for_long() {
    let lasting = |seconds| Record { lease_duration_seconds: Some(seconds), ..held_by("they") };
    let dated = Record {
        acquire_time: Some("0001-01-01T00:00:00.000000Z".into()),
        renew_time: Some("9999-12-31T23:59:59.999999Z".into()),
        lease_transitions: Some(i32::MAX),
        ..held_by("they")
    };
    for (record, seconds) in [
        (held_by("they"), 15.0),
        (dated, 15.0),
        (lasting(i32::MIN), 15.0),
        (lasting(0), 15.0),
        (lasting(1), 15.0),
        (lasting(30), 30.0),
        (lasting(i32::MAX), 60.0),
    ] {
        let (mut world, mut we) = (World::held_by_others(record.clone()), replica("we"));
        world.turn(&mut we, 0);
        world.passes(seconds - 0.1);
        assert!(!world.turn(&mut we, 0), "{record:?}");
        world.passes(0.1);
        assert!(world.turn(&mut we, 0), "{record:?}");
        assert!(we.leads(world.now));
    }
}

#[test]
fn what_else_somebody_writes_to_the_object_is_no_renewal() {
    let (mut world, mut we) = (World::held_by_others(held_by("they")), replica("we"));
    for _ in 0..3 {
        world.put(held_by("they"));
        assert!(!world.turn(&mut we, 0));
        world.passes(5.0);
    }
    assert!(world.turn(&mut we, 0), "a label, for example, changes the version and not the record");
}

#[test]
fn a_write_whose_reply_is_lost_gives_no_time_and_is_made_again() {
    let (mut world, mut we) = (World::new(), replica("we"));
    let Action::Make(record) = world.look(&mut we, 0) else { panic!("there is no Lease") };
    world.put(record);
    assert!(!we.leads(world.now));
    world.passes(2.0);
    assert!(world.turn(&mut we, 2));
    assert!(we.leads(world.now));
    assert_eq!(world.record().lease_transitions, Some(0), "it was ours already");
}
