//! What fstab says.

use std::fs;

use anyhow::Result;

use super::Build;
use crate::run::{output, run, tool};

pub fn root_by_label(build: &mut Build) -> Result<()> {
    build.root_source = format!("LABEL={}", build.bench.label());
    Ok(())
}

pub fn root_by_partuuid(build: &mut Build) -> Result<()> {
    build.root_source = format!("PARTUUID={}", build.bench.partuuid());
    Ok(())
}

pub fn root_by_path(build: &mut Build) -> Result<()> {
    build.root_source.clone_from(&build.bench.disk.device);
    Ok(())
}

/// Two lines for one mount point.
pub fn root_twice(build: &mut Build) -> Result<()> {
    let twice = build.one_of(&["/", "/home"]);
    let subvolume = match (twice, build.subvolume) {
        ("/", "") => "subvol=/".to_owned(),
        ("/", root) => format!("subvol={root}"),
        _ => {
            build.subvolume("home2")?;
            format!("subvol={}", build.named("home2"))
        }
    };
    build
        .lines
        .push(build.line_for(twice, &format!("noauto,{subvolume}")));
    Ok(())
}

pub fn comments(build: &mut Build) -> Result<()> {
    build.comments = true;
    Ok(())
}

pub fn white_space(build: &mut Build) -> Result<()> {
    build.white_space = true;
    Ok(())
}

/// A mount point with a blank in its name.
pub fn octal(build: &mut Build) -> Result<()> {
    fs::create_dir_all(build.root.join("mnt/my disk"))?;
    build
        .lines
        .push("tmpfs /mnt/my\\040disk tmpfs size=1m 0 0".into());
    Ok(())
}

pub fn bind(build: &mut Build) -> Result<()> {
    let source = build.one_of(&["srv/www", "home/user/Documents", "var/log", "home"]);
    fs::create_dir_all(build.root.join("mnt/bound"))?;
    build
        .lines
        .push(format!("/{source} /mnt/bound none bind 0 0"));
    Ok(())
}

pub fn noauto(build: &mut Build) -> Result<()> {
    fs::create_dir_all(build.root.join("media/usb"))?;
    build
        .lines
        .push("/dev/sdz1 /media/usb auto noauto,user,rw 0 0".into());
    Ok(())
}

pub fn automount(build: &mut Build) -> Result<()> {
    fs::create_dir_all(build.root.join("mnt/auto"))?;
    let options = "noauto,x-systemd.automount,x-systemd.idle-timeout=60";
    let uuid = &build.bench.other.uuid;
    build
        .lines
        .push(format!("UUID={uuid} /mnt/auto btrfs {options} 0 0"));
    Ok(())
}

pub fn systemd_options(build: &mut Build) -> Result<()> {
    fs::create_dir_all(build.root.join("mnt/later"))?;
    let options = "nofail,x-systemd.device-timeout=5s,x-systemd.requires=network.target,size=1m";
    build
        .lines
        .push(format!("tmpfs /mnt/later tmpfs {options} 0 0"));
    Ok(())
}

/// A disk that is not there, with options of another file system.
pub fn absent(build: &mut Build) -> Result<()> {
    fs::create_dir_all(build.root.join("mnt/old"))?;
    let line =
        "UUID=0b5f2a0e-1111-4222-8333-444455556666 /mnt/old ext4 nofail,errors=remount-ro 0 2";
    build.before.push(line.into());
    Ok(())
}

/// The second disk, which is no part of the layout.
pub fn present(build: &mut Build) -> Result<()> {
    if !build.layout.with_other {
        fs::create_dir_all(build.root.join("mnt/photos"))?;
        let at = build.one_of(&["/mnt/photos", "/srv/www", "/home/user/Documents"]);
        let uuid = &build.bench.other.uuid;
        build
            .lines
            .push(format!("UUID={uuid} {at} btrfs defaults 0 0"));
    }
    Ok(())
}

/// The home directories of another disk, which is not mounted at the moment, or is.
pub fn home_elsewhere(build: &mut Build) -> Result<()> {
    let options = build.one_of(&["noauto", "defaults"]);
    let uuid = &build.bench.other.uuid;
    build
        .lines
        .push(format!("UUID={uuid} /home btrfs {options} 0 0"));
    Ok(())
}

pub fn no_line_end(build: &mut Build) -> Result<()> {
    build.ends_with_line = false;
    Ok(())
}

pub fn tmpfs(build: &mut Build) -> Result<()> {
    build
        .lines
        .push("tmpfs /tmp tmpfs defaults,nosuid,mode=1777 0 0".into());
    Ok(())
}

pub fn swap(build: &mut Build) -> Result<()> {
    build
        .before
        .push("UUID=9d0f6b1c-0000-4111-8222-333344445555 none swap sw,nofail 0 0".into());
    Ok(())
}

pub fn swap_file(build: &mut Build) -> Result<()> {
    build.write("swapfile", "")?;
    build.on(&["chattr", "+C"], "swapfile")?;
    build.on(&["truncate", "-s", "1M"], "swapfile")?;
    build.lines.push("/swapfile none swap sw,nofail 0 0".into());
    Ok(())
}

/// A subvolume beside or below the root that fstab mounts by its name.
fn data(build: &mut Build, name: &str) -> Result<()> {
    build.subvolume(name)?;
    build.write(&format!("{name}/work"), "months of work\n")?;
    fs::create_dir_all(build.root.join("data"))?;
    Ok(())
}

pub fn data_by_name(build: &mut Build) -> Result<()> {
    data(build, "datavol")?;
    let slash = build.one_of(&["", "/"]);
    let options = format!("noatime,subvol={slash}{}", build.named("datavol"));
    build.lines.push(build.line_for("/data", &options));
    Ok(())
}

pub fn data_by_id(build: &mut Build) -> Result<()> {
    data(build, "idvol")?;
    let mut show = tool("btrfs");
    show.args(["inspect-internal", "rootid"])
        .arg(build.root.join("idvol"));
    let id = output(&mut show)?;
    build
        .lines
        .push(build.line_for("/data", &format!("subvolid={id}")));
    Ok(())
}

pub fn data_at_its_place(build: &mut Build) -> Result<()> {
    build.subvolume("srv/store")?;
    build.write("srv/store/work", "months of work\n")?;
    let options = format!("subvol={}", build.named("srv/store"));
    build.lines.push(build.line_for("/srv/store", &options));
    Ok(())
}

/// As a backup program does it: mounted only when it runs.
pub fn data_noauto(build: &mut Build) -> Result<()> {
    build.subvolume("backupvol")?;
    build.write("backupvol/last", "a backup\n")?;
    fs::create_dir_all(build.root.join("mnt/backup"))?;
    let options = format!("noauto,subvol={}", build.named("backupvol"));
    build.lines.push(build.line_for("/mnt/backup", &options));
    Ok(())
}

/// The home directories are a subvolume of their own already.
pub fn home_by_name(build: &mut Build) -> Result<()> {
    build.subvolume("homevol")?;
    let mut copy = tool("cp");
    copy.arg("-a")
        .arg(build.root.join("home/."))
        .arg(build.root.join("homevol"));
    run(&mut copy)?;
    let options = format!("subvol={}", build.named("homevol"));
    build.lines.push(build.line_for("/home", &options));
    Ok(())
}
