//! The systems that machines begin with: small, and laid out as Debian's.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;

use anyhow::{Context as _, Result};

/// The kernel that it comes with.
pub const KERNEL: &str = "6.1.0-1-amd64";
/// The owner's user, and the hostile one.
pub const OWNER: u32 = 1000;
pub const EVE: u32 = 4242;

const FOLDERS: [&str; 40] = [
    "usr/bin",
    "usr/sbin",
    "usr/lib/systemd/system",
    "usr/share/doc",
    "usr/local/bin",
    "etc/default/grub.d",
    "etc/systemd/system",
    "etc/initramfs-tools/conf.d",
    "etc/ssh",
    "var/log/journal",
    "var/lib/dpkg",
    "var/lib/rootshift",
    "var/lib/systemd",
    "var/cache/apt",
    "var/spool",
    "var/backups",
    "var/mail",
    "home/user/Documents",
    "home/eve/docs",
    "root/.ssh",
    "srv/www",
    "srv/models/family",
    "opt/tool/bin",
    "mnt",
    "media",
    "run",
    "proc",
    "sys",
    "dev",
    "tmp",
    "var/tmp",
    "boot/grub/i386-pc",
    "usr/share/initramfs-tools/scripts/local-premount",
    "usr/share/initramfs-tools/hooks",
    "usr/lib/modules/6.1.0-1-amd64",
    "home/user/.cache",
    "var/lib/apt/lists",
    "etc/kernel/postinst.d",
    "usr/share/rootshift/batches",
    "usr/share/rootshift/viscripts",
];

/// A program that only has to be there.
const NOTHING: &str = "#!/run/tools/busybox sh\nexit 0\n";

