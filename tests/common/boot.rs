//! Passes through the initramfs, and power cuts in them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rootshift::engine::Stage;

use super::running::VIEW;
use super::{Disk, unmount};

impl Disk {
    pub fn boot_command(&self, binary: &str) -> Command {
        let mut command = match &self.view {
            None => Command::new(binary),
            Some(view) => {
                let mut command = Command::new("unshare");
                command
                    .args(["--mount", "--propagation", "private", "sh", "-c"])
                    .arg(format!("{VIEW} exec \"$@\""))
                    .args(["sh", binary])
                    .env("VIEW", view);
                command
            }
        };
        command
            .args(["boot", "--no-reboot", "--device", &self.device])
            .args(["--plans", self.folder.join("plans").to_str().unwrap()])
            .args(["--param-conf", self.param_conf().to_str().unwrap()])
            .args(["--mount-at", self.folder.join("boot").to_str().unwrap()])
            .arg("--console")
            .arg(self.console.as_deref().unwrap_or(Path::new("/nonexistent")))
            .arg("--log")
            .arg(self.folder.join("boot.log"))
            .env("ROOTFLAGS", "")
            .stderr(Stdio::piped());
        command
    }

    /// What all boots said.
    pub fn boot_log(&self) -> String {
        fs::read_to_string(self.folder.join("boot.log")).unwrap()
    }

    pub fn param_conf(&self) -> PathBuf {
        self.folder.join("param.conf")
    }

    /// One pass through the initramfs. Returns the exit status.
    pub fn boot(&self) -> i32 {
        self.boot_with("")
    }

    /// The same where the kernel command line holds these `rootflags=`.
    pub fn boot_with(&self, root_flags: &str) -> i32 {
        let _ = fs::remove_file(self.param_conf());
        let output = self
            .boot_command(env!("CARGO_BIN_EXE_rootshift"))
            .env("ROOTFLAGS", root_flags)
            .output()
            .unwrap();
        output
            .status
            .code()
            .expect("the binary was killed by a signal")
    }

    /// The boot in which the loader alone names the new system, and its validation.
    pub fn rehearse(&self) {
        assert_eq!(self.boot_with("subvol=@"), 0);
        assert_eq!(self.root_flags(), None, "{}", self.boot_log());
        assert_eq!(self.stage(), Stage::Rehearsing, "{}", self.boot_log());
        let ran = self.run_booted_with(&self.new_command_line(), true, "validate");
        assert_eq!((ran.code, self.stage()), (0, Stage::Rehearsed), "{ran:?}");
    }

    /// Boots until the journal says that the new system is on trial.
    pub fn boot_to_the_end(&self, at: &str) {
        for _ in 0..3 {
            self.boot();
            if self.state().trials > 0 {
                assert_eq!(self.root_flags().as_deref(), Some("subvol=@"), "{at}");
                return;
            }
        }
        panic!("{at}: {:#?}\n{}", self.state(), self.boot_log());
    }

    /// A pass through the initramfs that is to stand still at a fault point.
    pub fn boot_until(&self, fault: &str) -> Child {
        let _ = fs::remove_file(self.param_conf());
        let mut command = self.boot_command(env!("CARGO_BIN_EXE_rootshift"));
        command.env("ROOTSHIFT_FAULT", fault).spawn().unwrap()
    }

    /// Runs a boot that stands still at a fault point, and cuts the power there: the disk is what
    /// had been written to the device. False when the boot ended without getting there.
    pub fn cut_at(&mut self, fault: &str) -> bool {
        let mut child = self.boot_until(fault);
        let stderr = child.stderr.take().unwrap();
        let mut said = BufReader::new(stderr).lines().map_while(Result::ok);
        let reached = said.any(|line| line.contains("fault point"));
        if reached {
            let cut = self.keep_copy("cut.img");
            child.kill().unwrap();
            child.wait().unwrap();
            said.for_each(drop); // the worker dies with the process that watches over it
            unmount(&self.folder.join("boot"));
            self.settle();
            if let Some(other) = &self.other {
                // Not mounted where a boot does nothing to it.
                let _ = Command::new("umount")
                    .arg(self.folder.join("boot.1"))
                    .output();
                other.settle();
            }
            self.restore(&cut);
        } else {
            assert!(
                child.wait().unwrap().code().is_some(),
                "{fault}: killed by a signal"
            );
        }
        reached
    }

    /// What a boot told the initramfs to mount root with.
    pub fn root_flags(&self) -> Option<String> {
        let text = fs::read_to_string(self.param_conf()).ok()?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("ROOTFLAGS='-o "))?;
        line.strip_suffix('\'').map(str::to_owned)
    }
}

/// What the kernel mounts as root by these options, seen by `findmnt`; and whether it holds an init.
pub fn mounted_by_the_kernel(disk: &Disk, options: &str) -> Option<(String, bool)> {
    let at = disk.folder.join("root");
    fs::create_dir_all(&at).unwrap();
    let mut mount = Command::new("mount");
    let done = mount.args(["-o", options, &disk.device]).arg(&at).output();
    if !done.unwrap().status.success() {
        return None;
    }
    let shown = at.to_str().unwrap();
    let root = super::run("findmnt", &["-no", "FSROOT", "--mountpoint", shown]);
    let has_init = at.join("usr/lib/systemd/systemd").exists();
    unmount(&at);
    disk.settle();
    Some((root, has_init))
}
