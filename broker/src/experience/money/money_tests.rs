use proptest::prelude::*;

use super::*;

const DAY: u64 = 86_400;
/// A cent.
const CENT: u64 = 10_000;

fn at(second: u64) -> Timestamp {
    after(Timestamp::UNIX_EPOCH, 1_700_000_000 + second)
}
fn vm(n: u64) -> Arc<str> {
    format!("vm-{n}").into()
}
/// A budget of this many euros a day.
fn purse(euros: u64) -> Purse {
    Purse::new(Terms { unit: Unit::Money("EUR".into()), sum: euros * 100 * CENT, period: DAY })
}
/// An hour of a VM for ten cents.
const TEN: u64 = 10 * CENT;

#[test]
fn a_vm_is_reserved_before_it_is_made_and_refused_when_too_little_is_left() {
    let mut purse = purse(1);
    assert_eq!(purse.reserve(&vm(1), TEN, 6 * 3_600, at(0)), Ok(()));
    assert_eq!(purse.reserve(&vm(2), TEN, 6 * 3_600, at(0)), Err(Short { wanted: 60 * CENT, left: 40 * CENT }));
    assert_eq!(purse.reserve(&vm(2), TEN, 4 * 3_600, at(0)), Ok(()));
    let Standing { spent, reserved, left, .. } = purse.standing(at(0));
    assert_eq!((spent, reserved, left), (0, 100 * CENT, 0));
}

#[test]
fn a_vm_that_ends_early_gives_back_what_it_did_not_cost() {
    let mut purse = purse(1);
    purse.reserve(&vm(1), TEN, 10 * 3_600, at(0)).unwrap();
    purse.began("vm-1", at(60));
    assert_eq!(purse.settle("vm-1", at(60 + 1_801)), Some(6 * CENT), "half an hour and a second, in whole cents");
    let Standing { spent, reserved, left, .. } = purse.standing(at(2_000));
    assert_eq!((spent, reserved, left), (6 * CENT, 0, 94 * CENT));
}

#[test]
fn who_was_settled_is_neither_settled_nor_reserved_again() {
    let mut purse = purse(1);
    purse.reserve(&vm(1), TEN, 3_600, at(0)).unwrap();
    assert_eq!(purse.vms().collect::<Vec<_>>(), [&vm(1)]);
    purse.began("vm-1", at(0));
    purse.settle("vm-1", at(3_600));
    let before = purse.clone();
    assert_eq!(purse.vms().count(), 0);
    assert_eq!(purse.settle("vm-1", at(7_200)), None);
    purse.release("vm-1", at(7_200));
    purse.began("vm-1", at(0));
    purse.adopt(&vm(1), TEN, 3_600, Some(at(0)));
    assert_eq!(purse.reserve(&vm(1), TEN, 3_600, at(0)), Ok(()));
    assert_eq!(purse, before);
}

#[test]
fn a_vm_that_was_never_made_costs_nothing() {
    let mut purse = purse(1);
    purse.reserve(&vm(1), TEN, 3_600, at(0)).unwrap();
    purse.release("vm-1", at(1));
    purse.reserve(&vm(2), TEN, 3_600, at(0)).unwrap();
    assert_eq!(purse.settle("vm-2", at(3_600)), Some(0), "it never began");
    assert_eq!(purse.standing(at(3_600)).left, 100 * CENT);
}

#[test]
fn a_vm_that_outlives_its_reservation_holds_what_it_has_cost() {
    let mut purse = purse(1);
    purse.reserve(&vm(1), TEN, 3_600, at(0)).unwrap();
    purse.began("vm-1", at(0));
    assert_eq!(purse.standing(at(3_600)).reserved, 10 * CENT);
    assert_eq!(purse.standing(at(3 * 3_600)).reserved, 30 * CENT);
    assert!(purse.reserve(&vm(2), TEN, 8 * 3_600, at(3 * 3_600)).is_err());
}

