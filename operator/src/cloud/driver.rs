//! The driver of a cloud, made from its object and Secret, and made anew when either changes.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use broker::{
    cloud::{Cloud as Driver, Metered, Pace, Rate, Wanted, openstack::OpenStackCloud},
    simulation::SimulatedCloud,
};
use crds::{Cloud, cloud::CloudSpec};
use tokio::time::Instant;

use super::{openstack, simulated};
use crate::{context::Context, known::cloud::Handle, names::Key, trouble::Trouble};

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
    /// Makes the driver anew where spec or Secret changed; whether it did.
    pub async fn refresh(&mut self, ctx: &Context, cloud: &Cloud, handle: &Handle) -> bool {
        let same = self.made_from.as_ref().is_some_and(|(spec, _)| *spec == cloud.spec);
        if same
            && self.looked.is_some_and(|at| at.elapsed() < ctx.args.catalogue_interval)
            && handle.facts().not_driven.is_none()
        {
            return false;
        }
        self.looked = Some(Instant::now());
        match self.make(ctx, cloud, handle).await {
            Ok(changed) => {
                handle.update(|f| f.not_driven = None);
                changed
            }
            Err(trouble) => {
                handle.update(|f| f.not_driven = Some(trouble));
                false
            }
        }
    }

    async fn make(&mut self, ctx: &Context, cloud: &Cloud, handle: &Handle) -> Result<bool, Trouble> {
        let key = Key::of(cloud);
        let spec = &cloud.spec;
        if spec.simulated.is_some() {
            return self.simulate(ctx, cloud, handle);
        }
        if let Some(openstack) = &spec.openstack {
            return self.enter(ctx, cloud, openstack, handle).await;
        }
        Err(Trouble::new(
            "NotSupported",
            format!(
                "this version of the operator has no driver for EC2 clouds such as {key}; its spec is kept for one that has"
            ),
        ))
    }

    async fn enter(
        &mut self,
        ctx: &Context,
        cloud: &Cloud,
        openstack: &crds::cloud::OpenStack,
        handle: &Handle,
    ) -> Result<bool, Trouble> {
        let key = Key::of(cloud);
        let (config, versions) = openstack::config(&ctx.api, &key, &cloud.spec, openstack).await?;
        let made_from = (cloud.spec.clone(), versions);
        if self.made_from.as_ref() == Some(&made_from) && handle.facts().driver.is_some() {
            return Ok(false);
        }
        let pace = Arc::new(Pace::new(rate(&cloud.spec)));
        let project = OpenStackCloud::new(config, pace, clock(ctx)).map_err(|e| Trouble::from(&e))?;
        let driver = Arc::new(Metered::new(Arc::new(project), &key.to_string(), ctx.metrics.clouds.clone()));
        if let Some(home) = home(ctx, cloud, handle) {
            self.leads_home(&home, &made_from, driver.as_ref(), ctx.args.catalogue_interval).await?;
        }
        handle.update(|f| {
            f.driver = Some(driver);
            f.listing = None;
            // What was refused was refused to another credential or another place.
            f.refused = None;
        });
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
        a_while: Duration,
    ) -> Result<(), Trouble> {
        if let Some((tried, at, trouble)) = &self.refused
            && tried == made_from
            && at.elapsed() < a_while
        {
            return Err(trouble.clone());
        }
        let trouble = match driver.offers(&Wanted::default()).await {
            Ok(offers) => match offers.project {
                Some(other) if other != home => Trouble::new(
                    "OtherProject",
                    format!(
                        "the credential opens project {other}, and VMs of ours live in project {home}, where nobody else would delete \
                         them: put back a credential of that project, or make another Cloud for the new one"
                    ),
                ),
                Some(_) | None => return Ok(()),
            },
            Err(error) => Trouble::from(&error),
        };
        self.refused = Some((made_from.clone(), Instant::now(), trouble.clone()));
        Err(trouble)
    }

    fn simulate(&mut self, ctx: &Context, cloud: &Cloud, handle: &Handle) -> Result<bool, Trouble> {
        let key = Key::of(cloud);
        let site = ctx.state.stores.sites.get(&key.beside(&cloud.spec.site_ref.name));
        let dirac = site
            .and_then(|s| ctx.state.installations.get(&key.beside(&s.spec.installation_ref.name)).facts().simulated);
        let Some(dirac) = dirac else {
            let message = format!(
                "the site {:?} of this simulated cloud belongs to no simulated installation that is known",
                cloud.spec.site_ref.name
            );
            return Err(Trouble::new("NoSimulatedInstallation", message));
        };
        let same = self.made_from.as_ref().is_some_and(|(spec, _)| *spec == cloud.spec);
        let simulated = handle.facts().simulated;
        if same && simulated.is_some() {
            return Ok(false);
        }
        let config = simulated::config(&cloud.spec);
        match simulated {
            Some(simulated) => simulated.configure(config),
            None => {
                let pace = Arc::new(Pace::new(rate(&cloud.spec)));
                let simulated = Arc::new(SimulatedCloud::new(config, Some(dirac), clock(ctx)).at_pace(pace));
                let driver = Arc::new(Metered::new(simulated.clone(), &key.to_string(), ctx.metrics.clouds.clone()));
                handle.update(|f| {
                    f.driver = Some(driver);
                    f.simulated = Some(simulated);
                });
            }
        }
        self.made_from = Some((cloud.spec.clone(), String::new()));
        Ok(true)
    }
}

/// The project in which VMs of ours live; nothing where there are none.
fn home(ctx: &Context, cloud: &Cloud, handle: &Handle) -> Option<String> {
    let known = handle.facts().offers.and_then(|offers| offers.project.clone());
    let home = known.or_else(|| cloud.status.as_ref().and_then(|s| s.project.clone()))?;
    (!ctx.state.stores.vms_of_cloud(&Key::of(cloud)).is_empty()).then_some(home)
}

/// The operator's clock, for the broker.
fn clock(ctx: &Context) -> broker::clock::Clock {
    let clock = ctx.clock.clone();
    broker::clock::Clock::driven(move || clock.now())
}

fn rate(spec: &CloudSpec) -> Rate {
    let number = |n: i64| u32::try_from(n).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
    spec.requests
        .as_ref()
        .map_or_else(Rate::default, |r| Rate { per_second: number(r.per_second), burst: number(r.burst) })
}
