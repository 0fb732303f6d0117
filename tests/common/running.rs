//! Commands of the binary in a running system.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rootshift::report::boot_log::BOOT_LOG;

use super::{Disk, Kind, repository};

/// Begins a mount namespace, with the block devices and the command line of a [`Disk::view`]: a
/// device of this machine would be seen by the tests beside this one.
pub(super) const VIEW: &str = r#"
    set -e
    # The disks of the tests beside this one came along; they must not stay mounted here.
    awk '$5 ~ /\/rootshift-loop-/ { print $5 }' /proc/self/mountinfo |
        while read -r place; do umount --lazy "$place" 2>/dev/null || true; done
    if [ -n "$VIEW" ]; then
        # The test's own folder may lie below what is hidden here.
        exec 9< "${VIEW%/*}"
        mount -t tmpfs shm /dev/shm
        mkdir -p "${VIEW%/*}"
        mount --no-canonicalize --bind /proc/self/fd/9 "${VIEW%/*}"
        exec 9<&-
        mount -t tmpfs block /sys/class/block
        for file in "$VIEW"/*; do
            name=${file##*/}
            if [ "$name" = cmdline ]; then mount --bind "$file" /proc/cmdline; continue; fi
            mkdir "/sys/class/block/shm!$name"
            echo 2048 > "/sys/class/block/shm!$name/size"
            cp --sparse=always "$file" "/dev/shm/$name"
        done
    fi
"#;

/// How a command ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// Whether a page for a console says this, wherever its lines break; a sentence begins with a
    /// capital there.
    pub fn says(&self, wanted: &str) -> bool {
        let plain = |text: &str| {
            let words: Vec<&str> = text.split_whitespace().collect();
            words.join(" ").to_lowercase()
        };
        plain(&self.stdout).contains(&plain(wanted))
    }

    /// The lines of the checks that failed: exit code 1.
    pub fn failures(&self) -> Vec<&str> {
        assert_eq!(self.code, 1, "{self:?}");
        let failed = self.stdout.lines().filter(|line| line.starts_with("FAIL"));
        failed.collect()
    }

    /// The one line with which a check failed: exit code 1, and nothing else is wrong.
    pub fn only_failure(&self) -> &str {
        let failed = self.failures();
        let [line] = failed.as_slice() else {
            panic!("one line, not {failed:#?}")
        };
        line
    }

    /// That all it said on stderr is one line with these parts.
    pub fn assert_one_line(&self, wanted: &[&str]) {
        assert_eq!(self.stderr.lines().count(), 1, "{}", self.stderr);
        for part in wanted {
            assert!(
                self.stderr.contains(part),
                "{part} is missing in: {}",
                self.stderr
            );
        }
    }
}

impl Disk {
    /// Runs a command of the binary as the machine itself would: with this disk as its root, seen
    /// from inside. The binary and its libraries are on a tmpfs at /run.
    pub fn run_inside(&self, arguments: &str) -> Ran {
        self.run_in(&["--mount"], self.root(), arguments)
    }

    /// The same after a shell script of the test has set the machine up, as root of this one, in
    /// the mount namespace of the command.
    pub fn run_after(&self, setup: &str, arguments: &str) -> Ran {
        let before = format!("set -e\n{setup}\nexec \"$@\"");
        let words = ["--mount", "sh", "-c", &before, "sh", "unshare", "--mount"];
        self.run_in(&words, self.root(), arguments)
    }

    /// The same with the new system as its root.
    pub fn run_in_new_system(&self, arguments: &str) -> Ran {
        self.run_in(&["--mount"], "@", arguments)
    }

    /// The same where it is mounted read-only.
    pub fn run_in_read_only_new_system(&self, arguments: &str) -> Ran {
        self.run_in(&["--mount"], "@,ro", arguments)
    }

    /// The same for at most so many seconds; then it is asked to end, and the exit status is 124.
    pub fn run_in_new_system_for(&self, seconds: &str, arguments: &str) -> Ran {
        let limit = ["--mount", "timeout", seconds, "unshare", "--mount"];
        self.run_in(&limit, "@", arguments)
    }

