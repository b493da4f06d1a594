//! The driver of a cloud, made from its object and Secret, and made again when either changes.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use broker::{
    clock::moment,
    cloud::{Cloud as Driver, Metered, Pace, Rate, Wanted},
};
use crds::{Cloud, Reason, cloud::CloudSpec};
use tokio::time::Instant;

use super::{bounded::in_time, openstack, simulated, wanted::wanted};
use crate::{
    context::Context,
    known::cloud::Handle,
    names::{CLOUD_LABEL, Key},
    trouble::Trouble,
};

/// The first question to a new driver is given up after this time.
const LONGEST_LOOK: Duration = Duration::from_secs(60);

/// What the present driver was made from.
#[derive(Default)]
pub struct Driven {
    made_from: Option<MadeFrom>,
    looked: Option<Instant>,
    /// What no driver could be made from, when that was found, and why.
    refused: Option<(MadeFrom, Instant, Trouble)>,
}

/// A cloud's spec and the versions of its Secrets.
type MadeFrom = (CloudSpec, String);

impl Driven {
    /// Makes the driver again where spec or Secret changed; whether it did.
    pub async fn refresh(&mut self, ctx: &Context, cloud: &Cloud, handle: &Handle) -> bool {
        // Before anything can be bought.
        handle.remember(cloud, ctx.clock.now());
        let going = ctx.state.secrets.deleted(&Key::of(cloud), &cloud.spec.secrets());
        let is_same = self.made_from.as_ref().is_some_and(|(spec, _)| *spec == cloud.spec);
        let is_young = self.looked.is_some_and(|at| moment().duration_since(at) < ctx.args.catalogue_interval);
        if is_same && is_young && handle.facts().not_driven == going {
            return false;
        }
        self.looked = Some(moment());
        let made = self.make(ctx, cloud, handle).await;
        if let Err(trouble) = &made {
            let (cloud, reason, message) = (Key::of(cloud), trouble.reason, &trouble.message);
            tracing::warn!(%cloud, %reason, message, "no driver of the present spec and Secret could be made");
        }
        // The driver deletes VMs as long as a Secret that was deleted stays, and nothing is bought with it.
        handle.update(|f| f.driven(made.as_ref().err().cloned().or(going), moment()));
        made.unwrap_or(false)
    }

    async fn make(&mut self, ctx: &Context, cloud: &Cloud, handle: &Handle) -> Result<bool, Trouble> {
        let (key, spec) = (Key::of(cloud), &cloud.spec);
        let address = match (&spec.openstack, &spec.ec2) {
            (Some(openstack), _) => openstack::address(openstack),
            #[cfg(feature = "ec2")]
            (None, Some(ec2)) => super::ec2::address(ec2),
            _ => "simulated".to_owned(),
        };
        let project = project(cloud, handle);
        let pace = ctx.state.paces.of(&key, &address, project.as_deref(), rate(spec));
        match (&spec.simulated, &spec.openstack) {
            (Some(_), _) => {
                let made_from = (spec.clone(), String::new());
                let facts = handle.facts();
                match facts.simulated {
                    Some(_) if self.made_from.as_ref() == Some(&made_from) => return Ok(false),
                    Some(simulated) => simulated.configure(simulated::config(spec)),
                    None => {
                        let made = Arc::new(simulated::make(&ctx.state, cloud, pace, ctx.clock.clone())?);
                        let since = ctx.clock.now();
                        handle.update(|f| (f.simulated, f.simulated_since) = (Some(made.clone()), Some(since)));
                        take_up(ctx, &key, handle, made);
                    }
                }
                self.made_from = Some(made_from);
                Ok(true)
            }
            (None, Some(openstack)) => {
                let (config, versions) = openstack::config(ctx, &key, spec, openstack).await?;
                let identity = openstack::identity(&config);
                let made_from = (spec.clone(), versions);
                if self.is_made_from(&made_from, handle) {
                    return Ok(false);
                }
                let room = ctx.state.answers.room(&key.namespace);
                let driver = openstack::make(config, pace, room, ctx.clock.clone())?;
                let is_new = self.put_in_place(ctx, cloud, handle, made_from, Arc::new(driver)).await?;
                handle.update(|f| f.identity = identity);
                Ok(is_new)
            }
            (None, None) => self.make_ec2(ctx, cloud, handle, pace).await,
        }
    }

