//! Every server that ever was, from Nova's database: there is no moment between two looks in which one could hide.

use anyhow::{Context, Result, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};

use super::Real;

/// Both cells: what finds no host ends in the first. Tags are deleted with a server; metadata and user-data stay. A life begins with
/// the request at the API, and not only when a cell takes it over.
const LIVES: &str = "select i.uuid, m.value, f.name, f.vcpus, to_seconds(coalesce(r.created_at, i.created_at)), \
    ifnull(to_seconds(i.deleted_at), 0), replace(ifnull(i.user_data, ''), '\\n', '') from (\
      select uuid, created_at, deleted_at, instance_type_id, user_data from nova.instances union all \
      select uuid, created_at, deleted_at, instance_type_id, user_data from nova_cell0.instances) i \
    join (select instance_uuid, `key`, value from nova.instance_metadata union all \
      select instance_uuid, `key`, value from nova_cell0.instance_metadata) m \
      on m.instance_uuid = i.uuid and m.`key` = 'dirac_pool' \
    join nova_api.flavors f on f.id = i.instance_type_id \
    left join nova_api.request_specs r on r.instance_uuid = i.uuid order by 5, 1";

/// The life of one server of a pool, or of one instance of EC2. Times are seconds of the database's calendar, cut off and not rounded.
#[derive(Clone, Debug, Default)]
pub struct Life {
    /// The provider's id.
    pub id: String,
    /// The Cloud that has it.
    pub cloud: &'static str,
    /// The pool, as its metadata say.
    pub pool: String,
    /// Name of the flavor that the server was made with.
    pub flavor: String,
    /// Cores of that flavor.
    pub cores: u64,
    /// Whether the provider may take it back.
    pub spot: bool,
    /// When the server was asked for, as seconds of MariaDB's `to_seconds`: only differences mean something.
    pub began: u64,
    /// When it was gone; `None`: it is there.
    pub ended: Option<u64>,
    /// The user-data that the server was made with, decoded.
    pub user_data: String,
}

impl Life {
    fn parse(row: &str) -> Result<Self> {
        let fields: Vec<&str> = row.split('\t').collect();
        let [id, pool, flavor, cores, began, ended, user_data] = fields[..] else {
            anyhow::bail!("a server has {} fields: {row}", fields.len());
        };
        let user_data = String::from_utf8(STANDARD.decode(user_data)?)?;
        let ended = ended.parse().map(|t| (t > 0).then_some(t))?;
        let [id, pool, flavor] = [id, pool, flavor].map(str::to_owned);
        let (cores, began) = (cores.parse()?, began.parse()?);
        Ok(Self { id, cloud: LYON, pool, flavor, cores, spot: false, began, ended, user_data })
    }

    /// The pilot's reference, as the guest is told it.
    pub fn reference(&self) -> Result<&str> {
        let begin = self.user_data.find("cloud://").with_context(|| format!("server {} names no pilot", self.id))?;
        let rest = &self.user_data[begin..];
        let uid = "cloud://".len();
        let end = rest[uid..].find(|c: char| !c.is_ascii_hexdigit() && c != '-').map_or(rest.len(), |n| uid + n);
        ensure!(end > uid, "server {} names an empty pilot", self.id);
        Ok(&rest[..end])
    }
}

/// The name of the OpenStack's Cloud.
pub const LYON: &str = "lyon";

/// Most of these that lived at one time. What ended in the second in which another began is taken to have ended before it:
/// seconds cannot tell, and this is the order in which one replaces the other.
pub fn peak<'a>(lives: impl IntoIterator<Item = &'a Life>) -> usize {
    highest(lives, |_| 1)
}

/// The same in cores.
pub fn peak_cores<'a>(lives: impl IntoIterator<Item = &'a Life>) -> usize {
    highest(lives, |life| i64::try_from(life.cores).unwrap_or(i64::MAX))
}

fn highest<'a>(lives: impl IntoIterator<Item = &'a Life>, size: impl Fn(&Life) -> i64) -> usize {
    let mut steps: Vec<(u64, i64)> = Vec::new();
    for life in lives {
        steps.push((life.began, size(life)));
        steps.extend(life.ended.map(|t| (t, -size(life))));
    }
    steps.sort_unstable();
    let mut now = 0_i64;
    let most = steps.into_iter().map(|(_, step)| {
        now += step;
        now
    });
    usize::try_from(most.max().unwrap_or(0)).unwrap_or(0)
}

impl Real {
    /// Every server of Nova that any pool ever had, in the order in which they were asked for.
    pub fn history(&self) -> Result<Vec<Life>> {
        self.openstack.sql(LIVES)?.lines().map(Life::parse).collect()
    }

    /// The references of all rows of PilotAgentsDB.
    pub fn references(&self) -> Result<Vec<String>> {
        let rows = self.dirac.sql("select PilotJobReference from PilotAgentsDB.PilotAgents")?;
        Ok(rows.lines().map(str::to_owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(began: u64, ended: Option<u64>) -> Life {
        Life { began, ended, ..Life::default() }
    }

    #[test]
    fn the_peak_counts_what_lived_at_one_time_and_not_what_took_turns() {
        assert_eq!(peak(&[]), 0);
        assert_eq!(peak(&[life(1, Some(3)), life(2, Some(5)), life(3, Some(4)), life(9, None)]), 2);
        assert_eq!(peak(&[life(1, None), life(2, None), life(2, Some(9))]), 3);
        let of_four = |began, ended| Life { cores: 4, ..life(began, ended) };
        assert_eq!(peak_cores(&[of_four(1, Some(3)), of_four(2, Some(5)), of_four(5, None)]), 8);
    }

    #[test]
    fn a_row_of_the_database_is_a_life() {
        let text = STANDARD.encode("#cloud-config\ncontent: \"DIRAC_PILOT_REFERENCE='cloud://0a-9f'\\n\"");
        let life = Life::parse(&format!("id\tcpu\tm1.medium\t4\t63900000000\t0\t{text}")).unwrap();
        assert_eq!((life.reference().unwrap(), life.ended), ("cloud://0a-9f", None));
        assert!(Life::parse("id\tcpu").is_err());
        assert!(Life::default().reference().is_err());
    }
}
