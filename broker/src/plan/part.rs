//! The part of each VO of the limits that it shares with others.
//!
//! A limit that several VOs can reach is divided by their shares. What one cannot use, since its own limits or the maxima of its pools are
//! smaller, is divided among the others. What one only does not use now, others may have: it is lent to them (`lent.rs`).
//!
//! VMs that will end as soon as lent ones do not count against a part, however they were bought: so nothing need be remembered of a VM, and
//! what stays of each VO is never more than its part.

use super::{
    account::Number,
    bits::Bits,
    books::Books,
    life::Life,
    market::Market,
    ours::Ours,
    snapshot::{Offering, Pool, Snapshot, places},
};

/// VMs, cores, memory in MiB and GPUs.
type Size = [u64; 4];

/// What a VO has of one limit.
#[derive(Clone, Debug)]
struct Part {
    vo: usize,
    /// What is its own; `u64::MAX`: nothing bounds it.
    own: Size,
    /// What it holds and keeps for longer than what is lent.
    stays: Size,
}

impl Part {
    /// How often `each` still has room in it.
    fn room(&self, each: Size) -> u64 {
        let all = self.own.iter().zip(self.stays).zip(each).filter(|((own, _), _)| **own < u64::MAX);
        all.filter_map(|((own, stays), each)| own.saturating_sub(stays).checked_div(each)).min().unwrap_or(u64::MAX)
    }
}

/// Who can reach a limit.
struct Sharers {
    vos: Bits,
    /// Whether it is the maximum of a pool that borrows: then others than its VOs wait for what is beyond.
    borrows: bool,
}

/// The parts of all limits that are shared.
#[derive(Debug, Default)]
pub struct Parts {
    /// By number of the account: the parts, in the order of the VOs. Empty: it is not shared.
    of: Vec<Vec<Part>>,
}

/// How VMs may be bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// So many are within the VO's part of each limit.
    Own(u64),
    /// None is: of this account the VO has its part.
    Lent(Number),
}

