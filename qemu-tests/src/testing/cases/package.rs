//! The Debian package in a machine's life: installed, upgraded, removed at every stage.

use anyhow::{Context as _, Result, ensure};

use crate::expectations::{REHEARSED, VALIDATED, ensure_old_layout, stage};
use crate::image;
use crate::machine::{Disk, End};
use crate::scenario::{Life, Wishes, arm_as_wished, part};
use crate::task::Task;
use crate::testing::Bench;

/// Tries to remove the package in every way; each says how it ended.
const REMOVE: &str = r#"
echo "@@ removed"
for words in "dpkg --remove" "dpkg --purge" "apt-get --yes remove" "apt-get --yes purge"; do
    $words rootshift > /run/said 2>&1 && code=0 || code=$?
    sed -i 's/\r$//' /run/said # apt runs dpkg on a terminal of its own
    echo "$words: $code; $(grep -c 'rootshift: this package is not removed: ' /run/said) line; $(grep -o 'run `rootshift finalize`\|reboot$\|`rootshift validate`' /run/said | head -n 1)"
done
dpkg-query --show --showformat='${db:Status-Abbrev}\n' rootshift
echo "@@ status"
rootshift status --json
"#;

/// The package goes, with all that it has left.
const PURGE: &str = r#"
echo "@@ purge"
dpkg --purge rootshift 2>&1
echo "@@ left"
find / -xdev -name '*rootshift*' -not -path '/run/*' -not -path '/usr/local/*' \
    -not -path '/etc/systemd/system/*rootshift-test-agent*' -not -path '/var/log/*' \
    -not -path '/@*' -not -path '/var/cache/*'
for image in /boot/initrd.img-*; do
    lsinitramfs "$image" | grep 'rootshift' || true
done
"#;

const LOOK: &str = r#"
echo "@@ layout"
findmnt --noheadings --list --types btrfs --output TARGET,FSROOT
echo "@@ names"
ls -A /
echo "@@ failed"
systemctl list-units --failed --no-legend --plain
echo "@@ end"
"#;

/// Removed while armed: the images are ordinary before its files go, and so is the next boot.
pub(super) fn removed_while_armed(bench: &Bench) -> Result<()> {
    let context = &bench.context;
    let name = "test-removed-armed";
    let wishes = Wishes {
        then: PURGE,
        ..Wishes::default()
    };
    let armed = arm_as_wished(context, &context.image, name, wishes)?;
    let said = armed.said()?;
    let purge = part(said, "purge")?;
    ensure!(
        purge.contains("disarmed: the next boot is an ordinary one"),
        "dpkg said:\n{purge}"
    );
    let left = part(said, "left")?;
    ensure!(left.is_empty(), "left over:\n{left}");
    let mut machine = context.machine(&format!("{name}-after"), &Disk::Raw(armed.disk.clone()));
    machine.processors = 1;
    let outcome = context.run(machine, &Task::new(LOOK))?;
    outcome.expect(&End::PoweredOff)?;
    let said = outcome.task(0)?;
    ensure_old_layout(&part(said, "layout")?)?;
    let names = part(said, "names")?;
    ensure!(
        !names.lines().any(|name| name.starts_with('@')),
        "something was made:\n{names}"
    );
    let failed = part(said, "failed")?;
    ensure!(failed.is_empty(), "failed units: {failed}");
    Ok(())
}

/// An image that was made anew has another inode.
const UPGRADE: &str = r#"
echo '@@ upgrade'
ls -i /boot/initrd.img-* > /run/images-before
dpkg --install ./*.deb 2>&1
ls -i /boot/initrd.img-* > /run/images-after
cmp -s /run/images-before /run/images-after && echo 'images: as before' || echo 'images: made anew'
"#;

/// Nobody can remove it as long as a boot needs it; it can be upgraded; after the rollback it goes.
pub(super) fn stays_until_it_is_over(bench: &Bench) -> Result<()> {
    let context = &bench.context;
    let armed = bench.armed()?;
    let mut life = Life::new(context, &armed, "test-removed-later")?;
    life.migrate()?;
    let upgrade = format!("{REMOVE}{UPGRADE}exit 100\n");
    let trial = life.boot_with("validated", &upgrade, &[&context.deb])?;
    let seen = stage(&part(&trial, "status")?)?;
    ensure!(seen == VALIDATED, "it is {seen}");
    refused(&part(&trial, "removed")?, "run `rootshift finalize`")?;
    let upgraded = part(&trial, "upgrade")?;
    ensure!(
        upgraded.contains("every initramfs takes the new program")
            && upgraded.ends_with("images: made anew")
            && !upgraded.contains("from before"),
        "the upgrade said:\n{upgraded}"
    );
    let asks = format!(
        "{REMOVE}echo '@@ asked'\nrootshift rollback --yes\n{}exit 100\n",
        again(REMOVE)
    );
    let rehearsed = life.boot("rehearsed", &asks)?;
    let seen = stage(&part(&rehearsed, "status")?)?;
    ensure!(seen == REHEARSED, "it is {seen}");
    refused(&part(&rehearsed, "removed")?, "run `rootshift finalize`")?;
    refused(&part(&rehearsed, "again removed")?, "reboot")?;
    let old = life.boot("rolled back", &format!("{PURGE}{LOOK}"))?;
    ensure_old_layout(&part(&old, "layout")?)?;
    let purge = part(&old, "purge")?;
    for wanted in [
        "disarmed: the next boot is an ordinary one",
        "its journal says what the subvolumes *.rolled-back-N are",
    ] {
        ensure!(purge.contains(wanted), "no \"{wanted}\" in:\n{purge}");
    }
    let left = part(&old, "left")?;
    ensure!(left == "/.rootshift", "left over:\n{left}");
    Ok(())
}

/// The same parts under other names.
fn again(script: &str) -> String {
    script.replace("@@ ", "@@ again ")
}

/// Each way was refused by the program itself, in one line with this remedy.
fn refused(said: &str, remedy: &str) -> Result<()> {
    let (ways, state) = said.rsplit_once('\n').context("five lines")?;
    // What was wanted last is dpkg's first letter: "pi" is installed, whoever wanted a purge.
    ensure!(
        ["ii", "ri", "pi"].contains(&state.trim()),
        "the package is {state} after:\n{ways}"
    );
    ensure!(ways.lines().count() == 4, "four ways:\n{ways}");
    for way in ways.lines() {
        ensure!(
            !way.contains(": 0; ") && way.contains("; 1 line; "),
            "{way}"
        );
        ensure!(way.ends_with(remedy), "no \"{remedy}\": {way}");
    }
    Ok(())
}

/// What kdump-tools, and whoever makes an image elsewhere, must not get.
const IMAGES: &str = r#"
apt-get update >&2
apt-get --yes --no-install-recommends install kdump-tools >&2
sed -i s/^MODULES=.*/MODULES=list/ /etc/initramfs-tools/initramfs.conf
dpkg --install /root/rootshift*.deb >&2
mkdir -p /var/lib/rootshift/armed
echo '{}' > /var/lib/rootshift/armed/plan-test.json
version=$(linux-version list | tail -n 1)
update-initramfs -u -k all >&2
/etc/kernel/postinst.d/kdump-tools "$version" >&2
mkinitramfs -o /root/elsewhere "$version"
for image in /boot/initrd.img-$version /var/lib/kdump/initrd.img-$version /root/elsewhere; do
    echo "$image: $(lsinitramfs "$image" | grep -c 'sbin/rootshift$\|plan-test.json$' || true)"
