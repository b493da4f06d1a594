//! The clients of one account, and one way to call: at the cloud's pace, once, with a typed error.

use std::{
    error::Error,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use jiff::SignedDuration;
use tokio::sync::OnceCell;

use super::{
    config::Config,
    credentials,
    fault::{self, Fault},
    http::Http,
};
use crate::{
    clock::Clock,
    cloud::{CloudError, Pace, Room, pace::Action},
};

/// An order whose answer was lost may still be carried out for this long: our wait for the answer, and AWS's own behind its API.
pub const CARRIED_OUT_WITHIN: SignedDuration = SignedDuration::from_secs(180);

/// One account in one region.
pub struct Client {
    pub config: Config,
    pub room: Room,
    pub clock: Clock,
    pace: Arc<Pace>,
    apis: OnceCell<Apis>,
    /// Whether the provider has said that it knows no fleets.
    no_fleets: AtomicBool,
}

/// AWS's clients. They share their rights.
pub struct Apis {
    pub ec2: aws_sdk_ec2::Client,
    pub sqs: aws_sdk_sqs::Client,
    pub ssm: aws_sdk_ssm::Client,
    pub quotas: aws_sdk_servicequotas::Client,
    pub sts: aws_sdk_sts::Client,
}

/// What came of a call.
pub type Answer<T> = Result<T, Fault>;

impl Client {
    /// Prepares the clients; nothing is asked yet.
    pub fn new(config: Config, pace: Arc<Pace>, room: Room, clock: Clock) -> Result<Self, CloudError> {
        if let Some(endpoint) = &config.endpoint {
            let uri: http::Uri = endpoint.parse().map_err(|e| {
                CloudError::Invalid(format!("{endpoint:?} is not a URL: {e}; correct spec.ec2.endpoint"))
            })?;
            config.addresses.url(&uri)?;
        }
        Ok(Self { config, room, clock, pace, apis: OnceCell::new(), no_fleets: AtomicBool::new(false) })
    }

    /// AWS's clients, made when they are first needed.
    pub async fn apis(&self) -> Result<&Apis, CloudError> {
        let make = || async {
            let http = Http::new(self.config.addresses, self.room.clone())?;
            let of_the_pod = Http::of_the_pod(self.room.clone())?;
            let sdk = credentials::sdk(&self.config, &http, &of_the_pod).await;
            Ok(Apis {
                ec2: aws_sdk_ec2::Client::new(&sdk),
                sqs: aws_sdk_sqs::Client::new(&sdk),
                ssm: aws_sdk_ssm::Client::new(&sdk),
                quotas: aws_sdk_servicequotas::Client::new(&sdk),
                sts: aws_sdk_sts::Client::new(&sdk),
            })
        };
        self.apis.get_or_try_init(make).await
    }

    /// For how long no instance is looked at or ordered.
    pub fn rests(&self) -> Option<std::time::Duration> {
        self.pace.rests(&[Action::Look, Action::Create])
    }

    /// Whether orders of several choices can be given.
    pub fn has_fleets(&self) -> bool {
        !self.no_fleets.load(Ordering::Relaxed)
    }

    /// The provider knows no fleets.
    pub fn without_fleets(&self) {
        self.no_fleets.store(true, Ordering::Relaxed);
    }

    /// Makes a call of EC2, in its turn.
    pub async fn call<T, E>(
        &self,
        what: &str,
        action: Action,
        call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Answer<T>
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        self.call_of("EC2", what, action, call).await
    }

    /// Makes a call of another of the account's services.
    pub async fn call_of<T, E>(
        &self,
        service: &str,
        what: &str,
        action: Action,
        call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Answer<T>
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let turn = self.pace.turn(service, action).await.map_err(Fault::unsent)?;
        match call.await {
            Ok(answer) => {
                turn.answered(None);
                Ok(answer)
            }
            Err(error) => {
                let fault = fault::of(what, error, self.clock.now());
                if fault.answered || !matches!(fault.error, CloudError::Transient(_)) {
                    turn.answered(Some(&fault.error));
                } else {
                    turn.unanswered();
                }
                Err(fault)
            }
        }
    }
}

impl Fault {
    /// Nothing was sent.
    pub fn unsent(error: CloudError) -> Self {
        Self { error, code: None, answered: false, in_doubt: false }
    }

    /// Whether the provider gave this code.
    pub fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }
}

impl From<Fault> for CloudError {
    fn from(fault: Fault) -> Self {
        fault.error
    }
}