    /// The same in a network namespace of its own, which has no routes.
    pub fn run_without_network(&self, arguments: &str) -> Ran {
        self.run_in(&["--mount", "--net"], self.root(), arguments)
    }

    /// The same, all of its subvolumes mounted, in a boot with this kernel command line; whether an
    /// image with rootshift took part in that boot.
    pub fn run_booted_with(&self, line: &str, by_our_image: bool, arguments: &str) -> Ran {
        let split_off = "@home=/home @var_log=/var/log";
        self.run_booted_as("@", split_off, line, by_our_image, arguments)
    }

    /// The same where the new system's subvolumes have other names.
    pub fn run_booted_as(
        &self,
        root: &str,
        split_off: &str,
        line: &str,
        by_our_image: bool,
        arguments: &str,
    ) -> Ran {
        let mut command = self.command_in(&["--mount"], root, arguments);
        self.ran(self.booted(&mut command, split_off, line, by_our_image))
    }

    /// In the new system some time after this boot began; in seconds since 1970.
    pub fn run_up_since(&self, began: u64, by_our_image: bool, arguments: &str) -> Ran {
        let mut command = self.command_in(&["--mount"], "@", arguments);
        let split_off = "@home=/home @var_log=/var/log";
        let line = self.new_command_line();
        let command = self.booted(&mut command, split_off, &line, by_our_image);
        self.ran(command.env("BOOTED", began.to_string()))
    }

