//! The truth table that was read off DIRAC 9.1.22's Matcher (`getMatchingTaskQueues`): what a pilot says, and which of six queues match.

use super::*;

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|w| (*w).to_owned()).collect()
}

/// Six queues: 1 plain, 2 GPU, 3 eight cores with 16 GB, all of biomed; 4 GPU, 5 at one site and not at another, 6 a whole node of one
/// platform, all of enmr.
fn table() -> [Definition; 6] {
    let of = |group: &str, cpu_time: u64, tags: &[&str]| Definition {
        owner: "opuser".to_owned(),
        owner_group: group.to_owned(),
        cpu_time,
        tags: words(tags),
        job_types: words(&["User"]),
        ..Definition::default()
    };
    [
        of("biomed_user", 3_600, &[]),
        of("biomed_user", 21_600, &["GPU"]),
        Definition { min_ram: 16_384, ..of("biomed_user", 86_400, &["8Processors", "MultiProcessor"]) },
        of("enmr_user", 21_600, &["GPU"]),
        Definition {
            sites: words(&["CLOUD.Lyon.fr"]),
            banned_sites: words(&["LCG.X.fr"]),
            ..of("enmr_user", 3_600, &[])
        },
        Definition {
            platforms: words(&["Linux_x86_64_glibc-2.17"]),
            ..of("enmr_user", 518_400, &["MultiProcessor", "WholeNode"])
        },
    ]
}

/// The queues that match, as the digits of a number: 124 is the first, the second and the fourth.
fn matched(change: impl Fn(&mut Description)) -> u32 {
    let mut pilot = Description { cpu_time: 999_999, ..Description::default() };
    change(&mut pilot);
    let numbers = (1..).zip(table()).filter(|(_, definition)| matches(definition, &pilot));
    numbers.fold(0, |all, (number, _)| all * 10 + number)
}

#[test]
fn tags_of_the_queue_must_be_offered() {
    assert_eq!(matched(|_| ()), 15, "no tag is sent");
    assert_eq!(matched(|p| p.tags = Some(vec![])), 15);
    assert_eq!(matched(|p| p.tags = Some(words(&["any"]))), 123_456);
    assert_eq!(matched(|p| p.tags = Some(words(&["A.N.Y!"]))), 123_456);
    assert_eq!(matched(|p| p.tags = Some(words(&["GPU"]))), 1_245);
    assert_eq!(
        matched(|p| p.tags = Some(words(&["gpu "]))),
        1_245,
        "the database sees neither capitals nor trailing blanks"
    );
}

#[test]
fn a_banned_site_does_not_match() {
    let at = |site: &'static str| {
        matched(move |p| {
            p.tags = Some(words(&["any"]));
            p.site = words(&[site]);
        })
    };
    assert_eq!(at("LCG.X.fr"), 12_346);
    assert_eq!(at("CLOUD.Lyon.fr"), 123_456);
    assert_eq!(at("CLOUD.Else.fr"), 12_346, "and a queue that lists sites wants one of them");
}

#[test]
fn required_tags_keep_other_jobs_away() {
    let gpu = |p: &mut Description| {
        p.tags = Some(words(&["GPU"]));
        p.required_tags = words(&["GPU"]);
    };
    assert_eq!(matched(gpu), 24);
    let of_biomed = |p: &mut Description| {
        gpu(p);
        p.owner_groups = words(&["biomed_user", "biomed_admin"]);
    };
    assert_eq!(matched(of_biomed), 2);
    assert_eq!(matched(|p| p.required_tags = words(&["GPU"])), 15, "without Tag, RequiredTag is not read");
    let misspelt = |p: &mut Description| {
        p.tags = Some(words(&["GPU"]));
        p.required_tags = words(&["gpu"]);
    };
    assert_eq!(matched(misspelt), 0, "DIRAC answers: Wrong conditions");
}

#[test]
fn cpu_time_processors_memory_whole_node_and_platform_bind() {
    let short = |p: &mut Description| {
        p.cpu_time = 5_000;
        p.tags = Some(words(&["GPU"]));
    };
    assert_eq!(matched(short), 15);
    assert_eq!(matched(|p| p.processors = 8), 135, "1Processors to 8Processors and MultiProcessor are offered");
    assert_eq!(matched(|p| p.processors = 4), 15);
    let small = |p: &mut Description| {
        p.processors = 8;
        p.max_ram = Some(8_192);
    };
    assert_eq!(matched(small), 15);
    let whole = |p: &mut Description| {
        p.processors = 4;
        p.whole_node = true;
    };
    assert_eq!(matched(whole), 156);
    let other_platform = |p: &mut Description| {
        whole(p);
        p.platform = words(&["Linux_x86_64_glibc-2.34"]);
    };
    assert_eq!(matched(other_platform), 15);
    assert_eq!(matched(|p| p.cpu_time = -1), 0, "a slot that is over matches nothing");
}

#[test]
fn at_a_banned_site_only_test_jobs_match_as_in_check_mask() {
    assert_eq!(matched(|p| p.job_type = words(&["Test"])), 0);
    assert_eq!(matched(|p| p.job_type = words(&["User"])), 15);
}
