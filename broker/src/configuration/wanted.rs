//! What we want in DIRAC's configuration, as the manifests say it. For clouds it is what readiness says that DIRAC lacks: the same lines that
//! people are told to add. Pure.

use std::collections::BTreeSet;

use super::{
    Cfg,
    cfg::list,
    owned::{Owned, Unfit, Value},
};
use crate::readiness::{self, Finding, Site, State, Wanted};

/// Options that are lists in which people may have values of their own.
const SHARED: [&str; 4] = ["Properties", "Tag", "Users", "VO"];
/// Power of a core of which nobody said how powerful it is (`QueueUtilities.getQueuesResolved`: CPU time is counted in units of 250).
const UNIT_OF_POWER: &str = "250";

/// What the manifests say beside what pilots on VMs need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// Users, for example those whose credentials pilots have.
    pub users: Vec<User>,
    /// Hosts with a certificate.
    pub hosts: Vec<Host>,
    /// Computing elements that are no cloud.
    pub ces: Vec<Ce>,
}

/// A user of DIRAC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// The name in the certificate, as DIRAC writes it.
    pub dn: String,
    /// The address for mail.
    pub email: Option<String>,
    /// The groups of which it is a member.
    pub groups: Vec<String>,
}

/// A host that calls DIRAC's services.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// The name in its certificate.
    pub dn: String,
    /// What it may do.
    pub properties: Vec<String>,
}

/// A computing element that is no cloud, and that DIRAC reaches by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ce {
    /// DIRAC's name of its site.
    pub site: String,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: Kind,
    /// Its queues.
    pub queues: Vec<CeQueue>,
}

/// Kinds of computing elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// HTCondor's.
    HtCondor,
    /// ARC's, by its REST interface.
    Arex,
    /// A machine that is entered by SSH.
    Ssh,
    /// A SLURM whose machine is entered by SSH.
    Slurm,
}

/// A queue of a computing element that is no cloud.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CeQueue {
    /// Its name.
    pub name: String,
    /// The longest CPU time of a job, in minutes.
    pub cpu_minutes: u64,
    /// Cores that a pilot gets.
    pub cores: u64,
    /// Tags that it offers.
    pub tags: Vec<String>,
    /// Tags that a job must have.
    pub required_tags: Vec<String>,
    /// VOs that may use it, by their names in DIRAC.
    pub vos: Vec<String>,
}

/// What is ours in this configuration by what the manifests say, and what of it cannot stand in one.
///
/// Where people have written what the manifests accept, for example the memory of a flavor in MB, that is what we want.
pub fn wanted(current: &Cfg, pilots: &Wanted, beside: &Beside) -> (Owned, Vec<Unfit>) {
    let mut here = Here { current, owned: Owned::default(), unfit: Vec::new() };
    here.pilots(pilots);
    beside.users.iter().for_each(|user| here.user(user));
    beside.hosts.iter().for_each(|host| here.host(host));
    beside.ces.iter().for_each(|ce| here.ce(ce));
    (here.owned, here.unfit)
}

struct Here<'a> {
    current: &'a Cfg,
    owned: Owned,
    unfit: Vec<Unfit>,
}

