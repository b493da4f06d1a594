//! The operator as one more administrator of a real Configuration server: what it owns is written, people's edits stay, and a site that it
//! wrote gets a job.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use async_trait::async_trait;
use broker::{
    configuration::{
        Actor, Beside, Ce, CeQueue, Cfg, CommitError, Gate, Host, Kind, Master, Open, Outcome, Owned, Policy, Task,
        User, bring, wanted,
    },
    demand::diset::{ConfigurationMaster, Entry, Matcher, ResourceStatus},
    readiness::{Finding, Group, Inspect, Queue, Site, Size, State, Vo, Wanted, check},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::json;
use testbeds::systems::dirac::Dirac;

use super::{hands::wait_for, readiness::inspector};
use crate::{JDL, client};

const SITE: &str = "CLOUD.Paris.fr";
const CE: &str = "/Resources/Sites/CLOUD/CLOUD.Paris.fr/CEs/cpu.paris";
const QUEUE: &str = "/Resources/Sites/CLOUD/CLOUD.Paris.fr/CEs/cpu.paris/Queues/m1.large";
const PILOT: &str = "/Registry/Groups/biomed_pilot";
const OF_PEOPLE: &str = "/Operations/Defaults/Pilot/Version";

/// A site with a cloud and an HTCondorCE, a pilots' user, and a host.
fn manifests(cores: u64) -> (Wanted, Beside) {
    let group = |name: &str, property: &str| Group { name: name.into(), properties: vec![property.into()] };
    let pilots = Wanted {
        vos: vec![Vo {
            name: "biomed".into(),
            groups: vec![group("biomed_user", "NormalUser"), group("biomed_pilot", "GenericPilot")],
            pilot_group: "biomed_pilot".into(),
        }],
        sites: vec![Site { name: SITE.into() }],
        queues: vec![Queue {
            site: SITE.into(),
            ce: "cpu.paris".into(),
            name: "m1.large".into(),
            sizes: vec![Size { cores, ram_mib: 4_096 }],
            cpu_seconds: 86_400,
            end_seconds: 864_000,
            tags: vec!["GPU".into()],
            required_tags: vec![],
        }],
        ..Wanted::default()
    };
    let queue = CeQueue {
        name: "condor".into(),
        cpu_minutes: 1_440,
        cores: 1,
        vos: vec!["biomed".into()],
        ..CeQueue::default()
    };
    let beside = Beside {
        users: vec![User {
            name: "newpilot".into(),
            dn: "/C=ch/O=TestGrid/CN=newpilot".into(),
            email: None,
            groups: vec!["biomed_pilot".into()],
        }],
        hosts: vec![Host {
            name: "vm".into(),
            dn: "/C=ch/O=TestGrid/CN=vm".into(),
            properties: vec!["GenericPilot".into()],
        }],
        ces: vec![Ce { site: SITE.into(), name: "htc01.paris".into(), kind: Kind::HtCondor, queues: vec![queue] }],
    };
    (pilots, beside)
}

/// The operator, as a user in this group.
struct Operator<'a> {
    dirac: &'a Dirac,
    group: &'a str,
}

impl Operator<'_> {
    async fn brings(
        &self,
        wanted: &(dyn Fn(&Cfg) -> Owned + Send + Sync),
        last: &Owned,
        policy: Policy,
        gate: &dyn Gate,
    ) -> Result<Outcome, CommitError> {
        let credentials = self.dirac.credentials("user").unwrap();
        let master = ConfigurationMaster::new(client(self.dirac, "CONFIGURATION", self.group, &credentials, 30));
        let actor =
            Actor { dn: credentials.subject(), group: self.group.into(), author: "dirac-operator dirac/egi".into() };
        let before = master.version().await.unwrap();
        let outcome = bring(&master, &Task { wanted, last, policy, actor: &actor, gate }).await?;
        let after = master.version().await.unwrap();
        assert!(outcome.is_confirmed);
        assert_eq!(
            (outcome.version(), before < after),
            (after.as_str(), !outcome.changed.is_empty()),
            "{before} {after}"
        );
        Ok(outcome)
    }

    /// What the manifests say, with so many cores.
    async fn brings_manifests(&self, cores: u64, last: &Owned, policy: Policy) -> Outcome {
        let (pilots, beside) = manifests(cores);
        let all = |cfg: &Cfg| {
            let (owned, unfit) = wanted(cfg, &pilots, &beside);
            assert_eq!(unfit, []);
            owned
        };
        self.brings(&all, last, policy, &Open).await.unwrap()
    }
}

