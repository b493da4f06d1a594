//! The truth table that was read off the real Matcher, and the corners of the rules.

use super::*;

fn queue(id: u64, group: &str, cpu_time: u64, tags: &[&str]) -> TaskQueue {
    TaskQueue {
        id,
        owner: "opuser".into(),
        owner_group: group.into(),
        cpu_time,
        tags: tags.iter().map(|t| (*t).into()).collect(),
        job_types: vec!["User".into()],
        ..TaskQueue::default()
    }
}

fn queues() -> Vec<TaskQueue> {
    let mut queues = vec![
        queue(1, "biomed_user", 3_600, &[]),
        queue(2, "biomed_user", 21_600, &["GPU"]),
        queue(3, "biomed_user", 86_400, &["8Processors", "MultiProcessor"]),
        queue(4, "enmr_user", 21_600, &["GPU"]),
        queue(5, "enmr_user", 3_600, &[]),
        queue(6, "enmr_user", 518_400, &["MultiProcessor", "WholeNode"]),
    ];
    queues[2].min_ram_mb = 16_384;
    queues[4].sites = vec!["CLOUD.Lyon.fr".into()];
    queues[4].banned_sites = vec!["LCG.X.fr".into()];
    queues[5].platforms = vec!["Linux_x86_64_glibc-2.17".into()];
    queues
}

fn matched(change: impl FnOnce(&mut Resource)) -> Vec<u64> {
    let mut resource = Resource { cpu_time: 999_999, ..Resource::default() };
    change(&mut resource);
    queues().iter().filter(|q| matches(q, &resource)).map(|q| q.id).collect()
}

fn list(values: &[&str]) -> Vec<String> {
    values.iter().map(|v| (*v).into()).collect()
}

#[test]
fn without_tags_only_untagged_queues_match() {
    assert_eq!(matched(|_| ()), [1, 5]);
    assert_eq!(matched(|r| r.tag = Some(vec![])), [1, 5]);
}

#[test]
fn any_tag_matches_all_and_a_banned_site_does_not() {
    assert_eq!(matched(|r| r.tag = Some(list(&["any"]))), [1, 2, 3, 4, 5, 6]);
    assert_eq!(matched(|r| r.tag = Some(list(&["A.N.Y!"]))), [1, 2, 3, 4, 5, 6]);
    assert_eq!(
        matched(|r| {
            r.tag = Some(list(&["any"]));
            r.site = list(&["LCG.X.fr"]);
        }),
        [1, 2, 3, 4, 6]
    );
}

#[test]
fn a_queue_bans_a_resource_only_where_it_bans_all_of_its_sites() {
    let plain =
        TaskQueue { banned_sites: vec!["LCG.X.fr".into(), "LCG.Y.fr".into()], ..queue(1, "biomed_user", 0, &[]) };
    let may = |sites: &[&str]| matches(&plain, &Resource { site: list(sites), ..Resource::default() });
    assert!(!may(&["LCG.X.fr"]) && !may(&["lcg.y.fr", "LCG.X.fr"]));
    assert!(may(&["LCG.X.fr", "LCG.Z.fr"]) && may(&["LCG.Z.fr"]) && may(&[]), "a resource that names no site");
}

#[test]
fn a_gpu_resource_takes_plain_jobs_unless_it_requires_the_tag() {
    assert_eq!(matched(|r| r.tag = Some(list(&["GPU"]))), [1, 2, 4, 5]);
    let require = |r: &mut Resource| {
        r.tag = Some(list(&["GPU"]));
        r.required_tag = list(&["GPU"]);
    };
    assert_eq!(matched(require), [2, 4]);
    assert_eq!(
        matched(|r| {
            require(r);
            r.owner_group = list(&["biomed_user", "biomed_admin"]);
        }),
        [2]
    );
    assert_eq!(matched(|r| r.required_tag = list(&["GPU"])), [1, 5], "required without offered is ignored");
    assert_eq!(
        matched(|r| {
            r.tag = Some(list(&["GPU"]));
            r.required_tag = list(&["gpu"]);
        }),
        [] as [u64; 0],
        "required must be offered letter by letter"
    );
}

#[test]
fn cpu_time_processors_memory_and_platform_bind() {
    assert_eq!(
        matched(|r| {
            r.cpu_time = 5_000;
            r.tag = Some(list(&["GPU"]));
        }),
        [1, 5]
    );
    assert_eq!(matched(|r| r.number_of_processors = 8), [1, 3, 5]);
    assert_eq!(matched(|r| r.number_of_processors = 4), [1, 5]);
    assert_eq!(
        matched(|r| {
            r.number_of_processors = 8;
            r.max_ram_mb = Some(8_192);
        }),
        [1, 5]
    );
    let whole = |r: &mut Resource| {
        r.number_of_processors = 4;
        r.whole_node = true;
    };
    assert_eq!(matched(whole), [1, 5, 6]);
    assert_eq!(
        matched(|r| {
            whole(r);
            r.platform = list(&["Linux_x86_64_glibc-2.34"]);
        }),
        [1, 5]
    );
}

#[test]
fn names_are_compared_as_the_database_does() {
    assert!(same("CLOUD.Lyon.fr", "cloud.lyon.FR  "));
    assert!(same("Orsay é", "ORSAY E"));
    assert!(same("Kraków-Žižkov", "krakow-zizkov"));
    assert!(!same("Łódź", "Lodz"), "the stroke of an Ł is no accent");
    assert!(!same(" GPU", "GPU"));
    assert_eq!(matched(|r| r.tag = Some(list(&["gpu "]))), [1, 2, 4, 5]);
}

#[test]
fn an_owner_is_compared_with_the_queue_s_and_binds_the_last_group_alone() {
    let groups = list(&["biomed_user", "enmr_user"]);
    let mine = |r: &mut Resource| {
        r.tag = Some(list(&["Any"]));
        r.owner = Some("OPUSER".to_owned());
    };
    let all = matched(mine);
    assert_eq!(all, queues().iter().map(|q| q.id).collect::<Vec<_>>(), "the database does not see capitals");
    let nobody = matched(|r| {
        mine(r);
        r.owner = Some("somebody".to_owned());
    });
    assert_eq!(nobody, [0; 0]);
    let reach = |groups: Vec<String>| {
        matched(|r| {
            mine(r);
            r.cpu_time = 0;
            r.owner_group = groups;
        })
    };
    let of = |group: &str| queues().iter().filter(|q| q.owner_group == group).map(|q| q.id).collect::<Vec<_>>();
    assert_eq!(reach(groups.clone()), of("biomed_user"), "DIRAC writes its OR without brackets");
    assert_eq!(reach(groups.into_iter().rev().collect()), of("enmr_user"));
}
