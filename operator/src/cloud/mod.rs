//! Clouds: a poller for each.
//!
//! Flow of a poller's turn: 1. driver made anew when spec or Secret changed; 2. catalogue and quota, once a minute; 3. one list of
//! our VMs; 4. garbage collected from that list; 5. PilotVMs woken whose VM is not as it was.

mod collect;
mod driver;
mod finalizer;
mod openstack;
mod poll;
mod simulated;

pub use poll::poll;