impl Here<'_> {
    fn own(&mut self, path: &str, value: Value) {
        self.unfit.extend(self.owned.own(path, value).err());
    }

    /// Whether this can be one name in a path. Providers and people choose the names of queues.
    fn is_name(&mut self, name: &str) -> bool {
        let is_name = !name.contains('/');
        if !is_name {
            self.unfit.push(Unfit::Path(name.to_owned()));
        }
        is_name
    }

    /// The option has this value, or has it among others where it is a shared list.
    fn option(&mut self, path: &str, value: &str) {
        let value = if is_shared(path) { has([value]) } else { Value::Is(value.to_owned()) };
        self.own(path, value);
    }

    /// What pilots on VMs need: all that a DIRAC lacks that knows nothing, apart from what this one has in a form that will do.
    fn pilots(&mut self, pilots: &Wanted) {
        let found = readiness::configured(self.current, pilots);
        for finding in readiness::configured(&Cfg::default(), pilots) {
            for (path, value) in &finding.options {
                match self.current.option(path) {
                    Some(theirs) if will_do(&found, path) => {
                        // Of a list some values may stand at the computing element.
                        let (needed, there) = (list(value), list(theirs));
                        let both = needed.into_iter().filter(|one| there.contains(one));
                        let value = if is_shared(path) { has(both) } else { Value::Is(theirs.to_owned()) };
                        self.own(path, value);
                    }
                    None if will_do(&found, path) => {}
                    _ => self.option(path, value),
                }
            }
        }
        for (path, _) in &pilots.unknown {
            self.unfit.extend(self.owned.unsure(path).err());
        }
    }

    fn user(&mut self, user: &User) {
        if !self.is_name(&user.name) {
            return;
        }
        let path = format!("/Registry/Users/{}", user.name);
        self.option(&format!("{path}/DN"), &user.dn);
        if let Some(email) = &user.email {
            self.option(&format!("{path}/Email"), email);
        }
        for group in user.groups.iter() {
            self.option(&format!("/Registry/Groups/{group}/Users"), &user.name);
        }
    }

    fn host(&mut self, host: &Host) {
        if !self.is_name(&host.name) {
            return;
        }
        let path = format!("/Registry/Hosts/{}", host.name);
        self.option(&format!("{path}/DN"), &host.dn);
        self.own(&format!("{path}/Properties"), has(&host.properties));
    }

    fn ce(&mut self, ce: &Ce) {
        if !self.is_name(&ce.name) {
            return;
        }
        let path = format!("{}/CEs/{}", Site::path(&ce.site), ce.name);
        let (kind, batch) = match ce.kind {
            Kind::HtCondor => ("HTCondorCE", None),
            Kind::Arex => ("AREX", None),
            Kind::Ssh => ("SSH", None),
            Kind::Slurm => ("SSH", Some("SLURM")),
        };
        self.option(&format!("{path}/CEType"), kind);
        if let Some(batch) = batch {
            self.option(&format!("{path}/BatchSystem"), batch);
        }
        for queue in &ce.queues {
            if !self.is_name(&queue.name) {
                continue;
            }
            let path = format!("{path}/Queues/{}", queue.name);
            self.option(&format!("{path}/maxCPUTime"), &queue.cpu_minutes.to_string());
            self.option(&format!("{path}/NumberOfProcessors"), &queue.cores.to_string());
            // Who knows the machines knows how powerful they are.
            let power = format!("{path}/SI00");
            let said = self.current.option(&power).unwrap_or(UNIT_OF_POWER).to_owned();
            self.option(&power, &said);
            self.own(&format!("{path}/Tag"), has(&queue.tags));
            self.own(&format!("{path}/VO"), has(&queue.vos));
            if !queue.required_tags.is_empty() {
                self.option(&format!("{path}/RequiredTag"), &queue.required_tags.join(", "));
            }
        }
    }
}

/// Whether what stands at this path will do: it was found so, or that its section is there at all.
fn will_do(found: &[Finding], path: &str) -> bool {
    let section = path.rsplit_once('/').map_or("", |(section, _)| section);
    let is = |place: &str, state| found.iter().any(|finding| finding.place == place && finding.state == state);
    !is(path, State::Missing) && (is(path, State::Met) || is(section, State::Met))
}

fn is_shared(path: &str) -> bool {
    path.rsplit_once('/').is_some_and(|(_, name)| SHARED.contains(&name))
}

fn has<T: AsRef<str>>(all: impl IntoIterator<Item = T>) -> Value {
    Value::Has(all.into_iter().map(|one| one.as_ref().to_owned()).collect::<BTreeSet<_>>())
}

#[cfg(test)]
#[path = "wanted_tests.rs"]
mod tests;
