//! Which limits the VMs that are there pass.

use super::{Books, Number};

/// Whose limit it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Whose {
    /// That of the pool with this index.
    Pool(usize),
    /// That of the VO with this index.
    Vo(usize),
    /// That of the site of the pool with this index.
    Site(usize),
    /// That of the cloud with this index.
    Cloud(usize),
    /// What may stay beyond the closing with this index.
    Closing(usize),
    /// That of the installation.
    Installation,
}

impl Books<'_> {
    /// Whose limit is passed by the VMs that are there. A pool that borrows may pass its maximum.
    pub fn passed(&self) -> Vec<Whose> {
        let is_over = |n: &Number| self.accounts[*n].is_over();
        let mut passed = Vec::new();
        for (i, pool) in self.snapshot.pools.iter().enumerate() {
            if is_over(&self.pools[i]) && !pool.borrows {
                passed.push(Whose::Pool(i));
            }
            // Pools of one site share its account.
            if is_over(&self.sites[i]) && !self.sites[..i].contains(&self.sites[i]) {
                passed.push(Whose::Site(i));
            }
        }
        let of = |numbers: &[Number], whose: fn(usize) -> Whose| -> Vec<Whose> {
            (0..numbers.len()).filter(|i| is_over(&numbers[*i])).map(whose).collect()
        };
        passed.extend(of(&self.vos, Whose::Vo));
        passed.extend(of(&self.ceilings, Whose::Cloud));
        let closings = of(&self.closings, Whose::Closing).into_iter();
        let drains = |whose: &Whose| matches!(whose, Whose::Closing(i) if self.snapshot.closings[*i].drains());
        passed.extend(closings.filter(drains));
        passed.extend(is_over(&self.installation).then_some(Whose::Installation));
        passed
    }
}
