//! `layout-mounted`: what the kernel says is mounted. A remount with a wrong `subvol=`
//! succeeds silently (facts boot.md 4.1), so only the mount table's own root field proves it.

use std::path::Path;

use super::{CheckContext, Error, Outcome};
use crate::documents::layout::FilesystemLayout;

pub(super) fn look(context: &CheckContext) -> Result<Outcome, Error> {
    for layout in &context.layout.filesystems {
        if let Some(problem) = not_mounted(context, layout) {
            return Ok(problem);
        }
    }
    Ok(Outcome::Pass)
}

fn not_mounted(context: &CheckContext, layout: &FilesystemLayout) -> Option<Outcome> {
    let main = context.mount_at(&layout.mounted_at);
    let device = main.map(|mount| mount.source.as_str());
    for subvolume in &layout.subvolumes {
        let at = &subvolume.mount_point;
        let problem = match context.mount_at(at) {
            None => "nothing is mounted there".to_owned(),
            Some(mount) if mount.root != Path::new("/").join(&subvolume.name) => {
                format!("{} is mounted there", mount.root.display())
            }
            Some(mount) if Some(mount.source.as_str()) != device => {
                format!("{} is mounted there", mount.source)
            }
            Some(_) => continue,
        };
        return Some(Outcome::fail(
            format!("{at} is not the subvolume {}: {problem}", subvolume.name),
            format!("look at the line of {at} in /etc/fstab"),
        ));
    }
    None
}
