//! Sites that are entered with the access token of an OpenID provider, as those of EGI FedCloud: a real Keystone behind mod_auth_openidc.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use broker::{
    clock::Clock,
    cloud::{
        Cloud, CloudError, Owner, VmState, Wanted,
        openstack::{
            Config, Credential, NameOrId, OpenStackCloud, Project,
            oidc::{Client, Grant, Identity, Keeps, Kept},
        },
    },
};
use secrecy::{ExposeSecret, SecretString};
use testbeds::systems::openstack::{
    OpenStack, PROJECT, TINY,
    federation::{CLIENT, CLIENT_SECRET, Federation, PROTOCOL, PROVIDER, TINY_VO},
};

use super::real::driver;
use crate::{listed, nothing_left, order, password};

/// Longer than a token of the Keystone of short ones lives.
const SHORT: Duration = Duration::from_secs(6);
const CLUSTER: &str = "federated";

/// Where the token is kept, in place of a Secret.
#[derive(Clone, Default)]
struct Shelf {
    token: Arc<Mutex<String>>,
    /// Whether it takes nothing.
    is_full: Arc<Mutex<bool>>,
}

impl Shelf {
    fn with(token: String) -> Self {
        Self { token: Arc::new(Mutex::new(token)), ..Self::default() }
    }
    fn token(&self) -> String {
        self.token.lock().unwrap().clone()
    }
}

#[async_trait]
impl Keeps for Shelf {
    async fn read(&self) -> Result<SecretString, CloudError> {
        Ok(self.token().into())
    }
    async fn keep(&self, old: &SecretString, new: &SecretString) -> Result<Kept, CloudError> {
        if *self.is_full.lock().unwrap() {
            return Err(CloudError::Transient("the API server does not answer".to_owned()));
        }
        assert_eq!(*self.token.lock().unwrap(), old.expose_secret());
        *self.token.lock().unwrap() = new.expose_secret().to_owned();
        Ok(Kept::Written)
    }
    async fn undisturbed(&self, work: Pin<Box<dyn Future<Output = ()> + Send>>) {
        tokio::spawn(work).await.unwrap();
    }
}

struct Site<'a> {
    it: &'a OpenStack,
    way: Federation,
}

impl Site<'_> {
    fn identity(&self, grant: Grant, shelf: &Shelf) -> Arc<Identity> {
        let first = shelf.token().into();
        Arc::new(Identity::new(
            self.way.issuer(),
            grant,
            Vec::new(),
            Some(&first),
            Arc::new(shelf.clone()),
            Clock::system(),
        ))
    }

    /// Somebody of these VOs, who has just logged in. Keystone keeps for a while who was in which group: another VO is another person.
    fn somebody(&self, vos: &[&str]) -> (Arc<Identity>, Shelf) {
        let subject = format!("member-of-{}@egi.eu", vos.join("-"));
        let shelf = Shelf::with(self.way.provider().login(&subject, vos));
        (self.identity(Grant::RefreshToken(client()), &shelf), shelf)
    }

    fn config(&self, identity: &Arc<Identity>, project: Project) -> Config {
        let (provider, protocol, identity) = (PROVIDER.to_owned(), PROTOCOL.to_owned(), identity.clone());
        let credential = Credential::Federated { provider, protocol, project, identity };
        Config { credential, auth_url: self.way.auth_url(), ..password(self.it, PROJECT) }
    }

    fn cloud(&self, identity: &Arc<Identity>) -> OpenStackCloud {
        driver(self.config(identity, named(PROJECT)))
    }

    /// The same, whose tokens of Keystone live five seconds.
    fn short(&self, identity: &Arc<Identity>) -> OpenStackCloud {
        driver(Config { auth_url: self.way.short_auth_url(), ..self.config(identity, named(PROJECT)) })
    }

    /// The numbers of the refresh tokens that were used since it was last asked, and whether they were taken.
    fn uses(&self) -> Vec<String> {
        std::mem::take(&mut self.way.provider().log)
    }
}