impl Parts {
    /// The parts of the limits in these books, of which nothing was taken yet for this plan. `stays`: whether a VM is there for longer than
    /// what is lent.
    pub fn new(
        snapshot: &Snapshot,
        books: &Books<'_>,
        market: &Market<'_>,
        ours: &[Ours<'_>],
        stays: impl Fn(&Ours<'_>) -> bool,
    ) -> Self {
        let mut held: Vec<Size> = vec![[0; 4]; books.count()];
        for vm in ours {
            books.of_vm(vm).for_each(|n| add(&mut held[n], of_vm(&vm.vm.offering), 1));
        }
        let served = served(snapshot);
        let most = most(snapshot, market, &served);
        let of_account =
            |(n, sharers): (Number, Sharers)| divided(snapshot, &most, &sharers, books.account(n).whole(held[n]));
        let sharers = sharers(snapshot, books, market, &served);
        let mut parts = Self { of: sharers.into_iter().enumerate().map(of_account).collect() };
        for vm in ours.iter().filter(|ours| ours.vm.life != Life::Ending && stays(ours)) {
            if let Some(vo) = vm.vo {
                books.of_vm(vm).for_each(|n| parts.take(n, vo, &vm.vm.offering, 1));
            }
        }
        parts
    }

    fn part(&mut self, account: Number, vo: usize) -> Option<&mut Part> {
        let parts = self.of.get_mut(account)?;
        let place = parts.binary_search_by_key(&vo, |part| part.vo).ok()?;
        parts.get_mut(place)
    }

    /// How VMs of this offering may be bought for a VO, where they are taken from these accounts.
    pub fn room(&mut self, accounts: impl Iterator<Item = Number>, vo: usize, offering: &Offering) -> Room {
        let each = of_vm(offering);
        let mut own = u64::MAX;
        for n in accounts {
            match self.part(n, vo).map_or(u64::MAX, |part| part.room(each)) {
                0 => return Room::Lent(n),
                room => own = own.min(room),
            }
        }
        Room::Own(own)
    }

    /// The VO keeps so many more VMs.
    pub fn take(&mut self, account: Number, vo: usize, offering: &Offering, vms: u64) {
        if let Some(part) = self.part(account, vo) {
            add(&mut part.stays, of_vm(offering), vms);
        }
    }
}

fn of_vm(offering: &Offering) -> Size {
    [1, offering.cores, offering.ram_mib, offering.gpus]
}

fn add(to: &mut Size, each: Size, times: u64) {
    to.iter_mut().zip(each).for_each(|(to, more)| *to = to.saturating_add(more.saturating_mul(times)));
}

/// Accounts of offers that follow each other are looked for among so many.
const NEAR: usize = 4;

/// By number of the account: who can reach it.
fn sharers(snapshot: &Snapshot, books: &Books<'_>, market: &Market<'_>, served: &[Bits]) -> Vec<Sharers> {
    let nobody = || Sharers { vos: Bits::none(snapshot.vos.len()), borrows: false };
    let mut all: Vec<Sharers> = std::iter::repeat_with(nobody).take(books.count()).collect();
    let mut reached: Vec<Option<Vec<Number>>> = Vec::new();
    for (p, pool) in snapshot.pools.iter().enumerate() {
        let catalogue = market.catalogue_of(p);
        if reached.len() <= catalogue {
            reached.resize(catalogue + 1, None);
        }
        let of_offers = reached[catalogue].get_or_insert_with(|| {
            let mut numbers: Vec<Number> = Vec::new();
            for offer in market.offers_of(p).map(|n| market.offer(n)) {
                // Offers of one cloud follow each other.
                for n in books.of_offer(offer) {
                    if !numbers.iter().rev().take(NEAR).any(|known| *known == n) {
                        numbers.push(n);
                    }
                }
            }
            numbers.sort_unstable();
            numbers.dedup();
            numbers
        });
        books.of_pool(p).chain(of_offers.iter().copied()).for_each(|n| all[n].vos.or(&served[p]));
        if let (true, Some(max)) = (pool.borrows, books.of_pool(p).next()) {
            all[max].borrows = true;
        }
    }
    all
}

/// By index of the pool: the VOs that it serves.
fn served(snapshot: &Snapshot) -> Vec<Bits> {
    let places = places(snapshot.vos.iter().map(|vo| &vo.name));
    let of_pool = |pool: &Pool| {
        let mut vos = Bits::none(snapshot.vos.len());
        pool.vos.iter().filter_map(|vo| places.get(vo.as_str())).for_each(|vo| vos.add(*vo));
        vos
    };
    snapshot.pools.iter().map(of_pool).collect()
}

/// By index of the VO: the most that it can ever hold, by its own limits and the maxima of its pools.
fn most(snapshot: &Snapshot, market: &Market<'_>, served: &[Bits]) -> Vec<Size> {
    let mut all: Vec<Size> = vec![[0; 4]; snapshot.vos.len()];
    for (p, served) in served.iter().enumerate() {
        let pool = &snapshot.pools[p];
        let [cores, ram_mib, gpus] = market.largest(market.catalogue_of(p));
        let times = if pool.borrows { u64::MAX } else { pool.max };
        (0..all.len()).filter(|vo| served.has(*vo)).for_each(|vo| add(&mut all[vo], [1, cores, ram_mib, gpus], times));
    }
    for (most, vo) in all.iter_mut().zip(&snapshot.vos) {
        let said = [vo.limits.vms, vo.limits.cores, vo.limits.ram_mib, vo.limits.gpus];
        most.iter_mut().zip(said).for_each(|(most, said)| *most = (*most).min(said.unwrap_or(u64::MAX)));
    }
    all
}

/// The parts of a limit of which there is so `much` of each resource (`None`: without end), where it is shared.
fn divided(snapshot: &Snapshot, most: &[Size], sharers: &Sharers, much: [Option<u64>; 4]) -> Vec<Part> {
    let vos: Vec<usize> = (0..snapshot.vos.len()).filter(|vo| sharers.vos.has(*vo)).collect();
    if vos.len() < 2 && !sharers.borrows || much.iter().all(Option::is_none) {
        return Vec::new();
    }
    let mut parts: Vec<Part> = vos.iter().map(|vo| Part { vo: *vo, own: [u64::MAX; 4], stays: [0; 4] }).collect();
    for (i, much) in much.into_iter().enumerate() {
        let wish = |vo: &usize| (snapshot.vos[*vo].share.max(1), most[*vo][i]);
        let Some(own) = much.map(|much| divide(much, &vos.iter().map(wish).collect::<Vec<_>>())) else { continue };
        parts.iter_mut().zip(own).for_each(|(part, own)| part.own[i] = own);
    }
    parts
}

/// Divides a whole by shares among those of whom each can use so much at `most`.
fn divide(whole: u64, each: &[(u64, u64)]) -> Vec<u64> {
    let mut order: Vec<usize> = (0..each.len()).collect();
    // Who can use least for its share comes first, and leaves the rest to the others.
    order.sort_by(|a, b| {
        let ((share_a, most_a), (share_b, most_b)) = (each[*a], each[*b]);
        (u128::from(most_a) * u128::from(share_b)).cmp(&(u128::from(most_b) * u128::from(share_a)))
    });
    let (mut left, mut shares) = (whole, each.iter().map(|(share, _)| u128::from(*share)).sum::<u128>());
    let mut parts = vec![0; each.len()];
    for i in order {
        let (share, most) = each[i];
        let fair = u128::from(left) * u128::from(share) / shares.max(1);
        parts[i] = most.min(u64::try_from(fair).unwrap_or(u64::MAX));
        left -= parts[i];
        shares -= u128::from(share);
    }
    parts
}

#[cfg(test)]
#[path = "part_tests.rs"]
mod tests;
