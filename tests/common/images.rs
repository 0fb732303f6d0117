//! Initramfs images that are made and looked into, and a start of the machine that loads one of
//! them along the boot path, as GRUB does.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rootshift::documents::plan::{PLAN, digest};
use rootshift::engine::Stage;

use super::{Disk, Kind, WOULD_REBOOT, install, write};

/// Makes every image anew: with the plan while one is offered. Fails after so many images where
/// the file says so.
const UPDATE: &str = r#"#!/usr/sbin/sh
stop=99 number=0
if [ -r /var/lib/stop-after ]; then read -r stop </var/lib/stop-after; fi
for image in /boot/initrd.img-*; do
    if [ $((number += 1)) -gt "$stop" ]; then echo "no room" >&2; exit 1; fi
    {
        echo scripts/local-premount/rootshift
        if [ -d /var/lib/rootshift/armed ]; then
            echo usr/sbin/rootshift
            for plan in /var/lib/rootshift/armed/plan-*; do echo "etc/rootshift/${plan##*/}"; done
        fi
    } >"$image"
done
"#;
const LIST: &str = "#!/usr/sbin/sh\nwhile read -r line; do echo \"$line\"; done <\"$1\"\n";

/// The newest is the one that GRUB's first entry loads.
pub const IMAGES: [&str; 2] = ["initrd.img-6.1.0-1-amd64", "initrd.img-6.1.0-2-amd64"];

/// What a start of the machine came to.
#[derive(Debug, PartialEq, Eq)]
pub struct Start {
    /// Whether the image that was loaded last holds rootshift.
    pub armed: bool,
    /// The subvolume that is root; empty for the top level.
    pub root: String,
}

fn holds_rootshift(image: &str) -> bool {
    let holds = |wanted: &str| image.lines().any(|line| line == wanted);
    holds("usr/sbin/rootshift") && holds("scripts/local-premount/rootshift")
}

impl Disk {
    /// The sample system with two kernels, whose images are really made.
    pub fn with_images(kind: Kind) -> Self {
        let disk = Self::with_system_of(kind);
        disk.mounted(|top| {
            let root = top.join(kind.root());
            write(&root, "boot/vmlinuz-6.1.0-2-amd64", "kernel");
            for image in IMAGES {
                write(
                    &root,
                    &format!("boot/{image}"),
                    "scripts/local-premount/rootshift\n",
                );
            }
            disk.install_makers(&root);
        });
        disk
    }

    fn install_makers(&self, root: &Path) {
        install(root, "/bin/sh", "sh");
        for (name, text) in [("update-initramfs", UPDATE), ("lsinitramfs", LIST)] {
            write(root, &format!("usr/sbin/{name}"), text);
            let mode = fs::Permissions::from_mode(0o755);
            fs::set_permissions(root.join("usr/sbin").join(name), mode).unwrap();
        }
    }

    /// From now on images can be made only up to this number in the system below `root`; all of
    /// them with `None`.
    pub fn stop_images_after(&self, root: &str, number: Option<usize>) {
        self.mounted(|top| {
            let file = top.join(root).join("var/lib/stop-after");
            match number {
                Some(number) => fs::write(file, format!("{number}\n")).unwrap(),
                None => fs::remove_file(file).unwrap(),
            }
        });
    }

    /// The text of each image that GRUB can load, in the order of [`IMAGES`].
    pub fn images(&self) -> Vec<String> {
        self.mounted(|top| self.images_at(top))
    }

    fn images_at(&self, top: &Path) -> Vec<String> {
        let boot = self.boot_path(top);
        let text = |name: &&str| fs::read_to_string(boot.join(name)).unwrap();
        IMAGES.iter().map(text).collect()
    }

    /// As GRUB finds it: symlinks are followed from the top level on.
    fn boot_path(&self, top: &Path) -> PathBuf {
        fs::canonicalize(top.join(self.kind.root()).join("boot")).unwrap()
    }

    /// The subvolume that GRUB's configuration names as root; empty for the top level.
    pub fn loader_root(&self) -> String {
        self.mounted(|top| {
            let text = fs::read_to_string(self.boot_path(top).join("grub/grub.cfg")).unwrap();
            let mut words = text.split_whitespace();
            let flags = words.find_map(|word| word.strip_prefix("rootflags=subvol="));
            flags.unwrap_or_default().trim_matches('/').to_owned()
        })
    }

