//! Which directories become subvolumes.

use std::fs;

use anyhow::Result;

use super::Build;

fn split(build: &mut Build, path: &str) -> Result<()> {
    build.layout.splits.push((path.to_owned(), None));
    Ok(())
}

pub fn srv(build: &mut Build) -> Result<()> {
    split(build, "srv")
}

pub fn models(build: &mut Build) -> Result<()> {
    split(build, "srv/models")
}

pub fn opt(build: &mut Build) -> Result<()> {
    split(build, "opt")
}

pub fn tmp(build: &mut Build) -> Result<()> {
    split(build, "tmp")
}

pub fn var_tmp(build: &mut Build) -> Result<()> {
    split(build, "var/tmp")
}

pub fn cache(build: &mut Build) -> Result<()> {
    split(build, "var/cache")
}

pub fn user(build: &mut Build) -> Result<()> {
    split(build, "home/user/.cache")
}

pub fn eve(build: &mut Build) -> Result<()> {
    split(build, "home/eve")
}

pub fn boot(build: &mut Build) -> Result<()> {
    split(build, "boot")
}

pub fn etc(build: &mut Build) -> Result<()> {
    split(build, "etc")
}

pub fn usr(build: &mut Build) -> Result<()> {
    split(build, "usr")
}

pub fn missing(build: &mut Build) -> Result<()> {
    split(build, "srv/not/there")
}

pub fn odd_options(build: &mut Build) -> Result<()> {
    let options = build.one_of(&["nosuchoption", "noatime,compress=zstd:1", "ro", "subvol=@x"]);
    build
        .layout
        .splits
        .push(("var/backups".to_owned(), Some(options.to_owned())));
    Ok(())
}

pub fn by_template(build: &mut Build) -> Result<()> {
    build.layout.by_template = true;
    Ok(())
}

pub fn two_filesystems(build: &mut Build) -> Result<()> {
    build.layout.with_other = true;
    fs::create_dir_all(build.root.join("ml"))?;
    let line = format!(
        "UUID={} /ml btrfs defaults,nofail 0 2",
        build.bench.other.uuid
    );
    build.lines.push(line);
    Ok(())
}

/// The hostile user owns a directory that may become a subvolume.
pub fn eve_owns_models(build: &mut Build) -> Result<()> {
    build.give_to_eve("srv/models")
}