fn living(n: u64, began: Option<Timestamp>) -> Living {
    Living { vm: vm(n), per_hour: TEN, life: 3_600, began }
}

#[test]
fn what_was_spent_outlives_a_restart_also_of_vms_that_went_meanwhile() {
    let mut purse = purse(10);
    for n in 1..=3 {
        purse.reserve(&vm(n), TEN, 3_600, at(0)).unwrap();
        purse.began(&vm(n), at(0));
    }
    purse.settle("vm-1", at(3_600));
    let written: Written = serde_json::from_str(&serde_json::to_string(&purse.written(at(7_200))).unwrap()).unwrap();
    assert_eq!((written.accrued, written.sums.iter().sum::<u64>()), (40 * CENT, 10 * CENT));
    let again = Purse::resume(purse.terms().clone(), Some(&written), [living(2, Some(at(0)))]);
    let standing = again.standing(at(7_300));
    assert_eq!(standing.spent, 30 * CENT, "one that was settled, and one that went while nobody looked");
    assert_eq!(standing.accrued, 21 * CENT, "the one that is there");
    let other = Terms { unit: Unit::CoreHours, ..purse.terms().clone() };
    assert_eq!(Purse::resume(other, Some(&written), []).standing(at(7_300)).spent, 0, "another unit is not compared");
    let longer = Terms { period: 30 * DAY, ..purse.terms().clone() };
    assert_eq!(Purse::resume(longer, Some(&written), [living(2, Some(at(0)))]).standing(at(7_300)).spent, 30 * CENT);
}

proptest! {
    #[test]
    fn a_restart_forgets_nothing_and_what_is_written_is_small(
        lives in prop::collection::vec((0_u64..50_000, 1_u64..50_000, 0_u64..50, any::<bool>()), 0..40), later in 0_u64..5_000,
    ) {
        let mut purse = purse(1_000);
        let now = at(120_000);
        let mut there = Vec::new();
        for (n, (began, length, price, is_there)) in lives.into_iter().enumerate() {
            let name: Arc<str> = format!("vm-{n}").into();
            let one = Living { vm: name.clone(), per_hour: price * CENT, life: 3_600, began: Some(at(began)) };
            purse.adopt(&name, one.per_hour, one.life, one.began);
            if is_there { there.push(one); } else { purse.settle(&name, at(began + length)); }
        }
        let written = purse.written(now);
        prop_assert!(written.sums.len() <= 97);
        let again = Purse::resume(purse.terms().clone(), Some(&written), there);
        let (before, after) = (purse.standing(now), again.standing(now));
        prop_assert_eq!((before.spent, before.reserved, before.left), (after.spent, after.reserved, after.left));
        let all_gone = Purse::resume(purse.terms().clone(), Some(&written), []).standing(now);
        prop_assert_eq!(all_gone.spent, before.spent + before.accrued);
        // A hand that writes nonsense does no harm.
        let odd = Written { step: later, first: i64::MAX - 3, ..written };
        Purse::resume(purse.terms().clone(), Some(&odd), []).standing(now);
    }
}

#[test]
fn the_period_slides() {
    let mut purse = purse(1);
    purse.reserve(&vm(1), TEN, 10 * 3_600, at(0)).unwrap();
    purse.began("vm-1", at(0));
    purse.settle("vm-1", at(10 * 3_600));
    assert_eq!(purse.standing(at(10 * 3_600)).left, 0);
    let halfway = purse.standing(at(DAY + 5 * 3_600)).left;
    assert!((45 * CENT..=50 * CENT).contains(&halfway), "five of the ten hours are out: {halfway}");
    assert_eq!(purse.standing(at(DAY + 11 * 3_600)).left, 100 * CENT);
}

