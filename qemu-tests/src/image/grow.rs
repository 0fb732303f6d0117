//! A larger disk with the same system on it.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::disk::AttachedDisk;
use crate::run::{run, tool};

/// Makes an image, its second partition and the file system on it this large.
pub fn grow(image: &Path, size: &str) -> Result<()> {
    run(tool("truncate").args(["--size", size]).arg(image))?;
    let script = "sfdisk --quiet --relocate gpt-bak-std \"$0\" && echo ', +' | \
                  sfdisk --quiet --no-reread --partno 2 \"$0\"";
    run(tool("sh").args(["-c", script]).arg(image)).context("grow the partition")?;
    let attached = AttachedDisk::new(image)?;
    let mounted = attached.mount_top_level()?;
    run(tool("btrfs")
        .args(["filesystem", "resize", "max"])
        .arg(mounted.path()))?;
    mounted.unmount()
}
