use super::*;

fn at(second: u64) -> Timestamp {
    after(Timestamp::UNIX_EPOCH, second)
}
fn class(each: Option<u64>) -> JobClass {
    let tag = each.map_or("WholeNode".to_owned(), |each| format!("{each}Processors"));
    JobClass { tags: vec![tag], ..JobClass::default() }
}
/// Free cores now or else when the pilot asks, where so many jobs began at second 100, and each takes this many cores or the whole VM;
/// `waits`: since when jobs wait.
fn free_for(waits: u64, each: Option<u64>, jobs: u64, second: u64) -> (u64, Option<u64>) {
    let all = Free { cores: 8, ram_mib: 16_384, gpus: 0, ..Free::default() };
    let idle_timeout = SignedDuration::from_secs(300);
    let room = Room { all, asks_since: at(50), waits_since: at(waits), idle_timeout };
    let has = Has { jobs, began: (jobs > 0).then(|| at(100)), changed: Some(at(100)) };
    let (now, soon) = free(&room, &has, &class(each), at(second));
    assert!(soon.is_none_or(|soon| now.cores == 0 && soon.free.cores > 0));
    (now.cores, soon.map(|soon| soon.in_seconds))
}
fn free_now(each: Option<u64>, jobs: u64, second: u64) -> u64 {
    let (free, soon) = free_for(0, each, jobs, second);
    assert_eq!(soon, None);
    free
}

#[test]
fn each_job_takes_its_cores_and_a_job_of_the_whole_vm_all_of_them() {
    assert_eq!([free_now(Some(1), 3, 110), free_now(Some(4), 1, 110)], [5, 4]);
    assert_eq!([free_now(Some(4), 9, 110), free_now(None, 1, 110)], [0, 0]);
}

#[test]
fn a_pilot_that_has_jobs_and_takes_no_more_has_nothing_free_for_those_that_wait() {
    assert_eq!([free_now(Some(1), 3, 160), free_now(Some(1), 3, 161)], [5, 0]);
}

#[test]
fn a_pilot_that_took_none_while_none_waited_sleeps_longer_and_longer() {
    // It asks at 120, 201, 322, 483, 684, 925 and 1206.
    assert_eq!(free_for(150, Some(1), 3, 150), (5, None), "in 51 s, and that is now");
    assert_eq!(free_for(330, Some(1), 3, 340), (0, Some(143)), "it has just asked");
    assert_eq!(free_for(330, Some(1), 3, 423), (5, None));
    assert_eq!(free_for(930, Some(1), 3, 930), (0, Some(276)));
    assert_eq!(free_for(930, Some(1), 3, 1_246), (5, None), "it should be seen by now");
    assert_eq!(free_for(930, Some(1), 3, 1_247), (0, None), "it asked, and took none of these jobs");
}

#[test]
fn a_pilot_that_was_full_asks_as_soon_as_a_job_has_ended() {
    let room = Room {
        all: Free { cores: 8, ram_mib: 16_384, gpus: 0, ..Free::default() },
        asks_since: at(50),
        waits_since: at(4_000),
        idle_timeout: SignedDuration::from_secs(300),
    };
    let free = |jobs| {
        let has = Has { jobs, began: Some(at(100)), changed: Some(at(4_000)) };
        let (now, soon) = free(&room, &has, &class(Some(1)), at(4_000));
        (now.cores, soon.map(|soon| soon.in_seconds))
    };
    assert_eq!(free(7), (1, None));
    assert_eq!(free(6), (0, None), "this one has stopped asking: it found nothing eleven times");
}

#[test]
fn an_agent_stops_after_eleven_requests_and_a_larger_one_after_more() {
    let times = |cores| asks(at(0), cores).map(|asks| seconds(at(0), asks)).collect::<Vec<_>>();
    assert_eq!(times(8)[..4], [20, 101, 222, 383]);
    assert_eq!((times(8).len(), times(8)[10]), (11, 2_630));
    assert_eq!(times(16).len(), 17);
}

#[test]
fn a_vm_whose_jobs_have_ended_is_free_again_until_its_pilot_gives_up() {
    assert_eq!([free_now(None, 0, 400), free_now(None, 0, 401)], [8, 0]);
    assert_eq!(free_for(1_000, None, 0, 1_000), (0, None), "an idle one gives up whether jobs wait or not");
}

#[test]
fn a_pilot_that_never_had_a_job_is_free_from_when_it_asks_until_it_gives_up() {
    let all = Free { cores: 8, ram_mib: 16_384, gpus: 0, ..Free::default() };
    let room = Room { all, asks_since: at(50), waits_since: at(0), idle_timeout: SignedDuration::from_secs(300) };
    let free = |second| free(&room, &Has::default(), &class(Some(1)), at(second)).0.cores;
    assert_eq!([free(350), free(351)], [8, 0]);
}
