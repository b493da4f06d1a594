//! Where refresh tokens, and access tokens that something else renews, are kept.

use std::{future::Future, pin::Pin};

use async_trait::async_trait;
use secrecy::SecretString;

use crate::cloud::CloudError;

/// What came of keeping a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is kept, and is found again after a crash of this process.
    Written,
    /// Somebody put another one there meanwhile, which is left and used from now on.
    Another,
}

/// A place where one token is kept, which outlives this process. People, and other processes, may change it too.
#[async_trait]
pub trait Keeps: Send + Sync {
    /// The token that is kept now.
    async fn read(&self) -> Result<SecretString, CloudError>;

    /// Puts `new` in the place of `old`, provided that `old` is kept now, in one step. `Ok` only once `new` would be found after a crash.
    async fn keep(&self, old: &SecretString, new: &SecretString) -> Result<Kept, CloudError>;

    /// Runs this to its end although whoever waits for it is dropped: a refresh token that was answered and not kept would be lost. It may
    /// be dropped before it has begun.
    async fn undisturbed(&self, work: Pin<Box<dyn Future<Output = ()> + Send>>);
}
