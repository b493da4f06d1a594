//! Who is served by what: waiting jobs against the supply of live and booting VMs, each job counted once over all pools.