    /// Starts the machine with the image of this number, until a system is up in it, which is the
    /// running one from then on.
    pub fn start(&mut self, image: usize) -> Start {
        for _ in 0..4 {
            if let Some(start) = self.start_once(image) {
                return start;
            }
        }
        panic!("it restarts for ever: {}", self.boot_log());
    }

    /// The same; none where it restarts.
    pub fn start_once(&mut self, image: usize) -> Option<Start> {
        let loader = self.loader_root();
        let text = self.images().swap_remove(image);
        let armed = holds_rootshift(&text);
        let root = match armed {
            false => Some(loader),
            true => self.start_armed(&text, &loader),
        }?;
        self.mounted_as = Some(root.clone());
        Some(Start { armed, root })
    }

    /// Starts it and cuts the power at a fault point. False when it did not get there.
    pub fn cut_start_at(&mut self, image: usize, fault: &str) -> bool {
        let text = self.images().swap_remove(image);
        self.plans_of(&text);
        self.cut_at(fault)
    }

    /// Runs a command until it stands still at a fault point, and kills it there.
    pub fn stop_command_at(&self, arguments: &str, fault: &str) {
        let root = self.mounted_as.as_deref().unwrap_or(self.kind.root());
        let mut command = self.command_in(&["--mount"], root, arguments);
        let mut child = command
            .env("ROOTSHIFT_FAULT", fault)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = child.stderr.take().unwrap();
        let mut said = BufReader::new(stderr).lines().map_while(Result::ok);
        let reached = said.any(|line| line.contains("fault point"));
        assert!(reached, "{arguments} did not come to {fault}");
        child.kill().unwrap();
        child.wait().unwrap();
        self.settle();
    }

    /// None where it restarts.
    fn start_armed(&self, image: &str, loader: &str) -> Option<String> {
        self.plans_of(image);
        let _ = fs::remove_file(self.param_conf());
        let flags = match loader {
            "" => String::new(),
            name => format!("-o subvol={name}"),
        };
        let mut command = self.boot_command(env!("CARGO_BIN_EXE_rootshift"));
        let output = command.env("ROOTFLAGS", flags).output().unwrap();
        match output.status.code().unwrap() {
            WOULD_REBOOT => None,
            0 => {
                let flags = self.root_flags();
                let named = flags.as_deref().and_then(|flags| {
                    let mut options = flags.split(',');
                    options.find_map(|option| option.strip_prefix("subvol="))
                });
                Some(named.unwrap_or(loader).trim_matches('/').to_owned())
            }
            other => panic!("a boot ended with {other}"),
        }
    }

    /// An image holds its plan, whatever becomes of the one on the disk.
    pub fn keep_plan(&self) {
        let kept = self.kept_plans();
        self.mounted(|top| {
            if let Ok(bytes) = fs::read(top.join(PLAN)) {
                fs::write(kept.join(format!("plan-{}.json", digest(&bytes))), bytes).unwrap();
            }
        });
    }

    fn kept_plans(&self) -> PathBuf {
        let kept = self.folder.join("all-plans");
        fs::create_dir_all(&kept).unwrap();
        kept
    }

    /// Puts the plans that an image lists where a boot looks for them.
    fn plans_of(&self, image: &str) {
        self.keep_plan();
        let kept = self.kept_plans();
        let plans = self.folder.join("plans");
        let _ = fs::remove_dir_all(&plans);
        fs::create_dir_all(&plans).unwrap();
        for name in image
            .lines()
            .filter_map(|line| line.strip_prefix("etc/rootshift/"))
        {
            fs::copy(kept.join(name), plans.join(name)).unwrap();
        }
    }
}

/// With images, and armed by the program.
pub fn armed(kind: Kind) -> Disk {
    let disk = Disk::with_images(kind);
    let ran = disk.run_inside("arm --yes");
    assert_eq!(ran.code, 0, "{ran:?}");
    disk
}

/// The new system runs, on trial.
pub fn on_trial(kind: Kind) -> Disk {
    let mut disk = armed(kind);
    assert_eq!(disk.start(1).root, "@");
    assert_eq!(disk.stage(), Stage::Committed);
    disk
}
