use std::sync::Mutex;

use super::*;
use crate::configuration::Value;

const WHO: &str = "dirac-operator dirac/egi";

/// What happens when somebody commits.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    /// It is done.
    Done,
    /// Somebody else was there first, who set `/People` to the number of this commit.
    Clash,
    /// It is answered with yes, and overwritten by a commit of the same moment.
    Lost,
    /// It is done, and then nobody can read it.
    Deaf,
    /// It is refused.
    Refused,
}

/// A server with a configuration, and what becomes of each commit to it; the last one's fate is that of all further ones.
struct Server {
    cfg: Mutex<Cfg>,
    fates: Vec<Fate>,
    commits: Mutex<Vec<String>>,
    is_deaf: Mutex<bool>,
}

impl Server {
    fn new(text: &str, fates: &[Fate]) -> Self {
        let cfg = Mutex::new(Cfg::parse(text).unwrap());
        Self { cfg, fates: fates.to_vec(), commits: Mutex::default(), is_deaf: Mutex::default() }
    }

    fn commits(&self) -> usize {
        self.commits.lock().unwrap().len()
    }

    fn option(&self, path: &str) -> Option<String> {
        self.cfg.lock().unwrap().option(path).map(str::to_owned)
    }
}

fn unreachable() -> Refusal {
    Refusal::Failed { fault: Fault::Unreachable, message: "it cannot be reached".into() }
}

#[async_trait]
impl Master for Server {
    async fn version(&self) -> Result<String, Refusal> {
        Ok(self.commits().to_string())
    }

    async fn read(&self) -> Result<Cfg, Refusal> {
        if *self.is_deaf.lock().unwrap() {
            return Err(unreachable());
        }
        Ok(self.cfg.lock().unwrap().clone())
    }

    async fn commit(&self, cfg: &Cfg) -> Result<(), Refusal> {
        let mut commits = self.commits.lock().unwrap();
        commits.push(cfg.to_string());
        let number = commits.len();
        let mut here = self.cfg.lock().unwrap();
        match *self.fates.get(number - 1).or(self.fates.last()).unwrap() {
            Fate::Done => *here = cfg.clone(),
            Fate::Clash => {
                here.set("/People", &number.to_string());
                return Err(Refusal::Clash("versions differ".into()));
            }
            Fate::Lost => here.set("/People", &number.to_string()),
            Fate::Deaf => {
                *here = cfg.clone();
                *self.is_deaf.lock().unwrap() = true;
            }
            Fate::Refused => return Err(Refusal::NotAllowed("Unauthorized query".into())),
        }
        here.set(VERSION, &number.to_string());
        Ok(())
    }
}

fn wanted(_: &Cfg) -> Owned {
    let mut owned = Owned::default();
    for (path, value) in [("/S/a", "1"), ("/S/b", "2")] {
        owned.own(path, Value::Is(value.into())).unwrap();
    }
    owned
}

async fn brought(server: &Server, last: &Owned, gate: &dyn Gate) -> Result<Outcome, CommitError> {
    let actor = Actor { dn: Some("/CN=operator.example.org".into()), group: "hosts".into(), author: WHO.into() };
    let task = Task { wanted: &wanted, last, policy: Policy::PutBack, actor: &actor, gate };
    bring(server, &task).await
}

#[tokio::test]
async fn all_goes_in_one_commit_which_is_read_again_and_then_nothing_is_left_to_do() {
    let server = Server::new("#theirs\nPeople = 0\n", &[Fate::Done]);
    let done = brought(&server, &Owned::default(), &Open).await.unwrap();
    assert_eq!((server.commits(), done.is_confirmed, done.version()), (1, true, "1"));
    assert_eq!(done.changed, ["/S", "/S/a", "/S/b"]);
    assert_eq!(done.cfg.to_string().lines().take(2).collect::<Vec<_>>(), ["#theirs", "People = 0"]);
    let again = brought(&server, &done.applied, &Open).await.unwrap();
    assert_eq!((server.commits(), again.applied, again.changed.len()), (1, done.applied, 0));
}

#[tokio::test]
async fn after_a_clash_it_is_planned_anew_on_what_the_others_wrote() {
    let server = Server::new("People = 0\n", &[Fate::Clash, Fate::Clash, Fate::Done]);
    let done = brought(&server, &Owned::default(), &Open).await.unwrap();
    assert_eq!((server.commits(), done.cfg.option("/People"), done.edits.len()), (3, Some("2"), 0));
    let never = Server::new("People = 0\n", &[Fate::Clash]);
    let error = brought(&never, &Owned::default(), &Open).await.unwrap_err();
    assert_eq!((never.commits(), error), (ATTEMPTS, CommitError::Clash("versions differ".into())));
}

#[tokio::test]
async fn a_commit_that_another_one_overwrote_is_made_again() {
    let server = Server::new("People = 0\n", &[Fate::Lost, Fate::Done]);
    let done = brought(&server, &Owned::default(), &Open).await.unwrap();
    assert_eq!((server.commits(), server.option("/S/a"), done.cfg.option("/People")), (2, Some("1".into()), Some("1")));
    let lost: Vec<_> = done.edits.iter().map(|d| (d.path.as_str(), d.theirs.as_deref())).collect();
    assert_eq!(lost, [("/S/a", None), ("/S/b", None)], "somebody took it out, and it is said");
    let always = Server::new("People = 0\n", &[Fate::Lost]);
    let done = brought(&always, &Owned::default(), &Open).await.unwrap();
    assert_eq!((always.commits(), done.is_confirmed), (ATTEMPTS, false));
}

#[tokio::test]
async fn what_was_committed_is_known_although_it_could_not_be_read_again() {
    let server = Server::new("", &[Fate::Deaf]);
    let done = brought(&server, &Owned::default(), &Open).await.unwrap();
    assert_eq!((done.is_confirmed, done.applied.get("/S/b")), (false, Some(&Value::Is("2".into()))));
    let error = brought(&server, &done.applied, &Open).await.unwrap_err();
    assert_eq!(error, CommitError::Failed { fault: Fault::Unreachable, message: "it cannot be reached".into() });
}

#[tokio::test]
async fn without_the_right_it_is_said_where_it_must_be_added() {
    let registered = "Registry\n{\nHosts\n{\nours\n{\nDN = /CN=operator.example.org\n}\n}\n}\n";
    for (text, place) in
        [(registered, "/Registry/Hosts/ours/Properties"), ("", "/Registry/Hosts/operator.example.org/Properties")]
    {
        let server = Server::new(text, &[Fate::Refused]);
        let error = brought(&server, &Owned::default(), &Open).await.unwrap_err();
        assert_eq!((server.commits(), server.option("/S/a")), (1, None));
        let words = format!(
            "DIRAC does not let us change its configuration (Unauthorized query): add CSAdministrator to {place}"
        );
        assert_eq!(error.to_string(), words);
    }
}

struct Closed;

#[async_trait]
impl Gate for Closed {
    async fn passes(&self, new: &Cfg) -> Result<(), String> {
        Err(format!("DiracX cannot read /S/a = {}", new.option("/S/a").unwrap_or_default()))
    }
}

#[tokio::test]
async fn what_does_not_pass_is_not_committed() {
    let server = Server::new("", &[Fate::Done]);
    let error = brought(&server, &Owned::default(), &Closed).await.unwrap_err();
    assert_eq!((server.commits(), error), (0, CommitError::NotPassed("DiracX cannot read /S/a = 1".into())));
}
