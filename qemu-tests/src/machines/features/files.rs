//! Files that a copy could lose.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{chown, symlink};
use std::os::unix::net::UnixListener;

use anyhow::Result;

use super::Build;
use crate::run::{run, tool};

pub fn odd_names(build: &mut Build) -> Result<()> {
    let names: [&[u8]; 8] = [
        b"-rf",
        b"a b",
        b"two\nlines",
        b"\xff\xfe\x80",
        b"@",
        b"*",
        b"back\\slash",
        b"\xe2\x98\x83",
    ];
    for folder in ["home/user", "srv/www", "var/log", "srv/models"] {
        for name in names {
            fs::write(build.root.join(folder).join(OsStr::from_bytes(name)), name)?;
        }
    }
    for name in names {
        fs::create_dir(build.root.join("opt").join(OsStr::from_bytes(name)))?;
    }
    Ok(())
}

pub fn long_names(build: &mut Build) -> Result<()> {
    let long = "n".repeat(255);
    build.write(&format!("home/user/{long}"), "long\n")?;
    let deep = format!("srv/www/{}", "d/".repeat(60));
    build.write(&format!("{deep}file"), "deep\n")
}

pub fn hard_links(build: &mut Build) -> Result<()> {
    for folder in ["home/user", "var/lib", "srv/www"] {
        build.write(&format!("{folder}/one"), "linked\n")?;
        let folder = build.root.join(folder);
        fs::hard_link(folder.join("one"), folder.join("two"))?;
    }
    Ok(())
}

/// A hard link out of what is split off.
pub fn link_across(build: &mut Build) -> Result<()> {
    build.write("home/user/linked", "across\n")?;
    let from = build.root.join("home/user/linked");
    match fs::hard_link(from, build.root.join("var/lib/linked")) {
        // /var, or what is in it, is a subvolume of its own: there is no such link then.
        Err(error) if error.kind() == ErrorKind::CrossesDevices => Ok(()),
        linked => Ok(linked?),
    }
}

fn flagged(build: &mut Build, flag: &str, places: &[&str]) -> Result<()> {
    for place in places {
        build.write(place, "flagged\n")?;
        build.on(&["chattr", flag], place)?;
        build.flagged.push((*place).to_owned());
    }
    Ok(())
}

pub fn immutable(build: &mut Build) -> Result<()> {
    flagged(
        build,
        "+i",
        &["home/user/fixed", "srv/models/family/fixed", "opt/fixed"],
    )
}

pub fn append_only(build: &mut Build) -> Result<()> {
    flagged(build, "+a", &["home/user/.history", "srv/www/log"])
}

pub fn immutable_boot(build: &mut Build) -> Result<()> {
    let place = build.one_of(&[
        "boot",
        "etc/fstab",
        "home",
        "srv/models",
        "etc",
        "boot/grub",
    ]);
    build.immutable.push(place.to_owned());
    Ok(())
}

pub fn no_cow(build: &mut Build) -> Result<()> {
    for folder in ["home/user/vms", "srv/models/db"] {
        fs::create_dir_all(build.root.join(folder))?;
        build.on(&["chattr", "+C"], folder)?;
        build.write(&format!("{folder}/disk"), "image\n")?;
        build.flagged.push(folder.to_owned());
        build.flagged.push(format!("{folder}/disk"));
    }
    Ok(())
}

pub fn acl(build: &mut Build) -> Result<()> {
    build.on(&["setfacl", "-m", "u:1001:rx"], "home/user/Documents")?;
    build.on(&["setfacl", "-d", "-m", "u:1001:rwx"], "srv/models")?;
    build.on(&["setfacl", "-m", "g:7:r"], "var/log/syslog")?;
    build.on(&["setfacl", "-d", "-m", "u:1001:rx"], "var/log")
}

pub fn xattrs(build: &mut Build) -> Result<()> {
    for path in [
        "home",
        "home/user",
        "var/log",
        "srv/models",
        "srv/www/index.html",
        "opt",
    ] {
        build.on(&["setfattr", "-n", "user.note", "-v", "kept"], path)?;
    }
    build.on(&["setfattr", "-n", "trusted.note", "-v", "kept"], "home")
}

pub fn capabilities(build: &mut Build) -> Result<()> {
    build.write("usr/bin/ping", "ping\n")?;
    build.on(&["setcap", "cap_net_raw+ep"], "usr/bin/ping")?;
    build.write("opt/tool/bin/net", "net\n")?;
    build.on(&["setcap", "cap_net_admin+ep"], "opt/tool/bin/net")
}

pub fn sparse(build: &mut Build) -> Result<()> {
    for path in ["home/user/sparse", "srv/models/sparse"] {
        build.write(path, "begin")?;
        build.on(&["truncate", "-s", "3M"], path)?;
    }
    Ok(())
}

pub fn special(build: &mut Build) -> Result<()> {
    build.on(&["mkfifo"], "home/user/fifo")?;
    build.on(&["mkfifo"], "var/log/fifo")?;
    let node = build.root.join("srv/node");
    run(tool("mknod").arg(node).args(["c", "1", "3"]))?;
    drop(UnixListener::bind(build.root.join("home/user/socket"))?);
    Ok(())
}

pub fn old_times(build: &mut Build) -> Result<()> {
    for path in [
        "home",
        "var/log",
        "var",
        "srv",
        "home/user",
        "srv/models",
        "opt",
        "etc/hostname",
    ] {
        build.on(&["touch", "-d", "1999-01-02 03:04:05.678"], path)?;
    }
    Ok(())
}

pub fn owners(build: &mut Build) -> Result<()> {
    for (path, mode) in [
        ("srv/models", "2775"),
        ("home", "711"),
        ("opt", "1775"),
        ("var/log", "2755"),
    ] {
        build.on(&["chmod", mode], path)?;
    }
    chown(build.root.join("opt"), Some(7), Some(8))?;
    build.write("home/user/setuid", "x")?;
    build.on(&["chmod", "4711"], "home/user/setuid")
}

pub fn broken_links(build: &mut Build) -> Result<()> {
    for (target, path) in [
        ("nowhere", "home/user/broken"),
        ("/nowhere/at/all", "etc/broken"),
        ("/etc/fstab", "srv/absolute"),
        ("../../../../../..", "var/log/up"),
        ("nowhere", "broken"),
    ] {
        symlink(target, build.root.join(path))?;
    }
    Ok(())
}

pub fn looping_links(build: &mut Build) -> Result<()> {
    for (target, path) in [
        ("loop", "home/user/loop"),
        ("/srv/b", "srv/a"),
        ("/srv/a", "srv/b"),
        (".", "home/user/here"),
    ] {
        symlink(target, build.root.join(path))?;
    }
    Ok(())
}

/// Without /vmlinuz and /initrd.img.
pub fn no_kernel_links(_: &mut Build) -> Result<()> {
    Ok(())
}

/// /vmlinuz leads to itself.
pub fn looping_kernel_links(_: &mut Build) -> Result<()> {
    Ok(())
}

/// Somebody else's file has the name of rootshift's own.
pub fn trash_name(build: &mut Build) -> Result<()> {
    let folder = build.one_of(&["home", "srv/models", "var/log", ".", "home/user"]);
    build.write(&format!("{folder}/.rootshift-trash/file"), "mine\n")
}
