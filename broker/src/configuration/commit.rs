//! What we own is brought into DIRAC's configuration: read, plan, let somebody look at it, commit, and read again.
//!
//! A Configuration server takes a whole text, and only one that was made from the version that it has. It compares versions and writes
//! without a lock, so that of two commits at one moment one may be lost: therefore a commit counts once it has been read again.

use async_trait::async_trait;

use super::{
    Cfg,
    owned::Owned,
    plan::{Edit, Policy, plan},
};
use crate::{demand::Fault, readiness};

/// How often it is begun anew when others commit in between.
const ATTEMPTS: usize = 5;
/// Where the version stands.
const VERSION: &str = "/DIRAC/Configuration/Version";

/// The Configuration server that takes commits: the master.
#[async_trait]
pub trait Master: Send + Sync {
    /// The version that it has, at little cost. It is another one after each commit.
    async fn version(&self) -> Result<String, Refusal>;
    /// The whole configuration.
    async fn read(&self) -> Result<Cfg, Refusal>;
    /// Writes the whole configuration, in one commit.
    async fn commit(&self, cfg: &Cfg) -> Result<(), Refusal>;
}

/// Why the server did not do it. No text holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Somebody else committed since it was read. DIRAC's words.
    Clash(String),
    /// We may not commit. DIRAC's words.
    NotAllowed(String),
    /// It is not the master. DIRAC's words.
    NotMaster(String),
    /// Anything else.
    Failed {
        /// What went wrong.
        fault: Fault,
        /// A sentence that names the address and what to do.
        message: String,
    },
}

/// Looks at a configuration before it is committed, for example whether DiracX can read it.
#[async_trait]
pub trait Gate: Send + Sync {
    /// Why it must not be committed.
    async fn passes(&self, new: &Cfg) -> Result<(), String>;
}

/// Everything passes.
pub struct Open;

#[async_trait]
impl Gate for Open {
    async fn passes(&self, _new: &Cfg) -> Result<(), String> {
        Ok(())
    }
}

/// As whom we act.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    /// The name in our certificate, as DIRAC writes it; `None` where it could not be read.
    pub dn: Option<String>,
    /// Our DIRAC group, or `hosts`.
    pub group: String,
    /// Who signs what we write, for example `dirac-operator dirac/egi`. Another operator has another name.
    pub author: String,
}

/// What is to be brought into the configuration.
pub struct Task<'a> {
    /// What we want, by what stands there.
    pub wanted: &'a (dyn Fn(&Cfg) -> Owned + Send + Sync),
    /// What the last [`Outcome`] said that was ours.
    pub last: &'a Owned,
    /// What is done about what somebody else changed.
    pub policy: Policy,
    /// As whom we act.
    pub actor: &'a Actor,
    /// Who looks at it before.
    pub gate: &'a dyn Gate,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The configuration as it is now.
    pub cfg: Cfg,
    /// What in it is ours: the [`Task::last`] of the next time.
    pub applied: Owned,
    /// What somebody else changed, with what was done about it.
    pub edits: Vec<Edit>,
    /// Paths that were changed.
    pub changed: Vec<String>,
    /// Whether it was read again after the last commit. Where that failed, the next time shows whether all is there.
    pub is_confirmed: bool,
}

impl Outcome {
    /// The version of the configuration.
    pub fn version(&self) -> &str {
        self.cfg.option(VERSION).unwrap_or_default()
    }
}

/// Why what we own is not in the configuration. Nothing was changed, unless it says so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// The right lacks.
    #[error("DIRAC does not let us change its configuration ({said}): add CSAdministrator to {place}")]
    NotAdministrator {
        /// The option that lacks it.
        place: String,
        /// DIRAC's words.
        said: String,
    },
    /// The server only copies another one's configuration.
    #[error("the Configuration server takes no changes ({0}): give the address of the master")]
    NotMaster(String),
    /// Others committed each time.
    #[error(
        "others changed DIRAC's configuration each of {ATTEMPTS} times while it was being written ({0}); it is tried again"
    )]
    Clash(String),
    /// Whoever looked at it says no.
    #[error("{0}")]
    NotPassed(String),
    /// The server could not be asked, or did not answer.
    #[error("{message}")]
    Failed {
        /// What went wrong.
        fault: Fault,
        /// A sentence that names the address and what to do.
        message: String,
    },
}

/// Brings what we own into the configuration, all in one commit. Nothing is committed where all is there.
pub async fn bring(master: &dyn Master, task: &Task<'_>) -> Result<Outcome, CommitError> {
    let mut last = task.last.clone();
    let (mut edits, mut changed, mut clash) = (Vec::new(), Vec::new(), String::new());
    let mut written: Option<Cfg> = None;
    for _ in 0..ATTEMPTS {
        let current = match master.read().await {
            Ok(current) => current,
            Err(refusal) if written.is_none() => return Err(refusal.into_error(task.actor, &Cfg::default())),
            Err(_) => break,
        };
        let changes = plan(&current, &(task.wanted)(&current), &last, task.policy, &task.actor.author);
        note(&mut edits, &changes.edits);
        if changes.is_empty() {
            return Ok(Outcome { cfg: current, applied: changes.applied, edits, changed, is_confirmed: true });
        }
        let new = changes.made_in(&current, &task.actor.author);
        task.gate.passes(&new).await.map_err(CommitError::NotPassed)?;
        match master.commit(&new).await {
            Ok(()) => {
                changed.extend(changes.steps().map(|(path, _)| path.to_owned()));
                last = changes.applied;
                written = Some(new);
            }
            Err(Refusal::Clash(said)) => clash = said,
            Err(refusal) => return Err(refusal.into_error(task.actor, &current)),
        }
    }
    match written {
        Some(cfg) => Ok(Outcome { cfg, applied: last, edits, changed, is_confirmed: false }),
        None => Err(CommitError::Clash(clash)),
    }
}

/// Takes in what somebody else changed: of each path what was found first.
fn note(all: &mut Vec<Edit>, more: &[Edit]) {
    for edit in more {
        if all.iter().all(|one| one.path != edit.path) {
            all.push(edit.clone());
        }
    }
}

impl Refusal {
    fn into_error(self, actor: &Actor, cfg: &Cfg) -> CommitError {
        match self {
            Self::Clash(said) => CommitError::Clash(said),
            Self::NotMaster(said) => CommitError::NotMaster(said),
            Self::NotAllowed(said) => {
                CommitError::NotAdministrator { place: readiness::rights(cfg, actor.dn.as_deref(), &actor.group), said }
            }
            Self::Failed { fault, message } => CommitError::Failed { fault, message },
        }
    }
}

#[cfg(test)]
#[path = "commit_tests.rs"]
mod tests;
