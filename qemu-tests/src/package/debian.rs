//! The package by debhelper, in a tree of its own: nothing is written into the checkout.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::run::{output, run, tool};

/// What `debian/` refers to.
const PARTS: [&str; 8] = [
    "debian",
    "initramfs-hooks",
    "batches",
    "viscripts",
    "schemas",
    "docs",
    "README.md",
    "CHANGELOG.md",
];

/// Builds the package of these programs, in `staging`, which is made anew, into `folder`.
pub(super) fn build(
    root: &Path,
    programs: &[PathBuf],
    built_in: &str,
    staging: &Path,
    folder: &Path,
) -> Result<PathBuf> {
    _ = fs::remove_dir_all(staging);
    let place = staging.join(built_in);
    fs::create_dir_all(&place).with_context(|| format!("create {}", place.display()))?;
    let parts = PARTS.map(|part| root.join(part));
    run(tool("cp")
        .args(["--recursive", "--"])
        .args(&parts)
        .arg(staging))?;
    run(tool("cp").arg("--").args(programs).arg(&place))?;
    // Whoever made the checkout: root's umask decides what the package holds.
    run(tool("chmod")
        .args(["--recursive", "u=rwX,go=rX"])
        .arg(staging))?;
    let version = version(root)?;
    let mut make = tool("make");
    make.current_dir(staging)
        .args(["--file", "debian/rules", "binary"])
        // The programs are there.
        .env("CARGO", "true")
        .env("DEB_FOLDER", folder);
    run(&mut make).context("build the package with debhelper")?;
    let deb = folder.join(format!("rootshift_{version}_amd64.deb"));
    ensure!(deb.exists(), "debhelper made no {}", deb.display());
    Ok(deb)
}

/// The version of the newest entry of `debian/changelog`, which has to be the program's own.
fn version(root: &Path) -> Result<String> {
    let version = output(
        tool("dpkg-parsechangelog")
            .args(["--show-field", "Version", "--file"])
            .arg(root.join("debian/changelog")),
    )?;
    let own = env!("CARGO_PKG_VERSION");
    ensure!(
        version == own,
        "debian/changelog is at {version}, Cargo.toml at {own}"
    );
    Ok(version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Workspace;

    /// A package around two scripts, and what dpkg says of it.
    fn package(folder: &Path) -> PathBuf {
        let programs = ["rootshift", "rootshift-tools"].map(|name| folder.join(name));
        for program in &programs {
            fs::write(program, "#!/bin/sh\n").unwrap();
            run(tool("chmod").arg("755").arg(program)).unwrap();
        }
        let workspace = Workspace::find().unwrap();
        let place = "target/x86_64-unknown-linux-musl/release";
        build(
            workspace.root(),
            &programs,
            place,
            &folder.join("staging"),
            folder,
        )
        .unwrap()
    }

    #[test]
    fn everything_has_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let deb = package(folder.path());
        let listed = output(tool("dpkg-deb").arg("--contents").arg(&deb)).unwrap();
        let mode = |path: &str| {
            let line = listed
                .lines()
                .find(|line| line.ends_with(&format!(" .{path}")));
            line.unwrap_or_else(|| panic!("no {path} in:\n{listed}"))
                .split_whitespace()
                .take(2)
                .collect::<Vec<_>>()
                .join(" ")
        };
        for program in [
            "/usr/sbin/rootshift",
            "/usr/lib/rootshift/rootshift-tools",
            "/usr/share/initramfs-tools/hooks/rootshift",
            "/usr/share/initramfs-tools/scripts/local-premount/rootshift",
            "/etc/kernel/postinst.d/zzz-rootshift",
            "/etc/kernel/postrm.d/zzz-rootshift",
            "/etc/initramfs/post-update.d/rootshift",
        ] {
            assert_eq!(mode(program), "-rwxr-xr-x root/root", "{program}");
        }
        // run-parts sorts as the C locale does, and skips names with other signs in them.
        assert!("zz-update-grub" < "zzz-rootshift");
        for file in [
            "/usr/lib/systemd/system/rootshift-validate.service",
            "/usr/lib/systemd/system/rootshift-emergency.service",
            "/usr/lib/systemd/system/rootshift-finalize.service",
            "/usr/lib/systemd/system/rootshift-finalize.timer",
            "/usr/share/rootshift/batches/flat-to-subvolumes.json",
            "/usr/share/rootshift/schemas/batch.schema.json",
            // Units and pages name it: not compressed.
            "/usr/share/doc/rootshift/safety.md",
            "/usr/share/doc/rootshift/README.md",
        ] {
            assert_eq!(mode(file), "-rw-r--r-- root/root", "{file}");
        }
    }

    #[test]
    fn it_depends_on_nothing_and_starts_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let deb = package(folder.path());
        let field = |name: &str| output(tool("dpkg-deb").arg("--field").arg(&deb).arg(name));
        // Not on initramfs-tools: to install that would take dracut away.
        for relation in [
            "Depends",
            "Pre-Depends",
            "Recommends",
            "Conflicts",
            "Breaks",
        ] {
            assert_eq!(field(relation).unwrap(), "", "{relation}");
        }
        assert_eq!(field("Version").unwrap(), env!("CARGO_PKG_VERSION"));
        let control = folder.path().join("control");
        run(tool("dpkg-deb").arg("--control").arg(&deb).arg(&control)).unwrap();
        let script = |name: &str| fs::read_to_string(control.join(name)).unwrap();
        let conffiles = script("conffiles");
        assert_eq!(conffiles.lines().count(), 3, "{conffiles}");
        for unit in [
            "rootshift-validate.service",
            "rootshift-emergency.service",
            "rootshift-finalize.timer",
        ] {
            let enabled = format!("deb-systemd-helper enable '{unit}'");
            assert!(script("postinst").contains(&enabled), "{unit}");
        }
        for name in ["postinst", "prerm", "postrm"] {
            let text = script(name);
            // rootshift-emergency restarts the machine.
            assert!(!text.contains("deb-systemd-invoke"), "{name}: {text}");
            let mut sh = tool("sh");
            run(sh.arg("-n").arg(control.join(name))).unwrap();
        }
    }

    /// Each says no more than what it asks the program, so that there is nothing to go wrong.
    #[test]
    fn the_maintainer_scripts_are_short() {
        let workspace = Workspace::find().unwrap();
        for name in ["prerm", "postinst", "postrm"] {
            let path = workspace.root().join(format!("debian/rootshift.{name}"));
            let text = fs::read_to_string(path).unwrap();
            assert!(text.lines().count() <= 25, "{name}");
            assert!(text.starts_with("#!/bin/sh\n"), "{name}");
            assert!(text.contains("\nset -e\n"), "{name}");
            assert!(text.ends_with("#DEBHELPER#\n"), "{name}");
        }
    }
}
