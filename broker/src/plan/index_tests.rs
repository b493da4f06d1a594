//! The index says what one comparison says.

use proptest::prelude::*;

use super::*;
use crate::{
    demand::TaskQueue,
    plan::{
        class::Demand,
        need::is_of_size,
        snapshot::{Snapshot, Vo},
    },
};

fn some_of(words: &'static [&'static str], most: usize) -> impl Strategy<Value = Vec<String>> {
    prop::collection::btree_set(prop::sample::select(words), 0..=most)
        .prop_map(|all| all.into_iter().map(str::to_owned).collect())
}

const TAGS: &[&str] = &[
    "GPU",
    "gpu ",
    "SGX",
    "any",
    "",
    "2Processors",
    "8Processors",
    "08Processors",
    "8processors",
    "MultiProcessor",
    "WholeNode",
];
const SITES: &[&str] = &["CLOUD.A.org", "cloud.a.ORG", "CLOUD.B.org", "CLOUD.\u{c9}.org"];

prop_compose! {
    fn any_says()(site in prop::sample::select(SITES), ce in prop::sample::select(&["ce", "CE", "other", "Any"][..]),
        platform in prop::option::of(prop::sample::select(&["Linux", "linux", "ANY"][..])), tags in some_of(TAGS, 3),
        required in some_of(TAGS, 2)) -> Says {
        Says { site: site.to_owned(), ce: ce.to_owned(), platform: platform.map(str::to_owned), tags, required_tags: required }
    }
}

prop_compose! {
    fn any_queue()(tags in some_of(TAGS, 3), sites in some_of(SITES, 2), banned_sites in some_of(SITES, 1),
        grid_ces in some_of(&["ce", "elsewhere"], 1), platforms in some_of(&["Linux", "other"], 1), cpu_time in 0_u64..3,
        min_ram_mb in 0_u64..3) -> TaskQueue {
        // A job has only one of two spellings of a tag.
        let mut spelt = std::collections::BTreeSet::new();
        let tags = tags.into_iter().filter(|tag| spelt.insert(key(tag))).collect();
        TaskQueue { id: 1, owner_group: "g".into(), jobs: 1, tags, sites, banned_sites, grid_ces, platforms, cpu_time, min_ram_mb,
            ..TaskQueue::default() }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn what_the_index_says_fits_fits_by_dirac_s_rules_and_the_other_way_round(
        all in prop::collection::vec(any_says(), 1..6), queue in any_queue(), cores in 1_u64..12,
    ) {
        let world = Snapshot {
            queues: vec![queue.clone()],
            vos: vec![Vo { groups: ["g".to_owned()].into(), ..Vo::default() }],
            ..Snapshot::default()
        };
        let demand = Demand::of(&world);
        let mut numbers = Numbers::default();
        let all: Vec<Arc<Says>> = all.into_iter().map(Arc::new).collect();
        let of: Vec<usize> = all.iter().map(|says| numbers.of(says)).collect();
        let index = Index::new(numbers, &demand.classes);
        let full = Free { cores, ram_mib: 2, gpus: 0, ..Free::default() };
        for (says, number) in all.iter().zip(of) {
            let fits = index.fits(0, &demand.classes[0], number, full, 2);
            let alone = fits_alone(&queue, says, full, 2);
            prop_assert!(!fits || alone, "{says:?}");
            // A pilot that says it has more processors than it has gets jobs that are too large for it: the plan does not buy for them.
            let honest = !says.tags.iter().any(|tag| is_of_size(tag) || says_any([tag]));
            prop_assert!(!honest || fits == alone, "{says:?}");
        }
    }
}
