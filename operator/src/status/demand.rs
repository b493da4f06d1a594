//! Waiting jobs that get no VM: what an installation, a VO or a pool says of them.

use std::collections::BTreeMap;

use broker::{demand::Unreadable, plan::Unmet};
use crds::{
    ConditionType, Reason,
    unmet::{MOST, UnmetDemand},
};

use crate::{
    amounts::whole,
    conditions::Conditions,
    known::installation::{Facts, Round},
    trouble::of_plan,
};

/// Unmet demand in the making.
#[derive(Debug, Default)]
pub struct Lacking {
    /// Waiting jobs that get no VM.
    pub jobs: u64,
    /// The entries of the status, sorted by their words: an order by numbers would change with every poll.
    pub entries: Vec<UnmetDemand>,
    /// The reason and the sentence of the entry with most jobs, and its jobs.
    pub worst: Option<(Reason, String, u64)>,
}

/// The unmet demand of a round that is `ours`. Equal entries are one.
pub fn lacking(round: &Round, ours: impl Fn(&Unmet) -> bool) -> Lacking {
    let mut jobs = 0_u64;
    let mut by_words: BTreeMap<(String, &str, String), (Reason, u64)> = BTreeMap::new();
    for unmet in round.plan.unmet.iter().filter(|unmet| ours(unmet)) {
        jobs = jobs.saturating_add(unmet.jobs);
        let reason = of_plan(unmet.reason);
        let words = (unmet.vo.clone(), reason.as_str(), unmet.message.clone());
        let (_, sum) = by_words.entry(words).or_insert((reason, 0));
        *sum = sum.saturating_add(unmet.jobs);
    }
    let worst = by_words.iter().max_by_key(|(_, (_, jobs))| *jobs);
    let worst = worst.map(|((_, _, message), (reason, jobs))| (*reason, message.clone(), *jobs));
    let entry = |((vo, _, message), (reason, jobs)): (_, (Reason, u64))| UnmetDemand {
        vo,
        jobs: whole(jobs),
        reason: reason.to_string(),
        message,
    };
    let mut entries: Vec<UnmetDemand> = by_words.into_iter().map(entry).collect();
    if entries.len() > MOST {
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.jobs));
        entries.truncate(MOST);
        entries.sort_by(|a, b| (&a.vo, &a.reason, &a.message).cmp(&(&b.vo, &b.reason, &b.message)));
    }
    Lacking { jobs, entries, worst }
}

/// The last round of an installation, if its demand is known now; else the reason and the sentence.
pub fn known(facts: Option<&Facts>) -> Result<&Round, (Reason, String)> {
    let Some(facts) = facts else {
        return Err((Reason::ReferenceMissing, "the DiracInstallation does not exist, so its jobs are unknown".into()));
    };
    if let Some(trouble) = facts.not_reached.as_ref().or(facts.demand_unknown.as_ref()) {
        return Err((Reason::DemandUnknown, format!("the task queues cannot be read: {}", trouble.message)));
    }
    let unread = || (Reason::NotRead, "the task queues have not been read yet".to_owned());
    facts.round.as_deref().ok_or_else(unread)
}

/// An error where task queues could not be read: whether their jobs have VMs is not known. What is known to be unmet is said first.
pub fn in_whole<'a>(round: &Round, lacking: &'a Lacking) -> Result<&'a Lacking, (Reason, String)> {
    match &round.unreadable {
        Some(unreadable) if lacking.entries.is_empty() => Err((Reason::ReadInPart, left_out(unreadable))),
        Some(_) | None => Ok(lacking),
    }
}

/// The sentence on task queues that could not be read.
pub fn left_out(unreadable: &Unreadable) -> String {
    let Unreadable { queues, example } = unreadable;
    match queues {
        1 => format!("1 task queue cannot be read, and its jobs get no VM: {example}"),
        n => format!("{n} task queues cannot be read, and their jobs get no VM, for example {example}"),
    }
}

/// Says whether the demand is met; `well` is the sentence when it is.
pub fn met(conditions: &mut Conditions, known: Result<&Lacking, (Reason, String)>, well: &str) {
    let lacking = match known {
        Ok(lacking) => lacking,
        Err((reason, text)) => return conditions.says(ConditionType::DemandMet, None, reason, &text),
    };
    let Some((reason, sentence, most)) = &lacking.worst else {
        return conditions.says(ConditionType::DemandMet, Some(true), Reason::Met, well);
    };
    let others = match lacking.entries.len() {
        1 => String::new(),
        2 => format!(" ({}; status.unmet has another entry)", jobs(*most)),
        n => format!(" ({}; status.unmet has {} more entries)", jobs(*most), n - 1),
    };
    let none = match lacking.jobs {
        1 => "1 waiting job gets".to_owned(),
        n => format!("{n} waiting jobs get"),
    };
    let text = format!("{none} no VM: {sentence}{others}");
    conditions.says(ConditionType::DemandMet, Some(false), *reason, &text);
}

fn jobs(n: u64) -> String {
    if n == 1 { "1 job".to_owned() } else { format!("{n} jobs") }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn equal_entries_are_one_and_their_order_is_that_of_words() {
        let unmet: Vec<_> = [("b", 1), ("a", 2), ("b", 3)].map(|(vo, jobs)| unmet(vo, jobs, "full".into())).into();
        let said = lacking(&round(unmet), |_| true);
        let short: Vec<_> = said.entries.iter().map(|e| (e.vo.as_str(), e.jobs)).collect();
        assert_eq!((said.jobs, short), (6, vec![("a", 2), ("b", 4)]));
    }

    #[test]
    fn of_many_entries_those_with_most_jobs_are_kept_and_all_jobs_are_counted() {
        let many = (0..80).map(|n| unmet("a", n + 1, format!("sentence {n}"))).collect();
        let said = lacking(&round(many), |_| true);
        let kept: HashSet<i64> = said.entries.iter().map(|e| e.jobs).collect();
        assert_eq!((said.jobs, kept.len()), (80 * 81 / 2, MOST));
        assert!(kept.iter().all(|jobs| *jobs > 30));
    }

    fn unmet(vo: &str, jobs: u64, message: String) -> Unmet {
        super::super::worlds_tests::unmet(vo, None, jobs, "NoMatch", &message)
    }
    fn round(unmet: Vec<Unmet>) -> Round {
        let plan = broker::plan::Plan { unmet, ..broker::plan::Plan::default() };
        Round { plan, ..Round::default() }
    }
}