pub async fn the_operator_is_one_more_administrator(dirac: &Dirac) {
    texts_are_read_and_written_as_dirac_does(dirac);
    let operator = Operator { dirac, group: "dirac_admin" };
    who_lacks_the_right_is_told_where_to_add_it(dirac).await;

    let of_people = format!("{OF_PEOPLE}=9.1.22");
    dirac.edit_configuration(&[&of_people]).unwrap();
    let before = operator.brings(&|_| Owned::default(), &Owned::default(), Policy::PutBack, &Open).await.unwrap().cfg;
    let added = operator.brings_manifests(2, &Owned::default(), Policy::PutBack).await;
    assert_eq!((added.edits.len(), added.cfg.option(&format!("{CE}/CEType"))), (0, Some("Cloud")));
    assert_eq!(added.cfg.list(&format!("{PILOT}/Users")), ["bpilot", "newpilot"], "people's user is still there");
    assert_eq!(dirac.configuration().unwrap(), added.cfg.to_string(), "what is served is what we read");
    let changed = operator.brings_manifests(4, &added.applied, Policy::PutBack).await;
    assert_eq!(changed.changed, [format!("{QUEUE}/NumberOfProcessors")]);

    let last = edits_are_named_and_left_or_put_back(&operator, changed.applied).await;
    let last = a_clash_is_planned_anew(&operator, last).await;
    dirac.edit_configuration(&[&of_people, &format!("{QUEUE}/CPUNormalizationFactor")]).unwrap();
    a_site_that_was_written_gets_a_job(dirac).await;

    let gone = operator.brings(&|_| Owned::default(), &last, Policy::PutBack, &Open).await.unwrap();
    assert_eq!((gone.edits.len(), gone.applied.is_empty()), (0, true));
    assert_eq!(plain(&gone.cfg), plain(&before), "nothing of ours is left, and all of theirs");
}

/// Without the version, and without who wrote an entry last.
fn plain(cfg: &Cfg) -> String {
    let is_theirs = |line: &&str| !line.contains("#@@-dirac-operator") && !line.trim().starts_with("Version = 20");
    cfg.to_string().lines().filter(is_theirs).collect::<Vec<_>>().join("\n")
}

/// A text that is served is written byte by byte, and any other one as DIRAC writes it.
fn texts_are_read_and_written_as_dirac_does(dirac: &Dirac) {
    const PIECES: [&str; 16] = [
        "a\n{\n",
        "my b {\n",
        "}\n",
        "}\n",
        "c = d\n",
        "c = x, y,,z \n",
        "c += e=f\n",
        "d=\n",
        "# words # of people\n",
        "##\n",
        "\n",
        "  e += g\n",
        "e = /C=ch/CN={x}\n",
        "e = #1\n",
        "{",
        "f",
    ];
    let mut dice = StdRng::seed_from_u64(7);
    let texts: Vec<String> = (0..2_000)
        .map(|_| (0..dice.random_range(1..14)).map(|_| PIECES[dice.random_range(0..PIECES.len())]).collect())
        .collect();
    let (mut read, mut compared) = (0, 0);
    for (text, theirs) in texts.iter().zip(dirac.rewritten(&texts).unwrap()) {
        // An option that takes the place of a section is an error for us, and no text that is served has it.
        let Ok(ours) = Cfg::parse(text) else { continue };
        compared += 1;
        read += usize::from(theirs.is_some());
        assert_eq!(Some(ours.to_string()), theirs, "{text}");
    }
    assert!(compared > 100, "{compared} of {} texts were compared", texts.len());
    eprintln!("configuration: {read} of {} texts are read and written as DIRAC does", texts.len());
}

async fn who_lacks_the_right_is_told_where_to_add_it(dirac: &Dirac) {
    let weak = Operator { dirac, group: "biomed_user" };
    let (pilots, beside) = manifests(2);
    let refused = weak.brings(&|cfg| wanted(cfg, &pilots, &beside).0, &Owned::default(), Policy::PutBack, &Open).await;
    let CommitError::NotAdministrator { place, said } = refused.unwrap_err() else { panic!("it is refused") };
    assert_eq!(place, "/Registry/Groups/biomed_user/Properties");
    assert!(said.contains("Unauthorized"), "{said}");
}

