//! Whose rights a call has: keys, a role that is entered, or what the pod has. What ends is renewed by the SDK's cache before it does.

use std::path::PathBuf;

use aws_config::{
    default_provider::credentials::DefaultCredentialsChain, identity::IdentityCache, provider_config::ProviderConfig,
    retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future},
};
use aws_types::{SdkConfig, app_name::AppName, region::Region};
use jiff::Timestamp;
use secrecy::ExposeSecret;

use super::{
    config::{Config, Credential, Role},
    http::Http,
};

/// Largest token of a web identity: AWS takes 20,000 characters (`AssumeRoleWithWebIdentity`).
const LONGEST_TOKEN: usize = 20_000;

/// How AWS's clients are made for this cloud.
pub async fn sdk(config: &Config, http: &Http, of_the_pod: &Http) -> SdkConfig {
    let plain = plain(config, http);
    let own = match &config.credential {
        Credential::Keys { id, secret, session_token, expires } => {
            let token = session_token.as_ref().map(|token| token.expose_secret().to_owned());
            let expires = expires.map(std::time::SystemTime::from);
            let keys = Credentials::new(id.clone(), secret.expose_secret().to_owned(), token, expires, "a Secret");
            SharedCredentialsProvider::new(keys)
        }
        Credential::WebIdentity { role, token_file } => SharedCredentialsProvider::new(Entered {
            sts: aws_sdk_sts::Client::new(&plain),
            session: config.session.clone(),
            role: Role { arn: role.clone(), external_id: None },
            token_file: Some(token_file.clone()),
        }),
        Credential::Pod => {
            let region = Some(Region::new(config.region.clone()));
            let chain = ProviderConfig::without_region().with_region(region).with_http_client(of_the_pod.clone());
            SharedCredentialsProvider::new(DefaultCredentialsChain::builder().configure(chain).build().await)
        }
    };
    let provider = match &config.role {
        None => own,
        Some(role) => {
            let by = plain.clone().into_builder().credentials_provider(own).build();
            SharedCredentialsProvider::new(Entered {
                sts: aws_sdk_sts::Client::new(&by),
                session: config.session.clone(),
                role: role.clone(),
                token_file: None,
            })
        }
    };
    plain.into_builder().credentials_provider(provider).build()
}

/// Region, address and client, without anybody's rights. The pace and the contract say when a call is repeated, and not the SDK.
fn plain(config: &Config, http: &Http) -> SdkConfig {
    let mut sdk = SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .region(Region::new(config.region.clone()))
        .http_client(http.clone())
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::disabled())
        .stalled_stream_protection(aws_config::stalled_stream_protection::StalledStreamProtectionConfig::disabled())
        .identity_cache(IdentityCache::lazy().build());
    sdk.set_app_name(AppName::new("dirac-operator").ok());
    sdk.set_endpoint_url(config.endpoint.clone());
    sdk.build()
}

/// A role that is entered.
#[derive(Debug)]
struct Entered {
    sts: aws_sdk_sts::Client,
    session: String,
    role: Role,
    /// The token with which it is entered; `None`: with the rights that the client has.
    token_file: Option<PathBuf>,
}

impl Entered {
    async fn enter(&self) -> Result<Credentials, CredentialsError> {
        let keys = match &self.token_file {
            Some(file) => {
                let token = tokio::fs::read_to_string(file).await.map_err(|error| {
                    CredentialsError::not_loaded(format!(
                        "the token of the operator's service account cannot be read from {}: {error}",
                        file.display()
                    ))
                })?;
                if token.len() > LONGEST_TOKEN {
                    return Err(CredentialsError::not_loaded(format!(
                        "{} has no token: it is too long",
                        file.display()
                    )));
                }
                let call = self.sts.assume_role_with_web_identity().role_arn(&self.role.arn);
                let call = call.role_session_name(&self.session).web_identity_token(token.trim());
                call.send().await.map_err(CredentialsError::provider_error)?.credentials
            }
            None => {
                let call = self.sts.assume_role().role_arn(&self.role.arn).role_session_name(&self.session);
                let call = call.set_external_id(self.role.external_id.clone());
                call.send().await.map_err(CredentialsError::provider_error)?.credentials
            }
        };
        let keys = keys.ok_or_else(|| CredentialsError::provider_error("STS answered without credentials"))?;
        let expires = Timestamp::from_second(keys.expiration.secs()).ok();
        let expires = expires.map(std::time::SystemTime::from);
        Ok(Credentials::new(keys.access_key_id, keys.secret_access_key, Some(keys.session_token), expires, "a role"))
    }
}

impl ProvideCredentials for Entered {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.enter())
    }
}
