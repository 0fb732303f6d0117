//! What a GRUB finds that was installed in the new system, once that has been rolled back.
//!
//! Its embedded prefix is `/@/boot/grub`, and a rollback takes the name `@` away. So the name gets a
//! directory in the same act: a copy of the GRUB directory that the embedded core.img belongs to
//! (modules are of its build), with a link to the old system's configuration. `prefix` stays what it
//! is, so that core.img and its modules stay together (facts boot.md 3.2).

use std::path::Path;

use super::Error;
use crate::sys::status::FileKind;
use crate::sys::{Root, btrfs};

const GRUB: &str = "boot/grub";
const CONFIG: &str = "boot/grub/grub.cfg";
/// Lies in the directory; nobody but root could have put it there.
const MARK: &str = ".rootshift-hand-over";
const DEPTH: u32 = 8;

/// Whether rootshift's own directory has this name at the top level.
///
/// # Errors
/// When it can't be looked at.
pub fn is_hand_over(top: &Root, name: &Path) -> Result<bool, Error> {
    let own = |status: crate::sys::Status, kind| status.kind == kind && status.uid == 0;
    let is_directory = top
        .status(name)?
        .is_some_and(|status| own(status, FileKind::Directory));
    if !is_directory || btrfs::is_subvolume(top, name)? {
        return Ok(false);
    }
    let mark = top.status(&name.join(MARK))?;
    Ok(mark.is_some_and(|status| own(status, FileKind::File)))
}

/// Gives the new system's root the name `kept`, and its own name to a directory that leads its GRUB
/// to this configuration, in one act. May be repeated after a cut. Durable when it returns.
///
/// # Errors
/// When the directory can't be made: then nothing has got another name.
pub fn hand_over(top: &Root, name: &Path, kept: &Path, config: &str) -> Result<(), Error> {
    if top.exists(kept)? {
        let problem = "it is there already; nothing was renamed";
        return Err(Error::in_the_way(kept, problem));
    }
    let made = prepare(top, name, kept, config);
    if let Err(error) = made {
        remove(top, kept)?;
        return Err(error);
    }
    top.sync_filesystem()?;
    top.exchange(name, kept)?;
    Ok(top.sync_filesystem()?)
}

/// Removes what a cut has left of such a directory, or one that no GRUB needs any more. The mark
/// goes last. Not durable before a sync.
///
/// # Errors
/// The first act that failed.
pub fn remove(top: &Root, path: &Path) -> Result<(), Error> {
    if !is_hand_over(top, path)? {
        return Ok(());
    }
    empty(top, &path.join("boot"), DEPTH)?;
    if top.exists(&path.join("boot"))? {
        top.remove_directory(&path.join("boot"))?;
    }
    top.remove_file(&path.join(MARK))?;
    Ok(top.remove_directory(path)?)
}

fn prepare(top: &Root, name: &Path, path: &Path, config: &str) -> Result<(), Error> {
    top.create_directory(path, 0o755)?;
    top.write_new_file(&path.join(MARK), b"", 0o644)?;
    top.create_directory(&path.join("boot"), 0o755)?;
    copy(top, &name.join(GRUB), &path.join(GRUB), DEPTH)?;
    // A link takes no room for data either; GRUB follows it from the top level.
    Ok(top.symlink(Path::new(config), &path.join(CONFIG))?)
}

/// Files share their blocks with the ones that GRUB reads today: a full disk has no room for others.
/// The configuration is left out.
fn copy(top: &Root, from: &Path, to: &Path, depth: u32) -> Result<(), Error> {
    top.create_directory(to, 0o755)?;
    for name in top.list(from)? {
        let (from, to) = (from.join(&name), to.join(&name));
        match top.status(&from)?.map(|status| status.kind) {
            Some(FileKind::File) if name != "grub.cfg" => {
                // Files without checksums and those with them share no blocks.
                if let Err(error) = top.clone_new_file(&from, &to, 0o644) {
                    log::debug!("{error}: copied");
                    top.write_new_file(&to, &top.read(&from)?, 0o644)?;
                }
            }
            Some(FileKind::Directory) if depth > 0 => copy(top, &from, &to, depth - 1)?,
            Some(FileKind::Symlink) => top.symlink(&top.read_link(&from)?, &to)?,
            _ => {}
        }
    }
    Ok(())
}

fn empty(top: &Root, folder: &Path, depth: u32) -> Result<(), Error> {
    let names = match top.list(folder) {
        Err(error) if error.is_not_found() => return Ok(()),
        names => names?,
    };
    for name in names {
        let path = folder.join(name);
        let is_directory = top
            .status(&path)?
            .is_some_and(|status| status.kind == FileKind::Directory);
        match is_directory {
            true if depth > 0 => {
                empty(top, &path, depth - 1)?;
                top.remove_directory(&path)?;
            }
            true => top.remove_directory(&path)?,
            false => top.remove_file(&path)?,
        }
    }
    Ok(())
}
