//! The package's tree, file by file.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

const UNITS: &str = "usr/lib/systemd/system";
/// Each with the target that starts it.
const WANTED: [(&str, &str); 3] = [
    ("rootshift-validate.service", "multi-user.target"),
    ("rootshift-emergency.service", "emergency.target"),
    ("rootshift-finalize.timer", "timers.target"),
];
const HOOK: &str = "hooks/rootshift";
const BOOT_SCRIPT: &str = "scripts/local-premount/rootshift";
/// Where the hook for changed kernels and images goes: after those that make images and grub.cfg.
const RENEWING: [&str; 3] = [
    "etc/kernel/postinst.d/zzz-rootshift",
    "etc/kernel/postrm.d/zzz-rootshift",
    "etc/initramfs/post-update.d/rootshift",
];

/// Lays out everything below `staging`, which is made anew.
pub(super) fn tree(
    root: &Path,
    programs: &[(PathBuf, &str)],
    version: &str,
    staging: &Path,
) -> Result<()> {
    _ = fs::remove_dir_all(staging);
    let stage = Stage {
        staging: staging.to_path_buf(),
    };
    for (program, place) in programs {
        stage.file(program, place, 0o755)?;
    }
    for script in [HOOK, BOOT_SCRIPT] {
        let source = root.join("initramfs-hooks/initramfs-tools").join(script);
        stage.file(
            &source,
            &format!("usr/share/initramfs-tools/{script}"),
            0o755,
        )?;
    }
    for place in RENEWING {
        stage.file(&root.join("initramfs-hooks/kernel/rootshift"), place, 0o755)?;
    }
    for end in [".service", ".timer"] {
        stage.folder(&root.join("initramfs-hooks/systemd"), end, UNITS)?;
    }
    for (unit, target) in WANTED {
        stage.want(unit, target)?;
    }
    stage.folder(
        &root.join("batches"),
        ".json",
        "usr/share/rootshift/batches",
    )?;
    stage.folder(
        &root.join("viscripts"),
        ".json",
        "usr/share/rootshift/viscripts",
    )?;
    // Where the documents' `$schema` looks for them.
    stage.folder(
        &root.join("schemas"),
        ".json",
        "usr/share/rootshift/schemas",
    )?;
    stage.folder(&root.join("docs"), ".md", "usr/share/doc/rootshift")?;
    stage.folder(root, "README.md", "usr/share/doc/rootshift")?;
    stage.control(version)
}

struct Stage {
    staging: PathBuf,
}

impl Stage {
    fn file(&self, source: &Path, to: &str, mode: u32) -> Result<()> {
        let to = self.place(to)?;
        fs::copy(source, &to).with_context(|| format!("copy {}", source.display()))?;
        fs::set_permissions(&to, fs::Permissions::from_mode(mode))?;
        Ok(())
    }

    /// Every file of `source` whose name ends like this; a folder that isn't there has none.
    fn folder(&self, source: &Path, end: &str, to: &str) -> Result<()> {
        for entry in fs::read_dir(source).into_iter().flatten() {
            let path = entry?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if name.ends_with(end) && path.is_file() {
                self.file(&path, &format!("{to}/{name}"), 0o644)?;
            }
        }
        Ok(())
    }

    /// Started with this target; shipped as a link, so that no maintainer script has to enable it.
    fn want(&self, unit: &str, target: &str) -> Result<()> {
        let link = self.place(&format!("{UNITS}/{target}.wants/{unit}"))?;
        symlink(format!("../{unit}"), link)?;
        Ok(())
    }

    fn control(&self, version: &str) -> Result<()> {
        let text = format!(
            "Package: rootshift\nVersion: {version}\nArchitecture: amd64\nSection: admin\n\
             Priority: optional\nDepends: initramfs-tools\n\
             Maintainer: rootshift developers <dev@rootshift.invalid>\n\
             Description: moves an installed system onto btrfs subvolumes before root is mounted\n \
             Journalled, resumable after a power cut at any instant, and reversible.\n"
        );
        fs::write(self.place("DEBIAN/control")?, text)?;
        // What is below /etc is its owner's to change.
        let kept = RENEWING.map(|place| format!("/{place}\n")).concat();
        fs::write(self.place("DEBIAN/conffiles")?, kept)?;
        Ok(())
    }

    /// The path of a file to be written, with its directories made.
    fn place(&self, to: &str) -> Result<PathBuf> {
        let path = self.staging.join(to);
        let parent = path.parent().context("a staged file has a directory")?;
        fs::create_dir_all(parent).with_context(|| format!("create {}", parent.display()))?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_has_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("project");
        for file in [
            "initramfs-hooks/initramfs-tools/hooks/rootshift",
            "initramfs-hooks/initramfs-tools/scripts/local-premount/rootshift",
            "initramfs-hooks/kernel/rootshift",
            "initramfs-hooks/systemd/rootshift-validate.service",
            "initramfs-hooks/systemd/rootshift-emergency.service",
            "initramfs-hooks/systemd/rootshift-finalize.service",
            "initramfs-hooks/systemd/rootshift-finalize.timer",
            "batches/a.json",
            "batches/notes.txt",
            "schemas/a.schema.json",
            "README.md",
            "binary",
        ] {
            fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
            fs::write(root.join(file), file).unwrap();
        }
        let staging = folder.path().join("staging");
        let programs = [(root.join("binary"), "usr/sbin/rootshift")];
        tree(&root, &programs, "1.2.3", &staging).unwrap();
        let mode = |path: &str| {
            fs::metadata(staging.join(path))
                .unwrap()
                .permissions()
                .mode()
                & 0o777
        };
        assert_eq!(mode("usr/sbin/rootshift"), 0o755);
        assert_eq!(mode("usr/share/initramfs-tools/hooks/rootshift"), 0o755);
        assert_eq!(mode("usr/share/rootshift/batches/a.json"), 0o644);
        let conffiles = fs::read_to_string(staging.join("DEBIAN/conffiles")).unwrap();
        assert_eq!(conffiles.lines().count(), 3);
        for place in conffiles.lines() {
            assert_eq!(mode(place.trim_start_matches('/')), 0o755, "{place}");
        }
        // run-parts sorts as the C locale does, and skips names with other signs in them.
        assert!("zz-update-grub" < "zzz-rootshift");
        assert_eq!(mode("usr/share/rootshift/schemas/a.schema.json"), 0o644);
        assert!(
            !staging
                .join("usr/share/rootshift/batches/notes.txt")
                .exists()
        );
        for wanted in [
            "multi-user.target.wants/rootshift-validate.service",
            "emergency.target.wants/rootshift-emergency.service",
            "timers.target.wants/rootshift-finalize.timer",
            "rootshift-finalize.service",
        ] {
            let link = staging.join(UNITS).join(wanted);
            assert!(fs::metadata(link).is_ok(), "{wanted} must lead to the unit");
        }
        assert!(
            fs::read_to_string(staging.join("DEBIAN/control"))
                .unwrap()
                .contains("Version: 1.2.3\n")
        );
    }

    #[test]
    fn a_missing_hook_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("binary"), "x").unwrap();
        let programs = [(folder.path().join("binary"), "usr/sbin/rootshift")];
        let made = tree(folder.path(), &programs, "1", &folder.path().join("out"));
        assert!(made.is_err());
    }
}