fn client() -> Client {
    Client { id: CLIENT.to_owned(), secret: Some(CLIENT_SECRET.into()) }
}

fn named(project: &str) -> Project {
    Project::Named { name: project.to_owned(), domain: NameOrId::Name("Default".to_owned()) }
}

fn nobody() -> Owner {
    Owner { cluster: CLUSTER.to_owned(), uid: "nobody".to_owned() }
}

/// The sentence of a refusal.
fn refusal<T: std::fmt::Debug>(outcome: Result<T, CloudError>) -> String {
    let Err(CloudError::Unauthorized(said)) = outcome else { panic!("{outcome:?}") };
    said
}

pub async fn a_site_is_entered_with_access_tokens(it: &OpenStack, image: &str) {
    let site = Site { it, way: it.federation().await.unwrap() };
    every_grant_enters_by_name_and_by_id(&site).await;
    who_is_in_another_vo_is_told_so(&site).await;
    tokens_end_in_the_middle_of_a_launch(&site, image).await;
    a_token_that_cannot_be_kept_serves_and_is_kept_later(&site).await;
    a_revoked_login_is_said_and_another_one_serves(&site).await;
    a_refresh_token_that_is_used_twice_ends_the_login(&site).await;
}

async fn every_grant_enters_by_name_and_by_id(site: &Site<'_>) {
    let (person, shelf) = site.somebody(&[PROJECT]);
    let offers = site.cloud(&person).offers(&Wanted::default()).await.unwrap();
    assert_eq!(offers.missing, Vec::<String>::new());
    let id = offers.project.unwrap();
    // The access token serves the next cloud, too.
    let by_id = driver(site.config(&person, Project::Id(id.clone())));
    assert_eq!(by_id.offers(&Wanted::default()).await.unwrap().project.as_ref(), Some(&id));
    assert_eq!(site.uses().len(), 1, "one refresh token for both");
    assert!(person.knows(&shelf.token().into()), "the one that was got in its place is kept");

    let robot = site.identity(Grant::ClientCredentials(client()), &Shelf::default());
    site.cloud(&robot).find(&nobody()).await.unwrap();
    let given = Shelf::with(site.way.provider().access_token("jdoe@egi.eu", &[PROJECT]));
    let given = site.identity(Grant::AccessToken, &given);
    site.cloud(&given).find(&nobody()).await.unwrap();
    let wrong = Client { secret: Some("wrong".into()), ..client() };
    let wrong = site.identity(Grant::ClientCredentials(wrong), &Shelf::default());
    let said = refusal(site.cloud(&wrong).find(&nobody()).await);
    assert!(said.contains("client_secret in the Secret"), "{said}");
}

async fn who_is_in_another_vo_is_told_so(site: &Site<'_>) {
    let (stranger, _) = site.somebody(&["other.example.org"]);
    let said = refusal(site.cloud(&stranger).find(&nobody()).await);
    assert!(said.contains("must belong to a VO that the site serves"), "{said}");
    let (other, _) = site.somebody(&[TINY_VO]);
    let said = refusal(site.cloud(&other).find(&nobody()).await);
    assert!(said.contains(&format!("may enter the projects {TINY} (id ")), "{said}");
    driver(site.config(&other, named(TINY))).find(&nobody()).await.unwrap();
    let mut unknown = site.config(&other, named(TINY));
    if let Credential::Federated { provider, .. } = &mut unknown.credential {
        *provider = "no-such".to_owned();
    }
    let error = driver(unknown).find(&nobody()).await.unwrap_err();
    assert!(error.to_string().contains("auth.oidc.identityProvider"), "{error}");
    site.uses();
}