    fn booted<'a>(
        &self,
        command: &'a mut Command,
        split_off: &str,
        line: &str,
        by_our_image: bool,
    ) -> &'a mut Command {
        // After that, which writes GRUB's own line there.
        let cmdline = self.folder.join("cmdline");
        fs::write(&cmdline, format!("{line}\n")).unwrap();
        command
            .env("OTHER_OPTIONS", "subvol=@ml")
            .env("CMDLINE", &cmdline)
            .env("SPLIT_OFF", split_off);
        if by_our_image {
            command.env("IMAGE_LOG", BOOT_LOG);
        }
        command
    }

    /// The same in the old system.
    pub fn run_old_booted_with(&self, line: &str, arguments: &str) -> Ran {
        let mut command = self.command_in(&["--mount"], self.root(), arguments);
        fs::write(self.folder.join("cmdline"), format!("{line}\n")).unwrap();
        self.ran(&mut command)
    }

    /// A file with what GRUB hands on when it boots this root, unless the view has one.
    fn command_line_of(&self, root: &str) -> PathBuf {
        let viewed = self.view.as_ref().map(|view| view.join("cmdline"));
        if viewed.is_some_and(|file| file.exists()) {
            return PathBuf::new();
        }
        let line = match root.split(',').next() {
            Some("@") => self.new_command_line(),
            _ => self.old_command_line(),
        };
        let file = self.folder.join("cmdline");
        fs::write(&file, format!("{line}\n")).unwrap();
        file
    }

    /// What GRUB hands on when it boots the old system by its own configuration.
    pub fn old_command_line(&self) -> String {
        let (prefix, flags) = match self.kind {
            Kind::Flat => ("", ""),
            Kind::Rootfs => ("/@rootfs", " rootflags=subvol=@rootfs"),
        };
        let uuid = &self.uuid;
        let kernel = "vmlinuz-6.1.0-1-amd64";
        format!("BOOT_IMAGE={prefix}/boot/{kernel} root=UUID={uuid} ro{flags} quiet")
    }

    /// What GRUB hands on when it boots the new system by its own configuration.
    pub fn new_command_line(&self) -> String {
        let uuid = &self.uuid;
        let kernel = "BOOT_IMAGE=/@/boot/vmlinuz-6.1.0-1-amd64";
        format!("{kernel} root=UUID={uuid} ro rootflags=subvol=@ quiet")
    }

    /// What is root for commands run inside.
    fn root(&self) -> &str {
        self.mounted_as.as_deref().unwrap_or(self.kind.root())
    }

    fn run_in(&self, namespaces: &[&str], root: &str, arguments: &str) -> Ran {
        self.ran(&mut self.command_in(namespaces, root, arguments))
    }

    fn ran(&self, command: &mut Command) -> Ran {
        let output = command.output().unwrap();
        self.settle();
        if let Some(other) = &self.other {
            other.settle();
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ran {
            code: output.status.code().unwrap(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// The same with a /proc that shows nothing of the processes of this machine, as in a container.
    pub fn command_in_pid_namespace(&self, arguments: &str) -> Command {
        let own = ["--mount", "--pid", "--fork", "--mount-proc"];
        self.command_in(&own, "@", arguments)
    }

    /// What [`Disk::run_in_new_system`] runs, not started yet.
    pub fn command_in_new_system(&self, arguments: &str) -> Command {
        self.command_in(&["--mount"], "@", arguments)
    }

    pub(super) fn command_in(&self, namespaces: &[&str], root: &str, arguments: &str) -> Command {
        const SCRIPT: &str = r#"
            mount -o "$OPTIONS" "$DEVICE" "$TOP"
            mount -t tmpfs run "$TOP/run"
            [ -z "$OTHER" ] || mount -o "$OTHER_OPTIONS" "$OTHER" "$TOP/ml"
            mount --rbind /proc "$TOP/proc"
            mount --rbind /dev "$TOP/dev"
            mount --rbind /sys "$TOP/sys"
            if [ -n "$IMAGE_LOG" ]; then mkdir "$TOP/run/initramfs"; : > "$TOP/$IMAGE_LOG"; fi
            [ -z "$CMDLINE" ] || mount --bind "$CMDLINE" "$TOP/proc/cmdline"
            # This machine has been up for longer than the one that is played.
            sed "s/^btime .*/btime ${BOOTED:-$(date +%s)}/" /proc/stat > "$TOP/run/stat"
            mount --bind "$TOP/run/stat" "$TOP/proc/stat"
            for name in models datasets; do
                [ -n "$SPLIT_OFF" ] && [ -d "$TOP/ml/$name" ] || continue
                mount -o "subvol=@$name" "$OTHER" "$TOP/ml/$name"
            done
            for one in $SPLIT_OFF; do
                name=${one%%=*}
                mount -o "subvol=/$name,noatime" "$DEVICE" "$TOP${one#*=}"
            done
            for library in $(ldd "$BINARY" | grep -o '/[^ ]*'); do cp "$library" "$TOP/run/"; done
            cp "$BINARY" "$TOP/run/program"
            [ -z "$BATCH" ] || cp "${BATCH%/*}"/*.json "$TOP/run/"
            cp -r "$REPOSITORY/viscripts" "$TOP/run/"
            chmod -R go-w "$TOP"/run/*.json "$TOP/run/viscripts" 2>/dev/null || true
            exec chroot "$TOP" /run/ld-linux-x86-64.so.2 --library-path /run /run/program $ARGUMENTS
        "#;
        let target = self.folder.join("inside");
        fs::create_dir_all(&target).unwrap();
        let mut command = Command::new("unshare");
        command
            .args(namespaces)
            .args(["--propagation", "private", "sh", "-c"])
            .arg(format!("{VIEW}{SCRIPT}"))
            .env("VIEW", self.view.as_deref().unwrap_or(Path::new("")))
            .env("OPTIONS", format!("subvol=/{root},noatime"))
            .env("DEVICE", &self.device)
            .env("TOP", &target)
            .env("OTHER_OPTIONS", "subvolid=5")
            .env("CMDLINE", self.command_line_of(root))
            .env("SPLIT_OFF", "")
            .env("IMAGE_LOG", "")
            .env("BINARY", env!("CARGO_BIN_EXE_rootshift"))
            .env("BATCH", self.batch.as_deref().unwrap_or(Path::new("")))
            .env(
                "OTHER",
                self.other
                    .as_ref()
                    .map_or("", |other| other.device.as_str()),
            )
            .env("REPOSITORY", repository())
            .env("ARGUMENTS", arguments);
        command
    }
}
