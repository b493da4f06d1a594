//! What the pilots say of themselves, and which task queues agree: found out once for each pair.

use std::collections::HashMap;

use crate::{
    dirac::{Ask, Definition, Description, is_large_enough, lists_agree},
    scenario::Model,
};

use super::{Alone, Order};

/// What pilots alike say, and what is known of the definitions.
struct Profile {
    description: Description,
    /// By definition and free processors: unknown, no, yes.
    known: Vec<Vec<u8>>,
}

/// Which task queues match which pilots, remembered for each pair of a definition and what pilots say.
#[derive(Default)]
pub struct MatchMaker {
    profiles: Vec<Profile>,
    numbers: HashMap<(usize, usize, Option<Alone>), usize>,
}

impl MatchMaker {
    /// The number of the profile of the pilot of a VM that is ordered so.
    pub fn profile(&mut self, model: &Model, order: &Order) -> usize {
        let Order { pool, vo, alone, .. } = *order;
        let next = self.profiles.len();
        let number = *self.numbers.entry((pool, vo, alone)).or_insert(next);
        if number == next {
            let mut description = describe(model, pool, vo);
            description.required_tags.extend(alone.map(Alone::tag));
            self.profiles.push(Profile { description, known: Vec::new() });
        }
        number
    }

    /// Whether jobs of this definition match a pilot of this profile. `is_banned`: its site is banned, and so it asks for jobs of the
    /// type Test alone (`Matcher._checkMask`).
    pub fn suits(&mut self, profile: usize, ask: Ask, is_banned: bool, number: usize, definition: &Definition) -> bool {
        if !is_large_enough(definition, ask.cpu_time, Some(ask.max_ram)) {
            return false;
        }
        let Profile { description, known } = &mut self.profiles[profile];
        if is_banned {
            let tests = Description { job_type: vec!["Test".to_owned()], ..description.clone() };
            return lists_agree(definition, &tests, ask.processors);
        }
        if known.len() <= number {
            known.resize(number + 1, Vec::new());
        }
        let (of, processors) = (&mut known[number], ask.processors as usize);
        if of.len() <= processors {
            of.resize(processors + 1, 0);
        }
        if of[processors] == 0 {
            of[processors] = 1 + u8::from(lists_agree(definition, description, ask.processors));
        }
        of[processors] == 2
    }
}

/// What a pilot says, apart from what changes while it runs. The fields are those of `JobAgent._setCEDict` and
/// `ComputingElement.getDescription`, and the groups those of its VO (`Matcher._checkCredentials`).
pub fn describe(model: &Model, pool: usize, vo: usize) -> Description {
    let pool = &model.pools[pool];
    Description {
        site: vec![pool.site.clone()],
        grid_ce: vec![pool.ce.clone()],
        platform: pool.platform.iter().cloned().collect(),
        job_type: Vec::new(),
        tags: Some(pool.tags.clone()),
        required_tags: pool.required_tags.clone(),
        owner_groups: model.vos[vo].groups.clone(),
        whole_node: true,
        processors: 0,
        cpu_time: 0,
        max_ram: None,
    }
}
