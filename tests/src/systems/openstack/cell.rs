//! The database of Nova's cell out of reach, while Nova's API runs and the guests too.
//!
//! Only who goes by `nova_api.cell_mappings` loses the database: nova-api, the scheduler, and the conductor's part that makes
//! servers. The conductor that serves the hypervisor has a connection of its own, so nothing changes for servers that are there.
//! What Nova then answers (26, Zed): `GET /servers` and `/servers/detail` say 200 and leave out the cell's servers, which here is
//! all of them; `GET /servers/ID` says 500 below microversion 2.69, and from there 200 with the status `UNKNOWN`.

use anyhow::Result;

use super::OpenStack;

impl OpenStack {
    /// Cuts the way to the cell's database: connections end, and new ones are refused. Nova answers at once.
    pub fn cut_cell(&self) -> Result<()> {
        self.cell.cut()
    }

    /// Ends [`OpenStack::cut_cell`].
    pub fn mend_cell(&self) -> Result<()> {
        self.cell.mend()
    }
}
