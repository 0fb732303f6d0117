//! The plans in an initramfs image: `plan-DIGEST.json`, where DIGEST is that of its bytes.

use std::path::Path;

use super::Error;
use crate::engine::home::FrozenPlan;
use crate::sys::Root;

/// A plan, or what is wrong with its file.
pub(super) type Found = Result<FrozenPlan, String>;

/// All plans of the image; none where nothing is armed.
pub(super) fn plans(folder: &Path) -> Result<Vec<Found>, Error> {
    let root = match Root::open(folder) {
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        opened => opened?,
    };
    let mut found = Vec::new();
    for name in root.list(Path::new("."))? {
        let name = name.to_string_lossy().into_owned();
        let digest = name.strip_prefix("plan-");
        if let Some(digest) = digest.and_then(|rest| rest.strip_suffix(".json")) {
            found.push(one(&root, &name, digest));
        }
    }
    Ok(found)
}

fn one(root: &Root, name: &str, digest: &str) -> Found {
    let damaged = |why: &str| format!("{name} in the initramfs is damaged: {why}");
    let bytes = root.read(Path::new(name));
    let bytes = bytes.map_err(|error| damaged(&error.to_string()))?;
    if crate::documents::plan::digest(&bytes) != digest {
        return Err(damaged("its content does not fit its name"));
    }
    FrozenPlan::from_bytes(name, &bytes).map_err(|error| damaged(&error.to_string()))
}

/// The one for this file system, or why there is none.
pub(super) fn choose(plans: Vec<Found>, uuid: &str) -> Found {
    let mut problem = "the initramfs holds no plan for this file system".to_owned();
    for plan in plans {
        match plan {
            Ok(plan) if plan.plan.filesystem.uuid == uuid => return Ok(plan),
            Ok(_) => {}
            Err(damaged) => problem = damaged,
        }
    }
    Err(problem + "; nothing was done. Run `rootshift disarm` and `rootshift arm`")
}