#[test]
fn it_tells_when_the_sum_is_spent_if_what_runs_goes_on() {
    let mut purse = purse(1);
    assert_eq!(purse.standing(at(0)).ends, None);
    purse.reserve(&vm(1), 2 * TEN, 3_600, at(0)).unwrap();
    purse.began("vm-1", at(0));
    let ends = purse.standing(at(0)).ends.unwrap();
    assert!(seconds(at(5 * 3_600), ends) <= DAY / 96 && ends >= at(4 * 3_600 + 1_800), "{ends}");
    purse.settle("vm-1", at(3_600));
    purse.adopt(&vm(2), CENT, 3_600, Some(at(3_600)));
    assert_eq!(purse.standing(at(3_600)).ends, None, "a cent an hour never spends a euro a day");
}

#[test]
fn a_budget_of_core_hours_needs_no_price() {
    let unit = Unit::CoreHours;
    let rate = unit.per_hour(8, None).unwrap();
    let mut purse = Purse::new(Terms { unit, sum: 100 * 3_600, period: DAY });
    purse.reserve(&vm(1), rate, 12 * 3_600, at(0)).unwrap();
    assert_eq!(purse.reserve(&vm(2), rate, 3_600, at(0)), Err(Short { wanted: 8 * 3_600, left: 4 * 3_600 }));
}

#[test]
fn other_terms_keep_what_was_spent_and_another_currency_begins_anew() {
    let mut purse = purse(1);
    purse.adopt(&vm(1), TEN, 3_600, Some(at(0)));
    purse.settle("vm-1", at(3_600));
    assert!(purse.amend(Terms { sum: 50 * CENT, period: 7 * DAY, ..purse.terms().clone() }));
    assert_eq!(purse.standing(at(3_600)).left, 40 * CENT);
    assert!(!purse.amend(Terms { unit: Unit::Money("CHF".into()), ..purse.terms().clone() }));
    assert_eq!(purse.standing(at(3_600)).spent, 0);
}

#[test]
fn a_clock_that_went_back_makes_nothing_unspent() {
    let mut purse = purse(1);
    purse.adopt(&vm(1), TEN, 3_600, Some(at(9 * DAY)));
    purse.settle("vm-1", at(9 * DAY + 3_600));
    assert_eq!(purse.standing(at(0)).left, 90 * CENT);
}

/// Something that happens to one of a few VMs.
#[derive(Clone, Debug)]
enum Event {
    Reserve(u64, u64, u64),
    Began(u64),
    Settle(u64),
    Release(u64),
    Restart,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (0_u64..40, 1_u64..400_000, 1_u64..100_000).prop_map(|(n, rate, life)| Event::Reserve(n, rate, life)),
        (0_u64..40).prop_map(Event::Began),
        (0_u64..40).prop_map(Event::Settle),
        (0_u64..40).prop_map(Event::Release),
        Just(Event::Restart),
    ]
}

/// What truly arose: rate, begin, end of each VM; no purse's arithmetic.
#[derive(Clone, Copy, Debug)]
struct Lived {
    rate: u64,
    life: u64,
    began: Option<u64>,
    ended: Option<u64>,
}

impl Lived {
    /// Its cost between two moments, in micros.
    fn cost(&self, from: u64, to: u64) -> f64 {
        let Some(began) = self.began else { return 0.0 };
        let end = self.ended.unwrap_or(to).min(to);
        end.saturating_sub(began.max(from)) as f64 * self.rate as f64 / 3_600.0
    }
}

