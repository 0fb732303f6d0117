//! The old system's tree, seen at a second place: what is bound out of that goes on showing the old
//! one, and is gone with it.

use std::path::{Path, PathBuf};

use super::{Doubt, Look};
use crate::bootcfg::fstab::names_filesystem;
use crate::bootcfg::mount_line::{Chosen, MountLine};
use crate::engine::mount_lines::Named;

/// Lines that bind a directory of the old system out of another mount of its disk.
pub(super) fn bound_out_of(look: &Look, kept: &[&Path]) -> Vec<Doubt> {
    let lines = &look.mounting.lines;
    let seconds = lines.iter().filter_map(|second| {
        let shown = shown_by(look, &second.line)?;
        (Path::new(&second.line.at) != Path::new(look.disk.place)).then_some((second, shown))
    });
    let seconds: Vec<(&Named, PathBuf)> = seconds.collect();
    let binds = lines.iter().filter(|named| named.line.is_bind());
    let pairs = binds.flat_map(|bind| seconds.iter().map(move |second| (bind, second)));
    pairs
        .filter_map(|(bind, (second, shown))| {
            let rest = Path::new(&bind.line.source).strip_prefix(&second.line.at);
            let path = shown.join(rest.ok()?);
            let inside = path.strip_prefix(look.disk.root).ok()?;
            let stays = kept.iter().any(|kept| path.starts_with(kept));
            (!stays).then(|| doubt(bind, second, &look.place(inside)))
        })
        .collect()
}

/// The path from the top level of what a line mounts of this file system.
fn shown_by(look: &Look, line: &MountLine) -> Option<PathBuf> {
    let identity = look.disk.identity;
    let is_ours = names_filesystem(&line.source, &identity.uuid, &identity.aliases);
    if line.is_bind() || !is_ours {
        return None;
    }
    let by_id = |id: u64| {
        let found = look.all.iter().find(|one| one.id == id);
        found.map_or_else(PathBuf::new, |one| one.path.clone())
    };
    Some(match line.subvolume() {
        Some(Chosen::Path(path)) => path.into(),
        Some(Chosen::Id(id)) => by_id(id),
        None if line.options.iter().any(|one| one.starts_with("subvol")) => PathBuf::new(),
        None => by_id(look.default),
    })
}

fn doubt(bind: &Named, second: &Named, place: &Path) -> Doubt {
    Doubt {
        problem: format!(
            "{} shows {} at {}, and {} mounts the old system's own tree there, which finalize deletes",
            bind.by, bind.line.source, bind.line.at, second.by
        ),
        remedy: format!("write {} as what it shows", place.display()),
    }
}
