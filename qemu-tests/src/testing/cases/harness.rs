//! The harness itself: its power cut loses what it must, its proof sees what it must.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::image::AttachedDisk;
use crate::machine::{Disk, End, Kill, fork};
use crate::power_cut::cut;
use crate::scenario::part;
use crate::task::Task;
use crate::testing::Bench;

const WRITE: &str = "
echo kept > /home/user/flushed
sync
echo lost > /home/user/unflushed
echo 'now: cut the power' > /dev/kmsg
sleep 60
";

/// What was synced is there after the cut, what was only written is not.
pub(super) fn cut_loses_the_unflushed(bench: &Bench) -> Result<()> {
    let context = &bench.context;
    let name = "test-cut";
    let mut machine = context.machine(name, &Disk::Raw(context.image.clone()));
    machine.processors = 1;
    machine.task = Some(Task::new(WRITE).write(&context.workspace.machine(name)?)?);
    let kill = Kill {
        line: "now: cut the power".to_owned(),
        delay: Duration::ZERO,
    };
    let after = context.place(name, "disk.raw")?;
    cut(
        machine,
        &context.image,
        kill,
        &after,
        &context.workspace,
        &context.tools.qemu,
    )?;
    let attached = AttachedDisk::new(&after)?;
    let mounted = attached.mount_top_level()?;
    let user = mounted.path().join("home/user");
    let (kept, lost) = (
        user.join("flushed").exists(),
        user.join("unflushed").exists(),
    );
    mounted.unmount()?;
    ensure!(
        kept,
        "a synced file is gone: the rebuilt disk is older than it may be"
    );
    ensure!(!lost, "an unflushed file is there: the cut was not hard");
    Ok(())
}

const SPOIL: &str = r#"
notes=/dev/disk/by-id/virtio-notes
home=/home/user
./guest-probe record $notes
echo "@@ nothing"
./guest-probe compare flat $notes
sync
touch --reference=$home/documents/original stamp
printf X | dd of=$home/documents/original conv=notrunc status=none
touch --reference=stamp $home/documents/original
setfattr --remove=user.comment $home/attributes
cp --archive $home/media/film.mkv $home/media/copy
touch --reference=$home/sparse stamp
dd if=/dev/zero of=$home/sparse bs=4096 count=1 conv=notrunc status=none
touch --reference=stamp $home/sparse
chmod u-s /usr/local/bin/setuid
setcap -r /usr/local/bin/capable
rm $home/dangling
echo "@@ something"
./guest-probe compare flat $notes
echo "@@ end"
"#;

/// One changed byte under the same time and size, an attribute, a mode bit, a capability, a
/// filled hole, a file more and a link less: each is seen.
pub(super) fn proof_sees_each_difference(bench: &Bench) -> Result<()> {
    let context = &bench.context;
    let name = "test-proof";
    let disk = fork(
        &context.tools.qemu,
        &context.image,
        &context.place(name, "disk.qcow2")?,
    )?;
    let mut machine = context.machine(name, &disk);
    machine.processors = 1;
    machine.notes = Some(bench.armed()?.copy_notes(context, name)?);
    let outcome = context.run(machine, &Task::new(SPOIL).file(&context.probe))?;
    outcome.expect(&End::PoweredOff)?;
    let said = outcome.task(0)?;
    let (nothing, something) = (part(said, "nothing")?, part(said, "something")?);
    ensure!(
        !nothing.contains("entries differ"),
        "differences where there are none: {nothing}"
    );
    let seen = [
        ("documents/original\\\": content", "a changed byte"),
        ("user.comment", "a lost attribute"),
        ("setuid\\\": mode", "a lost mode bit"),
        ("security.capability", "a lost capability"),
        ("sparse\\\": holes", "a filled hole"),
        ("extra \\\"home/user/media/copy", "a file more"),
        ("missing \\\"home/user/dangling", "a link less"),
    ];
    for (words, what) in seen {
        ensure!(
            something.contains(words),
            "the proof does not see {what}: {something}"
        );
    }
    Ok(())
}