proptest! {
    /// The model: what all VMs truly cost in the last period never exceeds the sum by more than what those cost that run for longer than
    /// was expected.
    #[test]
    fn the_sum_is_never_passed_but_by_vms_that_outlive_what_was_expected(
        events in prop::collection::vec((event(), 0_u64..4_000), 1..200),
    ) {
        let (mut purse, mut second) = (purse(3), DAY * 3);
        let mut lives: BTreeMap<u64, Lived> = BTreeMap::new();
        for (event, pause) in events {
            second += pause;
            match event {
                Event::Reserve(n, rate, life) => {
                    let is_new = !lives.contains_key(&n);
                    if purse.reserve(&vm(n), rate, life, at(second)).is_ok() && is_new {
                        lives.insert(n, Lived { rate, life, began: None, ended: None });
                    }
                }
                Event::Began(n) => if let Some(one) = lives.get_mut(&n).filter(|one| one.began.is_none() && one.ended.is_none()) {
                    one.began = Some(second);
                    purse.began(&vm(n), at(second));
                },
                Event::Settle(n) => if let Some(one) = lives.get_mut(&n) {
                    let first = one.ended.is_none();
                    one.ended = one.ended.or(Some(second));
                    let cost = purse.settle(&vm(n), at(second));
                    prop_assert_eq!(cost.is_some(), first);
                    prop_assert_eq!(cost.unwrap_or_default() % CENT, 0);
                },
                Event::Release(n) => if let Some(one) = lives.get_mut(&n).filter(|one| one.began.is_none()) {
                    one.ended = one.ended.or(Some(second));
                    purse.release(&vm(n), at(second));
                },
                Event::Restart => purse = serde_json::from_str(&serde_json::to_string(&purse).unwrap()).unwrap(),
            }
            let from = second - DAY;
            let cost: f64 = lives.values().map(|one| one.cost(from, second)).sum();
            let beyond = |one: &Lived| {
                let Some(began) = one.began else { return 0.0 };
                one.cost(from.max(began + one.life), second)
            };
            let overdue: f64 = lives.values().map(beyond).sum();
            let standing = purse.standing(at(second));
            let held = (standing.spent + standing.reserved) as f64;
            prop_assert!(cost <= held + 1.0, "what arose is spent or reserved: {cost} {held}");
            prop_assert!(cost <= (3 * 100 * CENT) as f64 + overdue + 1.0, "{cost} {overdue}");
        }
    }

    /// Whatever the order in which it is told that VMs are gone, the same is spent.
    #[test]
    fn the_order_in_which_vms_are_settled_does_not_matter(
        lives in prop::collection::vec((1_u64..400_000, 0_u64..50_000, 0_u64..50_000), 1..20),
        seed in any::<u64>(),
    ) {
        let told = |order: &[usize]| {
            let mut purse = purse(1_000);
            for (n, (rate, began, _)) in (0_u64..).zip(&lives) {
                purse.adopt(&vm(n), *rate, 3_600, Some(at(*began)));
            }
            for n in order {
                let (_, began, length) = lives[*n];
                purse.settle(&vm(*n as u64), at(began + length));
                purse.settle(&vm(*n as u64), at(began + length + 7));
            }
            purse.standing(at(100_000))
        };
        let order: Vec<usize> = (0..lives.len()).collect();
        let mut other = order.clone();
        other.rotate_left(usize::try_from(seed % lives.len() as u64).unwrap());
        other.reverse();
        prop_assert_eq!(told(&order), told(&other));
        prop_assert_eq!(told(&order).reserved, 0);
    }
}

#[test]
fn what_vms_have_cost_so_far_is_spent_and_the_rest_of_their_reservations_is_ahead() {
    let standing = Standing { spent: 3, accrued: 4, reserved: 10, ..Standing::default() };
    assert_eq!((standing.so_far(), standing.ahead()), (7, 6));
}

#[test]
fn what_is_bought_elsewhere_holds_and_costs_what_it_costs_there() {
    let mut purse = purse(1);
    purse.reserve(&vm(1), TEN, 3_600, at(0)).unwrap();
    purse.costs("vm-1", 2 * TEN, 3_600);
    assert_eq!(purse.left(at(0)), 80 * CENT);
    purse.costs("vm-2", TEN, 3_600);
    assert_eq!(purse.left(at(0)), 80 * CENT, "nothing is held for another");
    purse.began("vm-1", at(0));
    assert_eq!(purse.settle("vm-1", at(1_800)), Some(10 * CENT));
}
