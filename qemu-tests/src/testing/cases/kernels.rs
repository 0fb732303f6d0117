//! A kernel that is installed between arming and the reboot, and picked in GRUB's menu.

use anyhow::{Context as _, Result, ensure};

use crate::machine::{Disk, Outcome};
use crate::scenario::{Wishes, arm_as_wished, migrate, part, prove};
use crate::testing::Bench;

/// Older than every kernel of the image: only who picks it gets it.
const OTHER: &str = "5.0.0-1-other";

/// What a kernel package does, with a copy of the running kernel under another name. The copy looks
/// for its modules under its old name: its image holds them under both.
const INSTALL: &str = r#"
echo "@@ kernel"
running=$(uname -r)
cat > /etc/initramfs-tools/hooks/two-names <<HOOK
#!/bin/sh
[ "\$1" != prereqs ] && [ "\$version" = OTHER ] || exit 0
mkdir -p "\$DESTDIR/lib/modules"
ln -s OTHER "\$DESTDIR/lib/modules/$running"
HOOK
chmod 755 /etc/initramfs-tools/hooks/two-names
cp --archive "/boot/vmlinuz-$running" /boot/vmlinuz-OTHER
cp --archive "/boot/config-$running" /boot/config-OTHER
cp --archive --reflink=auto "/lib/modules/$running" /lib/modules/OTHER
depmod OTHER
run-parts --exit-on-error --arg=OTHER --arg=/boot/vmlinuz-OTHER /etc/kernel/postinst.d
echo "@@ picked"
uuid=$(findmnt --noheadings --output UUID /)
grub-reboot "gnulinux-advanced-$uuid>gnulinux-OTHER-advanced-$uuid"
grub-editenv list
"#;

/// Its hooks renew the plan, it migrates, and it boots the new system.
pub(super) fn updated_and_picked(bench: &Bench) -> Result<()> {
    let context = &bench.context;
    let install = INSTALL.replace("OTHER", OTHER);
    let name = "test-kernel-armed";
    let wishes = Wishes {
        then: &install,
        ..Wishes::default()
    };
    let armed = arm_as_wished(context, &context.image, name, wishes)?;
    let kernel = part(armed.said()?, "kernel")?;
    ensure!(
        kernel.contains("rootshift: Renewed"),
        "the hooks did not renew the plan:\n{kernel}"
    );
    let disk = Disk::Raw(armed.disk.clone());
    let migrated = migrate(context, "test-kernel", &disk, 1)?;
    picked(&migrated)?;
    let proof = prove(context, "test-kernel-proof", &disk, &armed)?;
    picked(&proof.outcome)?;
    let renewed = format!("initrd.img-{OTHER}");
    let known = |line: &str| line.contains("renewed for") && line.contains(&renewed);
    ensure!(
        proof.log.lines().any(known),
        "the journal does not know the new image:\n{}",
        proof.log
    );
    Ok(())
}

fn picked(outcome: &Outcome) -> Result<()> {
    let line = format!("Loading Linux {OTHER}");
    outcome
        .line(&line)
        .with_context(|| format!("{}: the console never said \"{line}\"", outcome.name))?;
    Ok(())
}