/// As initramfs-tools: an image is the list of what it holds, then the plans themselves.
const UPDATE_INITRAMFS: &str = r#"#!/run/tools/busybox sh
b=/run/tools/busybox
version=all
while [ $# -gt 0 ]; do [ "$1" = -k ] && version=$2; shift; done
for kernel in /boot/vmlinuz-*; do
	name=${kernel#/boot/vmlinuz-}
	[ "$version" = all ] || [ "$version" = "$name" ] || continue
	image=/boot/initrd.img-$name
	{
		echo init
		echo scripts/local-premount/rootshift
		for plan in /var/lib/rootshift/armed/plan-*.json; do
			[ -f "$plan" ] || continue
			echo usr/sbin/rootshift
			echo "etc/rootshift/${plan##*/}"
		done
		echo ==== data
		for plan in /var/lib/rootshift/armed/plan-*.json; do
			[ -f "$plan" ] || continue
			echo "==== etc/rootshift/${plan##*/}"
			$b cat "$plan"
			echo
		done
	} > "$image.new" && $b mv -f "$image.new" "$image" || exit 1
done
# The stub that lies on an ESP, where there is one.
if [ -d /efi ]; then $b cp /boot/initrd.img-* /efi/ 2>/dev/null; fi
exit 0
"#;

const LSINITRAMFS: &str = r#"#!/run/tools/busybox sh
exec /run/tools/busybox sed '/^==== data$/,$d' "$1"
"#;

/// Fills a fresh root.
pub fn populate(root: &Path, repository: &Path) -> Result<()> {
    for folder in FOLDERS {
        fs::create_dir_all(root.join(folder))?;
    }
    for name in ["bin", "sbin", "lib"] {
        symlink(format!("usr/{name}"), root.join(name))?;
    }
    for sticky in ["tmp", "var/tmp"] {
        fs::set_permissions(root.join(sticky), fs::Permissions::from_mode(0o1777))?;
    }
    fs::set_permissions(root.join("root"), fs::Permissions::from_mode(0o700))?;
    programs(root)?;
    texts(root)?;
    documents(root, repository)?;
    package(root, repository)?;
    for (folder, owner) in [("home/user", OWNER), ("home/eve", EVE)] {
        own(&root.join(folder), owner)?;
    }
    Ok(())
}

fn programs(root: &Path) -> Result<()> {
    let stand_ins = [
        ("update-initramfs", UPDATE_INITRAMFS),
        ("lsinitramfs", LSINITRAMFS),
        ("systemctl", NOTHING),
        ("update-grub", NOTHING),
        ("grub-install", NOTHING),
        ("grub-mkconfig", NOTHING),
        (
            "rootshift",
            "#!/run/tools/busybox sh\nexec /run/tools/program \"$@\"\n",
        ),
        (
            "mount",
            "#!/run/tools/busybox sh\nexec /run/tools/mount \"$@\"\n",
        ),
    ];
    for (name, script) in stand_ins {
        program(root, &format!("usr/sbin/{name}"), script)?;
    }
    program(root, "usr/lib/systemd/systemd", NOTHING)?;
    symlink("../lib/systemd/systemd", root.join("usr/sbin/init"))?;
    let units = [
        ("default.target", "multi-user.target"),
        ("multi-user.target", ""),
        ("boot-complete.target", ""),
        ("basic.target", ""),
        ("emergency.target", ""),
    ];
    for (name, link) in units {
        let unit = root.join("usr/lib/systemd/system").join(name);
        match link {
            "" => fs::write(unit, "[Unit]\nDescription=x\n")?,
            link => symlink(link, unit)?,
        }
    }
    Ok(())
}

/// Writes a program.
pub fn program(root: &Path, name: &str, script: &str) -> Result<()> {
    let path = root.join(name);
    fs::write(&path, script).with_context(|| format!("write {}", path.display()))?;
    Ok(fs::set_permissions(
        path,
        fs::Permissions::from_mode(0o755),
    )?)
}

fn texts(root: &Path) -> Result<()> {
    let kernel = format!("boot/vmlinuz-{KERNEL}");
    let files: [(&str, &str); 24] = [
        (&kernel, "a kernel"),
        ("boot/config-6.1.0-1-amd64", "CONFIG_BTRFS_FS=y\n"),
        ("boot/grub/i386-pc/normal.mod", "module"),
        ("boot/grub/grubenv", "# GRUB Environment Block\n"),
        (
            "etc/passwd",
            "root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n",
        ),
        ("etc/group", "root:x:0:\nuser:x:1000:\n"),
        ("etc/hostname", "machine\n"),
        ("etc/motd", "welcome\n"),
        ("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n"),
        ("etc/ssh/sshd_config", "PermitRootLogin no\n"),
        ("etc/initramfs-tools/initramfs.conf", "MODULES=most\n"),
        (
            "etc/initramfs-tools/update-initramfs.conf",
            "update_initramfs=yes\n",
        ),
        ("usr/share/initramfs-tools/scripts/local", "# local\n"),
        ("usr/lib/modules/6.1.0-1-amd64/modules.dep", "\n"),
        (
            "var/lib/dpkg/status",
            "Package: base-files\nStatus: install ok installed\n",
        ),
        ("var/log/syslog", "a line\n"),
        ("var/log/journal/system.journal", "entries\n"),
        ("srv/www/index.html", "hello\n"),
        ("srv/models/family/weights", "0.1 0.2 0.3\n"),
        ("opt/tool/bin/tool", "a tool\n"),
        ("root/.ssh/id", "secret\n"),
        ("home/eve/docs/letter", "dear Bob\n"),
        ("tmp/kept", "root's own\n"),
        ("var/tmp/kept", "root's own\n"),
    ];
    for (path, text) in files {
        fs::write(root.join(path), text).with_context(|| format!("write {path}"))?;
    }
    for number in 0..8 {
        let path = root.join(format!("home/user/Documents/{number}"));
        fs::write(path, "x".repeat(700 * number))?;
    }
    let private = fs::Permissions::from_mode(0o600);
    Ok(fs::set_permissions(root.join("root/.ssh/id"), private)?)
}

/// Units and hooks, as the package installs and enables them.
fn package(root: &Path, repository: &Path) -> Result<()> {
    let hooks = repository.join("initramfs-hooks");
    let units = root.join("usr/lib/systemd/system");
    for entry in fs::read_dir(hooks.join("systemd"))? {
        let entry = entry?;
        fs::write(units.join(entry.file_name()), fs::read(entry.path())?)?;
    }
    let enabled = root.join("etc/systemd/system");
    for (unit, target) in [
        ("rootshift-validate.service", "multi-user.target"),
        ("rootshift-emergency.service", "emergency.target"),
        ("rootshift-finalize.timer", "timers.target"),
    ] {
        let wants = enabled.join(format!("{target}.wants"));
        fs::create_dir_all(&wants)?;
        symlink(format!("/usr/lib/systemd/system/{unit}"), wants.join(unit))?;
    }
    for (from, to) in [
        (
            "initramfs-tools/hooks/rootshift",
            "usr/share/initramfs-tools/hooks/rootshift",
        ),
        (
            "initramfs-tools/scripts/local-premount/rootshift",
            "usr/share/initramfs-tools/scripts/local-premount/rootshift",
        ),
        ("kernel/rootshift", "etc/kernel/postinst.d/zzz-rootshift"),
    ] {
        let script =
            fs::read_to_string(hooks.join(from)).with_context(|| format!("read {from}"))?;
        program(root, to, &script)?;
    }
    Ok(())
}

/// As the package installs them.
fn documents(root: &Path, repository: &Path) -> Result<()> {
    for kind in ["batches", "viscripts"] {
        for entry in fs::read_dir(repository.join(kind))? {
            let entry = entry?;
            let copy = root
                .join("usr/share/rootshift")
                .join(kind)
                .join(entry.file_name());
            fs::write(&copy, fs::read(entry.path())?)?;
            fs::set_permissions(copy, fs::Permissions::from_mode(0o644))?;
        }
    }
    Ok(())
}

/// What lies on the second disk.
pub fn populate_other(top: &Path) -> Result<()> {
    for folder in ["models/family", "datasets/one", "photos"] {
        fs::create_dir_all(top.join(folder))?;
        fs::write(top.join(folder).join("data"), folder.repeat(300))?;
    }
    fs::write(top.join("README"), "on the second disk\n")?;
    own(&top.join("models"), OWNER)
}

/// All of it belongs to this user.
pub fn own(path: &Path, user: u32) -> Result<()> {
    if path.is_dir() && !path.is_symlink() {
        for entry in fs::read_dir(path)? {
            own(&entry?.path(), user)?;
        }
    }
    match path.is_symlink() {
        true => Ok(()),
        false => Ok(chown(path, Some(user), Some(user))?),
    }
}