/// A second administrator changes one of our options, takes another one out, and adds one of their own.
async fn edits_are_named_and_left_or_put_back(operator: &Operator<'_>, last: Owned) -> Owned {
    let (cores, memory) = (format!("{QUEUE}/NumberOfProcessors"), format!("{QUEUE}/MaxRAM"));
    let theirs = format!("{QUEUE}/CPUNormalizationFactor");
    operator.dirac.edit_configuration(&[&format!("{cores}=64"), &memory, &format!("{theirs}=12.5")]).unwrap();
    let left = operator.brings_manifests(4, &last, Policy::Leave).await;
    let named: Vec<_> = left.edits.iter().map(|d| (d.path.as_str(), d.ours.as_deref(), d.theirs.as_deref())).collect();
    let expected = [(memory.as_str(), Some("4096"), None), (cores.as_str(), Some("4"), Some("64"))];
    assert_eq!((named.as_slice(), left.changed.len()), (expected.as_slice(), 0));
    let back = operator.brings_manifests(4, &left.applied, Policy::PutBack).await;
    assert_eq!((back.edits.len(), &back.changed), (2, &vec![memory, cores.clone()]));
    let words: Vec<&str> = back.cfg.comment(&cores).collect();
    assert_eq!(words, ["people's words", "@@-dirac-operator dirac/egi"]);
    assert_eq!(back.cfg.option(&theirs), Some("12.5"));
    back.applied
}

/// Lets a second administrator commit after the operator has read, once.
struct Meanwhile<'a>(&'a Dirac, Mutex<usize>);

#[async_trait]
impl Gate for Meanwhile<'_> {
    async fn passes(&self, _new: &Cfg) -> Result<(), String> {
        let mut looked = self.1.lock().unwrap();
        *looked += 1;
        if *looked == 1 {
            self.0.edit_configuration(&[&format!("{OF_PEOPLE}=9.1.23")]).map_err(|e| format!("{e:#}"))?;
        }
        Ok(())
    }
}

async fn a_clash_is_planned_anew(operator: &Operator<'_>, last: Owned) -> Owned {
    let (pilots, beside) = manifests(8);
    let gate = Meanwhile(operator.dirac, Mutex::default());
    let all = |cfg: &Cfg| wanted(cfg, &pilots, &beside).0;
    let done = operator.brings(&all, &last, Policy::PutBack, &gate).await.unwrap();
    let looked = *gate.1.lock().unwrap();
    assert_eq!((looked, done.cfg.option(OF_PEOPLE), done.edits.len()), (2, Some("9.1.23"), 0));
    assert_eq!(done.cfg.option(&format!("{QUEUE}/NumberOfProcessors")), Some("8"));
    done.applied
}

async fn a_site_that_was_written_gets_a_job(dirac: &Dirac) {
    let user = dirac.credentials("user").unwrap();
    let mask = |group: &str| ResourceStatus::new(client(dirac, "RESOURCESTATUS", group, &user, 30));
    let sites = BTreeSet::from([SITE.to_owned(), "LCG.Banned.fr".to_owned()]);
    let banned = "insert into ResourceStatusDB.SiteStatus (Name, Status, ElementType, DateEffective) values ('LCG.Banned.fr', 'Banned', 'Site', now())";
    dirac.sql(banned).unwrap();
    let matcher = Matcher::new(client(dirac, "MATCHER", "biomed_admin", &user, 30));
    let resource = json!({"Site": SITE, "CPUTime": 86_400, "Tag": ["GPU"], "Platform": "x86_64"});

    let weak = mask("biomed_user").enter(&sites, "VMs of dirac-operator").await.unwrap_err();
    assert!(weak.to_string().contains("addIfNotThere"), "{weak}");
    let had = Entry::Had("Banned".into());
    let entered = mask("dirac_admin").enter(&sites, "VMs of dirac-operator").await.unwrap();
    assert_eq!(entered, BTreeMap::from([(SITE.to_owned(), Entry::Made), ("LCG.Banned.fr".to_owned(), had.clone())]));
    let again = mask("dirac_admin").enter(&sites, "VMs of dirac-operator").await.unwrap();
    assert_eq!(
        again,
        BTreeMap::from([(SITE.to_owned(), Entry::Had("Active".into())), ("LCG.Banned.fr".to_owned(), had)])
    );

    let said = inspector(dirac, "user", "biomed_admin").inspect().await;
    let of_site = Wanted { sites: manifests(8).0.sites, queues: manifests(8).0.queues, ..Wanted::default() };
    let lacking: Vec<Finding> = check(&said, &of_site)
        .into_iter()
        .filter(|f| f.state != State::Met && !f.place.starts_with("/Registry"))
        .collect();
    assert_eq!(lacking, [], "DIRAC has all that pilots of the site need");
    dirac.submit("biomed_user", 1, &JDL.replace("@TAGS@", "")).unwrap();
    wait_for(&matcher, 1).await;
    assert!(dirac.request_job("biomed_pilot", &resource).unwrap().is_some(), "the Matcher gives it a job");
}