async fn tokens_end_in_the_middle_of_a_launch(site: &Site<'_>, image: &str) {
    site.way.provider().access_lives = Duration::from_secs(4);
    let (person, shelf) = site.somebody(&[PROJECT]);
    // Nova goes on with the token that it got, so that what is to live is ordered with one that lasts.
    let (lasting, cloud) = (site.cloud(&person), site.short(&person));
    let lives = lasting.create(&order(CLUSTER, "lives", "m1.tiny", image, "")).await.unwrap();
    cloud.offers(&Wanted::default()).await.unwrap();
    site.uses();
    let first = shelf.token();
    tokio::time::sleep(SHORT).await;
    // Access token and Keystone's token have ended.
    let vm = cloud.create(&order(CLUSTER, "middle", "m1.tiny", image, "")).await.unwrap();
    let uses = site.uses();
    assert!(!uses.is_empty() && uses.iter().all(|used| used.ends_with("taken")), "{uses:?}");
    assert_ne!(shelf.token(), first, "the next refresh token is kept");
    assert_eq!(lasting.find(&vm.owner).await.unwrap().len(), 1);
    listed(&lasting, CLUSTER, "lives", |s| *s == VmState::Active).await;

    // The provider is down: the VM lives on, and is deleted as long as Keystone's token lasts.
    site.way.provider().is_down = true;
    lasting.delete(&vm.id).await.expect("the token of the project lasts");
    tokio::time::sleep(SHORT).await;
    let outcome = cloud.find(&nobody()).await;
    assert!(matches!(&outcome, Err(CloudError::Transient(said)) if said.contains("identity provider")), "{outcome:?}");
    assert!(person.told().refused.is_some());
    let there = site.it.servers(PROJECT).await.unwrap();
    assert!(there.iter().any(|s| s.id == lives.id && s.status == "ACTIVE"), "{there:?}");
    site.way.provider().is_down = false;
    // Not before the silence is over; then it is asked again.
    tokio::time::sleep(Duration::from_secs(2)).await;
    cloud.find(&nobody()).await.unwrap();
    assert_eq!(person.told().refused, None);
    lasting.delete(&lives.id).await.unwrap();
    nothing_left(&lasting, CLUSTER).await;
    site.way.provider().access_lives = Duration::from_secs(3_600);
    site.uses();
}

async fn a_token_that_cannot_be_kept_serves_and_is_kept_later(site: &Site<'_>) {
    let (person, shelf) = site.somebody(&[PROJECT]);
    let first = shelf.token();
    *shelf.is_full.lock().unwrap() = true;
    site.cloud(&person).find(&nobody()).await.unwrap();
    assert!(person.told().not_kept.is_some() && shelf.token() == first);
    *shelf.is_full.lock().unwrap() = false;
    site.way.provider().revoke_access_tokens();
    site.cloud(&person).find(&nobody()).await.unwrap();
    assert!(person.told().not_kept.is_none() && shelf.token() != first);
    assert!(site.uses().iter().all(|used| used.ends_with("taken")), "no refresh token came twice");
}

async fn a_revoked_login_is_said_and_another_one_serves(site: &Site<'_>) {
    let (person, shelf) = site.somebody(&[PROJECT]);
    site.cloud(&person).find(&nobody()).await.unwrap();
    site.way.provider().revoke_all();
    let said = refusal(site.cloud(&person).find(&nobody()).await);
    assert!(said.contains("was revoked") && said.contains("Token is not active"), "{said}");
    assert!(!said.contains(&shelf.token()), "{said}");
    let (again, _) = site.somebody(&[PROJECT]);
    site.cloud(&again).find(&nobody()).await.unwrap();
    site.uses();
}

async fn a_refresh_token_that_is_used_twice_ends_the_login(site: &Site<'_>) {
    let (person, shelf) = site.somebody(&[PROJECT]);
    let copy = Shelf::with(shelf.token());
    site.cloud(&person).find(&nobody()).await.unwrap();
    let other = site.identity(Grant::RefreshToken(client()), &copy);
    let said = refusal(site.cloud(&other).find(&nobody()).await);
    assert!(said.contains("used twice") && said.contains("reuse exceeded"), "{said}");
    // Whoever used it first is thrown out, too, once the access token ends.
    site.way.provider().revoke_access_tokens();
    let said = refusal(site.cloud(&person).find(&nobody()).await);
    assert!(said.contains("used twice"), "{said}");
    site.uses();
}
