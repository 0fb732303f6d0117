//! Debian packages of the host.

use anyhow::{Context as _, Result, bail};

use crate::run::{is_root, run, tool};

/// Tools that build images and packages; the machine's own release has all of them.
const NEEDED: &[&str] = &[
    "acl",
    "arch-test",
    "attr",
    "btrfs-progs",
    "cpio",
    "debhelper",
    "debian-archive-keyring",
    "dosfstools",
    "e2fsprogs",
    "fdisk",
    "mmdebstrap",
    "mtools",
    "xz-utils",
    "zstd",
];

/// Installs what is missing of [`NEEDED`].
pub(super) fn install() -> Result<()> {
    install_these(NEEDED)
}

/// Installs what is missing of `names`; says so in one line. Needs root only when something is.
pub(super) fn install_these(names: &[&str]) -> Result<()> {
    let missing = missing(names)?;
    if missing.is_empty() {
        return Ok(());
    }
    if !is_root() {
        bail!(
            "packages are missing; as root: apt-get install {}",
            missing.join(" ")
        );
    }
    println!("setup: apt-get install {}", missing.join(" "));
    run(apt_get().arg("update")).context("refresh the package lists")?;
    let mut install = apt_get();
    install
        .args(["install", "--yes", "--no-install-recommends"])
        .args(&missing);
    run(&mut install).context("install packages")
}

fn apt_get() -> std::process::Command {
    let mut command = tool("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn missing<'a>(names: &[&'a str]) -> Result<Vec<&'a str>> {
    // dpkg-query ends with 1 when a name is unknown; what it printed still counts.
    let query = tool("dpkg-query")
        .args(["--show", "--showformat=${Package} ${db:Status-Status}\n"])
        .args(names)
        .output()
        .context("start dpkg-query: is this a Debian machine?")?;
    let said = String::from_utf8_lossy(&query.stdout).into_owned();
    Ok(names
        .iter()
        .copied()
        .filter(|name| !is_installed(&said, name))
        .collect())
}

fn is_installed(said: &str, name: &str) -> bool {
    said.lines()
        .any(|line| line.split_once(' ') == Some((name, "installed")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_package_is_not_installed() {
        let said = "cpio installed\nzstd config-files\n";
        assert!(is_installed(said, "cpio"));
        assert!(!is_installed(said, "zstd"));
        assert!(!is_installed(said, "cpi"));
    }

    #[test]
    fn the_package_manager_is_installed_and_nonsense_is_not() {
        let found = missing(&["dpkg", "no-such-package-here"]).unwrap();
        assert_eq!(found, ["no-such-package-here"]);
    }
}