    #[cfg(feature = "ec2")]
    async fn make_ec2(
        &mut self,
        ctx: &Context,
        cloud: &Cloud,
        handle: &Handle,
        pace: Arc<Pace>,
    ) -> Result<bool, Trouble> {
        let (key, spec) = (Key::of(cloud), &cloud.spec);
        let Some(ec2) = &spec.ec2 else { return Ok(false) };
        let (config, version) = super::ec2::config(&ctx.api, &ctx.args, &key, spec, ec2).await?;
        let made_from = (spec.clone(), version);
        if self.is_made_from(&made_from, handle) {
            return Ok(false);
        }
        let room = ctx.state.answers.room(&key.namespace);
        let driver = super::ec2::make(config, pace, room, ctx.clock.clone())?;
        self.put_in_place(ctx, cloud, handle, made_from, Arc::new(driver)).await
    }

    #[cfg(not(feature = "ec2"))]
    async fn make_ec2(&mut self, _: &Context, cloud: &Cloud, _: &Handle, _: Arc<Pace>) -> Result<bool, Trouble> {
        let key = Key::of(cloud);
        let message = format!(
            "this operator was built without the driver of EC2, which cloud {key} needs: install one that has it"
        );
        Err(Trouble::new(Reason::NotSupported, message))
    }

    /// Whether the driver that there is was made from this.
    fn is_made_from(&self, made_from: &MadeFrom, handle: &Handle) -> bool {
        self.made_from.as_ref() == Some(made_from) && handle.facts().driver.is_some()
    }

    /// Takes a new driver up, if it leads to where our VMs live.
    async fn put_in_place(
        &mut self,
        ctx: &Context,
        cloud: &Cloud,
        handle: &Handle,
        made_from: MadeFrom,
        driver: Arc<dyn Driver>,
    ) -> Result<bool, Trouble> {
        let key = Key::of(cloud);
        if let Some(home) = home(ctx, cloud, handle) {
            let wanted = wanted(&key.name, &ctx.state.stores.pools.within(&key.namespace));
            self.leads_home(&home, &made_from, driver.as_ref(), &wanted, ctx.args.catalogue_interval).await?;
        }
        take_up(ctx, &key, handle, driver);
        self.made_from = Some(made_from);
        Ok(true)
    }

    /// An error where the driver enters another project than the one in which our VMs live, or cannot tell: it would list none of them,
    /// and they would be forgotten. The same credential is not tried again for a while.
    async fn leads_home(
        &mut self,
        home: &str,
        made_from: &MadeFrom,
        driver: &dyn Driver,
        wanted: &Wanted,
        a_while: Duration,
    ) -> Result<(), Trouble> {
        if let Some((tried, at, trouble)) = &self.refused
            && tried == made_from
            && moment().duration_since(*at) < a_while
        {
            return Err(trouble.clone());
        }
        let trouble = match in_time(LONGEST_LOOK, driver.offers(wanted)).await {
            Ok(offers) => match offers.project {
                Some(other) if other != home => Trouble::new(
                    Reason::OtherProject,
                    format!(
                        "the credential opens project {other}, and VMs of ours live in project {home}, where nobody else would delete \
                         them: put back a credential of that project, or make another Cloud for the new one"
                    ),
                ),
                Some(_) | None => return Ok(()),
            },
            Err(error) => Trouble::from(&error),
        };
        self.refused = Some((made_from.clone(), moment(), trouble.clone()));
        Err(trouble)
    }
}

/// Puts a new driver in the place of the old one.
fn take_up(ctx: &Context, key: &Key, handle: &Handle, driver: Arc<dyn Driver>) {
    let driver = Arc::new(Metered::new(driver, &key.to_string(), ctx.metrics.clouds.clone()));
    handle.update(|f| {
        f.driver = Some(driver);
        f.listing = None;
        // What was refused was refused to another credential or another place.
        f.failures.clear();
        f.refused = None;
    });
}

/// The project that the cloud's credential opened, as the provider told it last.
fn project(cloud: &Cloud, handle: &Handle) -> Option<String> {
    let known = handle.facts().offers.and_then(|offers| offers.project.clone());
    known.or_else(|| cloud.status.as_ref().and_then(|s| s.project.clone()))
}

/// The project in which VMs of ours live; nothing where there are none.
fn home(ctx: &Context, cloud: &Cloud, handle: &Handle) -> Option<String> {
    let home = project(cloud, handle)?;
    let (stores, key) = (&ctx.state.stores, Key::of(cloud));
    let is_empty = stores.vms_of_cloud(&key).is_empty() && stores.unknown_vms(CLOUD_LABEL, &key).is_empty();
    (!is_empty).then_some(home)
}

fn rate(spec: &CloudSpec) -> Rate {
    let number = |n: i64| u32::try_from(n).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
    spec.requests
        .as_ref()
        .map_or_else(Rate::default, |r| Rate { per_second: number(r.per_second), burst: number(r.burst) })
}
