//! Clouds: a poller for each.
//!
//! Flow of a poller's turn: 1. driver made again when spec or Secret changed; 2. one list of our VMs; 3. what it lacks is noted, and too
//! much at once is not believed; PilotVMs are rung whose VM is not as it was; 4. garbage is collected, a few at a time; 5. the finalizer of
//! a Cloud that is deleted and not needed goes. Beside that, offers and headroom are read, each in its time.
//!
//! | question | file |
//! |---|---|
//! | when is what asked, how long is the rest | `schedule` |
//! | which VMs are missing, who is rung | `sight` |
//! | which VMs are garbage, which may go now | `garbage`, `collect` |
//! | what does a driver need, does it lead to our VMs | `driver`, `openstack`, `ec2`, `simulated` |
//! | whose access tokens enter it, where are refresh tokens kept | `login` |
//! | what do its pools want to buy | `wanted` |
//! | is a change of the object news for its poller | `news` |
//! | what does a provider announce | `notices` |

mod bounded;
mod collect;
mod driver;
#[cfg(feature = "ec2")]
mod ec2;
mod finalizer;
mod garbage;
mod login;
mod news;
mod notices;
mod openstack;
mod poll;
mod schedule;
mod sight;
mod simulated;
mod wanted;

pub use news::News;
pub use poll::poll;
