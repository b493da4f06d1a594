//! Reading a scenario. Every error names the place.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use super::{Arrivals, Model, Scenario, manifest};

/// A scenario with its manifests resolved.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// That of its file, without the ending.
    pub name: String,
    /// The scenario as its file says it.
    pub words: Scenario,
    /// What the manifests say.
    pub model: Model,
}

/// Reads a file.
pub fn load(path: &Path) -> Result<Loaded> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    parse(&name, &text).with_context(|| path.display().to_string())
}

/// Reads a scenario from a text; `name` is what the figures call it.
pub fn parse(name: &str, text: &str) -> Result<Loaded> {
    let words: Scenario = serde_saphyr::from_str(text)?;
    ensure!(words.lasts.as_secs() > 0, "lasts is 0s: say how long the scenario lasts");
    ensure!(words.poll.as_secs() > 0, "poll is 0s: say how often the operator looks at the world");
    ensure!(words.dirac.polling_time.as_secs() > 0, "dirac.pollingTime is 0s: write 1s or more");
    ensure!(words.site_director.polling_time.as_secs() > 0, "siteDirector.pollingTime is 0s: write 1s or more");
    part("faults.hungPilots", words.faults.hung_pilots)?;
    for (name, cloud) in &words.clouds {
        let parts = [
            ("refused", cloud.refused),
            ("transient", cloud.transient),
            ("lostReply", cloud.lost_reply),
            ("errorState", cloud.error_state),
            ("neverBoots", cloud.never_boots),
            ("slowBoot", cloud.slow_boot),
        ];
        for (field, value) in parts {
            part(&format!("clouds.{name}.{field}"), value)?;
        }
        for (i, storm) in cloud.spot_storms.iter().enumerate() {
            part(&format!("clouds.{name}.spotStorms[{i}].part"), storm.part)?;
        }
        ensure!(cloud.power > 0.0, "clouds.{name}.power is {}: write a number above 0", cloud.power);
    }
    let model = manifest::model(&words)?;
    for (i, arrivals) in words.arrivals.iter().enumerate() {
        check(arrivals, &model).with_context(|| format!("arrivals[{i}]"))?;
    }
    Ok(Loaded { name: name.to_owned(), words, model })
}

fn part(place: &str, value: f64) -> Result<()> {
    ensure!((0.0..=1.0).contains(&value), "{place} is {value}: write a part, from 0 (never) to 1 (always)");
    Ok(())
}

fn check(arrivals: &Arrivals, model: &Model) -> Result<()> {
    ensure!(
        arrivals.jobs.is_some() != arrivals.per_hour.is_some(),
        "say how many jobs arrive: jobs (with at) for all at once, or perHour (with from and until), and not both"
    );
    ensure!(arrivals.cores >= 1, "cores is 0: a job needs 1 or more");
    ensure!(arrivals.priority <= 10, "priority is {}: DIRAC knows 0 to 10", arrivals.priority);
    part("diesEarly", arrivals.dies_early)?;
    if let Some(per_hour) = arrivals.per_hour {
        ensure!((0.0..=10_000_000.0).contains(&per_hour), "perHour is {per_hour}: write 0 to 10000000");
    }
    if model.vo_of(&arrivals.group).is_none() {
        bail!("group {:?} is in no VirtualOrganization of the manifests: add it to spec.groups of one", arrivals.group);
    }
    Ok(())
}
