//! `layout-mounted`: what the kernel says is mounted. A remount with a wrong `subvol=`
//! succeeds silently (facts boot.md 4.1), so only the mount table's own root field proves it.

use std::path::Path;

use super::{CheckContext, Error, Outcome};

pub(super) fn look(context: &CheckContext) -> Result<Outcome, Error> {
    let Some(layout) = context.layout.root() else {
        return Ok(Outcome::Pass);
    };
    let device = context.mount_at("/").map(|mount| mount.source.as_str());
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
        return Ok(Outcome::fail(
            format!("{at} is not the subvolume {}: {problem}", subvolume.name),
            format!("look at the line of {at} in /etc/fstab"),
        ));
    }
    Ok(Outcome::Pass)
}
