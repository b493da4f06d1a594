//! The databases: made once by OpenStack's own migrations, which take a while, and from then on loaded from the cache.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
    thread,
};

use anyhow::{Context, Result, ensure};

use super::{OpenStack, PASSWORD, PYTHON};
use crate::host::{cache, process::run, say::Step};

const DATABASES: [&str; 7] = ["keystone", "placement", "glance", "nova", "nova_api", "nova_cell0", "neutron"];
/// Packages whose migrations make the schema.
const PACKAGES: [&str; 5] =
    ["python3-keystone", "python3-nova", "python3-glance", "python3-placement", "python3-neutron"];

/// Fills the empty databases.
pub fn load(it: &OpenStack) -> Result<()> {
    let mut sql = format!("CREATE USER 'os'@'%' IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON *.* TO 'os'@'%';");
    for name in DATABASES {
        sql.push_str(&format!("CREATE DATABASE {name} CHARACTER SET utf8mb3;"));
    }
    run("making the databases", client(it, "mariadb").args(["-e", &sql]))?;
    let mut made_here = false;
    let cached = cache::built(&format!("openstack-schema-{}", versions()?), |folder| {
        made_here = true;
        let step = Step::start("OpenStack: making the database schemas (a minute; kept for the next time)");
        migrate(it)?;
        let dump = run(
            "mariadb-dump",
            client(it, "mariadb-dump").args(["--skip-lock-tables", "--databases"]).args(DATABASES),
        )?;
        fs::write(folder.join("schema.sql"), dump)?;
        step.done();
        Ok(())
    })?;
    if !made_here {
        let mut command = client(it, "mariadb");
        let status = command.stdin(Stdio::from(File::open(cached.join("schema.sql"))?)).process_group(0).status()?;
        ensure!(status.success(), "the cached schema {} cannot be loaded: delete that folder", cached.display());
    }
    cells(it)
}

/// Nova keeps where its cells are in a table: there the ports of this testbed are written. nova-api reads the table when it starts
/// and keeps it, so the way to the cell's database that can be cut has to be in it by then.
fn cells(it: &OpenStack) -> Result<()> {
    let database =
        |name: &str, port: u16| format!("mysql+pymysql://os:{PASSWORD}@127.0.0.1:{port}/{name}?charset=utf8");
    let sql = format!(
        "UPDATE nova_api.cell_mappings SET database_connection = '{}' WHERE name = 'cell0'; \
         UPDATE nova_api.cell_mappings SET database_connection = '{}', \
         transport_url = 'rabbit://openstack:{PASSWORD}@127.0.0.1:{}/' WHERE name = 'cell1';",
        database("nova_cell0", it.ports.mariadb),
        database("nova", it.cell.port()),
        it.ports.rabbit
    );
    run("pointing Nova's cells here", client(it, "mariadb").args(["-e", &sql])).map(|_| ())
}

fn client(it: &OpenStack, program: &str) -> Command {
    let mut command = it.command(program);
    command.args(["--no-defaults", "-uroot", "-S"]).arg(it.socket());
    command
}

fn migrate(it: &OpenStack) -> Result<()> {
    let etc = |name: &str| it.state.join("etc").join(name);
    let mut keystone = it.command(PYTHON);
    keystone.args(["/usr/bin/keystone-manage", "--config-file"]).arg(etc("keystone/keystone.conf")).arg("db_sync");
    let mut placement = it.command(PYTHON);
    placement.env("OS_PLACEMENT_CONFIG_DIR", etc("placement")).args(["/usr/bin/placement-manage", "--config-file"]);
    placement.arg(etc("placement/placement.conf")).args(["db", "sync"]);
    let mut glance = it.service("glance.cmd.manage:main", "glance/glance-api", false);
    glance.arg("db_sync");
    let mut nova = it.command(PYTHON);
    nova.arg(it.lib("novadb.py")).args([etc("nova/nova.conf"), etc("nova/db.conf")]);
    let mut neutron = it.service("neutron.db.migration.cli:main", "neutron/neutron", false);
    neutron.args(["upgrade", "head"]);
    let all =
        [("keystone", keystone), ("placement", placement), ("glance", glance), ("nova", nova), ("neutron", neutron)];
    thread::scope(|scope| {
        let started: Vec<_> = all
            .into_iter()
            .map(|(name, mut command)| scope.spawn(move || run(&format!("the schema of {name}"), &mut command)))
            .collect();
        started.into_iter().try_for_each(|thread| match thread.join() {
            Ok(outcome) => outcome.map(|_| ()),
            Err(_) => anyhow::bail!("a migration's thread ended"),
        })
    })
}

/// The versions of the packages whose migrations made the schema.
fn versions() -> Result<String> {
    let text = run("dpkg-query", Command::new("dpkg-query").args(["-W", "-f", "${Version} "]).args(PACKAGES))?;
    let clean: String =
        text.trim().chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
    ensure!(!clean.is_empty(), "the versions of OpenStack's packages are unknown");
    Path::new(&clean).file_name().context("an odd version")?;
    Ok(clean)
}
