//! Debian 13, and a Debian 12 that becomes one while the new system is on trial.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::rehearsal::{GONE, HOW, is_gone, looked_on};
use crate::image::{self, Recipe, Suite};
use crate::machine::Disk;
use crate::scenario::{Armed, Life, part};
use crate::testing::Bench;

const FINALIZE: &str = r#"
echo "@@ finalize"
rootshift finalize --yes 2>&1 && code=0 || code=$?
echo "status $code"
exit 100
"#;

const ROLL_BACK: &str = "
set -e
rootshift rollback --yes
exit 100
";

/// Which Debian it is, and whether each command that reads the machine's state works.
const COMMANDS: &str = r#"
echo "@@ release"
cat /etc/debian_version
systemctl --version | head -n 1
echo "@@ by-path"
find /dev/disk/by-path -mindepth 1 -type d
echo "@@ commands"
for words in "status" "log" "validate" "report --json" "recover --dry-run"; do
    rootshift $words > /run/said 2>&1 && code=0 || code=$?
    echo "$words: $code $(tail -n 1 /run/said | head -c 200)"
done
"#;

/// Armed, migrated, proved, rehearsed, finalized; and on a fork of the same disk, rolled back.
pub(super) fn whole_life(bench: &Bench) -> Result<()> {
    let recipe = Recipe {
        suite: Suite::Trixie,
        ..Recipe::USUAL
    };
    let armed = bench.armed_as(recipe)?;
    let mut life = Life::new(&bench.context, &armed, "test-debian-13")?;
    life.migrate()?;
    life.prove_new()?;
    goes_on(&mut life, "13")?;
    let mut back = Life::new(&bench.context, &armed, "test-debian-13-back")?;
    back.migrate()?;
    back.boot("asks", ROLL_BACK)?;
    back.prove_old()
}

/// Upgraded on trial; then on to the end, and on a copy of the disk back to Debian 12.
pub(super) fn upgraded_on_trial(bench: &Bench) -> Result<()> {
    let context = &bench.context;
    let armed = bench.armed()?;
    let path = context.place("test-becomes-13", "disk.raw")?;
    image::copy(&armed.disk, &path)?;
    let upgraded = Armed {
        disk: path.clone(),
        ..Armed::clone(&armed)
    };
    let mut trial = Life::on(
        context,
        &upgraded,
        "test-becomes-13",
        Disk::Raw(path.clone()),
    );
    trial.migrate()?;
    trial.prove_new()?;
    let start = Instant::now();
    image::full_upgrade(&context.workspace, &context.tools, &path, Suite::Trixie)?;
    println!("     full-upgrade: {:.0} s", start.elapsed().as_secs_f64());
    let mut on = Life::new(context, &upgraded, "test-became-13")?;
    goes_on(&mut on, "13")?;
    let mut back = Life::new(context, &upgraded, "test-became-13-back")?;
    back.boot("asks", ROLL_BACK)?;
    // Debian 12 has no modules for the kernel of 13, which GRUB has loaded by then.
    back.restart("goes back", "has no modules for this kernel")?;
    back.prove_old()
}

/// A rehearsal, the end, and the boot after it.
fn goes_on(life: &mut Life<'_>, release: &str) -> Result<()> {
    let mut said = life.boot("rehearsal", &format!("{HOW}{COMMANDS}{FINALIZE}"))?;
    let found = part(&said, "release")?;
    ensure!(found.starts_with(release), "the guest runs Debian {found}");
    let by_path = part(&said, "by-path")?;
    ensure!(
        by_path.contains("-part"),
        "this systemd makes no directories below by-path: {by_path}"
    );
    let commands = part(&said, "commands")?;
    for line in commands.lines() {
        ensure!(line.contains(": 0 "), "a command fails:\n{commands}");
    }
    if !part(&said, "finalize")?.ends_with("status 0") {
        // The upgrade itself changed the boot chain: one more.
        said = life.boot("rehearsal again", &format!("{HOW}{FINALIZE}"))?;
    }
    looked_on(&said)?;
    let finalize = part(&said, "finalize")?;
    ensure!(finalize.ends_with("status 0"), "finalize:\n{finalize}");
    is_gone(&life.boot("the end", &format!("{HOW}{GONE}"))?)
}
