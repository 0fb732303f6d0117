//! A GRUB that is installed anew in one system, as an upgrade of its package does, and the way to
//! the other one.

use anyhow::{Context as _, Result, ensure};

use super::rehearsal::{GONE, HOW, is_gone};
use crate::image::{self, Loader, Place, Recipe};
use crate::scenario::{Armed, Life, Wishes, arm_as_wished, part};
use crate::testing::Bench;

/// What Debian's package does when it is upgraded.
const INSTALL: &str = r#"
set -ex
if [ -d /sys/firmware/efi ]; then grub-install; else grub-install /dev/vda; fi
update-grub
set +x
"#;

const ROLL_BACK: &str = "
rootshift status
rootshift rollback --yes
";

/// Root is the old system's.
const IS_OLD: &str = r#"
set -e
root=$(findmnt --noheadings --output FSROOT /)
echo "root is $root"
[ "$root" != /@ ]
"#;

const AGAIN: &str = "exit 100\n";

const FINALIZE: &str = r#"
echo "@@ finalize"
rootshift finalize --yes 2>&1 && code=0 || code=$?
echo "status $code"
exit 100
"#;

pub(super) fn bios_flat(bench: &Bench) -> Result<()> {
    installed_then_rolled_back(bench, Loader::GrubBios, Place::Flat)
}

pub(super) fn bios_rootfs(bench: &Bench) -> Result<()> {
    installed_then_rolled_back(bench, Loader::GrubBios, Place::Rootfs)
}

pub(super) fn uefi_flat(bench: &Bench) -> Result<()> {
    installed_then_rolled_back(bench, Loader::GrubEfi, Place::Flat)
}

pub(super) fn uefi_rootfs(bench: &Bench) -> Result<()> {
    installed_then_rolled_back(bench, Loader::GrubEfi, Place::Rootfs)
}

/// What is embedded names `@`; the boot after the rollback still finds a configuration, of the
/// system that is root then, and so does every later one.
fn installed_then_rolled_back(bench: &Bench, loader: Loader, root: Place) -> Result<()> {
    let recipe = recipe(loader, root);
    let armed = bench.armed_as(recipe)?;
    let name = format!("test-grub-install-{recipe}");
    let mut life = Life::new(&bench.context, &armed, &name)?;
    life.migrate()?;
    life.boot("asks", &format!("{INSTALL}{ROLL_BACK}{AGAIN}"))?;
    // The image goes back in this boot; what is embedded is read once more in the next one.
    life.boot("goes back", &format!("{IS_OLD}{AGAIN}"))?;
    life.prove_old()
}

pub(super) fn every_stage_bios_flat(bench: &Bench) -> Result<()> {
    at_every_stage(bench, Loader::GrubBios, Place::Flat)
}

pub(super) fn every_stage_bios_rootfs(bench: &Bench) -> Result<()> {
    at_every_stage(bench, Loader::GrubBios, Place::Rootfs)
}

pub(super) fn every_stage_uefi_flat(bench: &Bench) -> Result<()> {
    at_every_stage(bench, Loader::GrubEfi, Place::Flat)
}

pub(super) fn every_stage_uefi_rootfs(bench: &Bench) -> Result<()> {
    at_every_stage(bench, Loader::GrubEfi, Place::Rootfs)
}

/// Both programs in each system at each stage, to the end and back.
fn at_every_stage(bench: &Bench, loader: Loader, root: Place) -> Result<()> {
    let context = &bench.context;
    let recipe = recipe(loader, root);
    let image = image::debian(&context.workspace, &context.tools, recipe)?;
    let renewed = format!("{INSTALL}rootshift arm --renew\n");
    let wishes = Wishes {
        then: &renewed,
        ..Wishes::default()
    };
    let name = format!("test-grub-stages-{recipe}");
    let armed = arm_as_wished(context, &image, &name, wishes)?;
    back(bench, &armed, &format!("{name}-back")).context("and back")?;
    to_the_end(bench, &armed, &format!("{name}-end")).context("and to the end")
}

fn back(bench: &Bench, armed: &Armed, name: &str) -> Result<()> {
    let mut life = Life::new(&bench.context, armed, name)?;
    life.migrate()?;
    life.boot("trial", &format!("{INSTALL}{AGAIN}"))?;
    let asked = format!("{INSTALL}{ROLL_BACK}{INSTALL}{AGAIN}");
    life.boot("rehearsal", &asked)?;
    life.prove_old()?;
    life.boot("rolled back", &format!("{IS_OLD}{INSTALL}{AGAIN}"))?;
    life.boot("the old system", IS_OLD)?;
    Ok(())
}

fn to_the_end(bench: &Bench, armed: &Armed, name: &str) -> Result<()> {
    let mut life = Life::new(&bench.context, armed, name)?;
    life.migrate()?;
    life.boot("trial", &format!("{INSTALL}{AGAIN}"))?;
    life.boot("rehearsal", &format!("{INSTALL}{AGAIN}"))?;
    let said = life.boot("rehearsal again", FINALIZE)?;
    let finalize = part(&said, "finalize")?;
    ensure!(finalize.ends_with("status 0"), "finalize:\n{finalize}");
    life.boot("finalized", &format!("{INSTALL}{AGAIN}"))?;
    is_gone(&life.boot("the end", &format!("{HOW}{GONE}"))?)
}

fn recipe(loader: Loader, root: Place) -> Recipe {
    Recipe {
        loader,
        root,
        ..Recipe::USUAL
    }
}
