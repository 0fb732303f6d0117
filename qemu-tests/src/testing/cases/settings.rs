//! `rootflags=` in a file below `/etc/default/grub.d`: it comes after the one that is written into
//! `/etc/default/grub`, and the kernel takes the last.

use anyhow::{Result, ensure};

use super::rehearsal::{GONE, HOW, is_gone};
use crate::machine::{Disk, End, fork};
use crate::scenario::{Life, Wishes, arm_as_wished, part};
use crate::task::{REBOOTING, Task};
use crate::testing::Bench;

const SET: &str = r#"
mkdir -p /etc/default/grub.d
echo 'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX rootflags=noatime"' > /etc/default/grub.d/50-mine.cfg
update-grub
grep --max-count 1 'linux.*/vmlinuz' /boot/grub/grub.cfg
"#;

const CHECK: &str = r#"
dpkg --install ./*.deb
echo "@@ check"
rootshift check 2>&1 && code=0 || code=$?
echo "status $code"
echo "@@ end"
"#;

const UPDATE_AND_FINALIZE: &str = r#"
update-grub
echo "@@ finalize"
rootshift finalize --yes 2>&1 && code=0 || code=$?
echo "status $code"
update-grub
exit 100
"#;

/// Refused, with the words that are in the way; or else it boots to the end, `update-grub` run at
/// each stage.
pub(super) fn in_grub_d(bench: &Bench) -> Result<()> {
    let context = &bench.context;
    let name = "test-grub-d";
    let overlay = context.place(name, "disk.qcow2")?;
    let disk: Disk = fork(&context.tools.qemu, &context.image, &overlay)?;
    let run = |what: &str, script: &str| {
        let mut machine = context.machine(&format!("{name}-{what}"), &disk);
        machine.processors = 1;
        context.run(machine, &Task::new(script).file(&context.deb))
    };
    // The system that is asked was booted with it.
    let set = run("set", &format!("{SET}exit 100\n"))?;
    set.task(REBOOTING)?;
    let outcome = run("asked", CHECK)?;
    outcome.expect(&End::PoweredOff)?;
    let check = part(outcome.task(0)?, "check")?;
    println!("     `check`: {}", check.lines().last().unwrap_or_default());
    if check.ends_with("status 1") {
        ensure!(
            check.contains("rootflags") && check.contains("50-mine.cfg"),
            "refused for another reason:\n{check}"
        );
        return Ok(());
    }
    let wishes = Wishes {
        before: SET,
        ..Wishes::default()
    };
    let armed = arm_as_wished(context, &context.image, "test-grub-d-armed", wishes)?;
    let mut life = Life::new(context, &armed, name)?;
    life.migrate()?;
    life.boot("trial", "update-grub\nexit 100\n")?;
    let said = life.boot("rehearsal", &format!("{HOW}{UPDATE_AND_FINALIZE}"))?;
    let finalize = part(&said, "finalize")?;
    println!("     `finalize`: {}", finalize.replace('\n', " | "));
    if !finalize.ends_with("status 0") {
        life.boot("rehearsal again", &format!("{HOW}{UPDATE_AND_FINALIZE}"))?;
    }
    is_gone(&life.boot("the end", &format!("{HOW}{GONE}"))?)
}