done
"#;

/// Debian's own kdump-tools and mkinitramfs.
pub(super) fn only_images_of_this_system(bench: &Bench) -> Result<()> {
    let disk = bench.context.place("test-kdump", "disk.raw")?;
    image::copy(&bench.context.image, &disk)?;
    let said = image::work_inside(&disk, &[&bench.context.deb], IMAGES)?;
    let counts: Vec<&str> = said
        .lines()
        .filter_map(|line| line.rsplit(' ').next())
        .collect();
    ensure!(counts == ["2", "0", "0"], "the images hold:\n{said}");
    Ok(())
}

/// dracut in the place of initramfs-tools, and its image in that of the other.
const DRACUT: &str = r#"
apt-get update
apt-get --yes --no-install-recommends install dracut
version=$(linux-version list | tail -n 1)
dracut --force --no-hostonly --add-drivers 'btrfs virtio_blk virtio_pci' --filesystems btrfs "/boot/initrd.img-$version" "$version"
update-grub
"#;

const INSTALL: &str = r#"
echo "@@ image"
sha256sum /boot/initrd.img-*
echo "@@ simulated"
apt-get --simulate install ./rootshift*.deb 2>&1
echo "@@ installed"
apt-get --yes install ./rootshift*.deb 2>&1
echo "@@ dracut"
dpkg-query --show --showformat='${db:Status-Abbrev}\n' dracut
dpkg-query --show --showformat='${db:Status-Abbrev}\n' initramfs-tools 2>&1
echo "@@ check"
rootshift check 2>&1 && code=0 || code=$?
echo "status $code"
echo "@@ arm"
rootshift arm --yes 2>&1 && code=0 || code=$?
echo "status $code"
echo "@@ removed"
dpkg --purge rootshift 2>&1 && code=0 || code=$?
echo "status $code"
echo "@@ image after"
sha256sum /boot/initrd.img-*
echo "@@ end"
"#;

/// Installing changes nothing of how a machine makes its initramfs; `check` says that it is not
/// supported.
pub(super) fn dracut_stays(bench: &Bench) -> Result<()> {
    let context = &bench.context;
    let name = "test-dracut";
    let disk = context.place(name, "disk.raw")?;
    image::copy(&context.image, &disk)?;
    image::work_inside(&disk, &[], DRACUT).context("put dracut into the image")?;
    let mut machine = context.machine(name, &Disk::Raw(disk));
    machine.processors = 1;
    let outcome = context.run(machine, &Task::new(INSTALL).file(&context.deb))?;
    outcome.expect(&End::PoweredOff)?;
    let said = outcome.task(0)?;
    for apt in ["simulated", "installed"] {
        let apt = part(said, apt)?;
        ensure!(
            apt.contains("0 upgraded, 1 newly installed, 0 to remove"),
            "apt said:\n{apt}"
        );
    }
    let dracut = part(said, "dracut")?;
    ensure!(
        dracut.lines().next().map(str::trim) == Some("ii") && dracut.matches("ii").count() == 1,
        "dracut and initramfs-tools are:\n{dracut}"
    );
    for command in ["check", "arm"] {
        let refused = part(said, command)?;
        ensure!(
            refused.contains("the initramfs is not made by initramfs-tools")
                && refused.ends_with("status 1"),
            "`{command}`:\n{refused}"
        );
    }
    ensure!(part(said, "removed")?.ends_with("status 0"));
    ensure!(part(said, "image")? == part(said, "image after")?);
    Ok(())
}
