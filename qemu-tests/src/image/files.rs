//! More files in an existing image: to show that the work before root does not grow with them.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::disk::AttachedDisk;

const IN_ONE_DIRECTORY: usize = 500;

/// Adds `count` small files below `/home/user/many` of the top level of `image`.
/// On the device when it returns. Sizes vary from 40 to about 300 bytes.
pub fn add_files(image: &Path, count: usize) -> Result<()> {
    let attached = AttachedDisk::new(image)?;
    let mounted = attached.mount_top_level()?;
    let many = mounted.path().join("home/user/many");
    fill(&many, count).with_context(|| format!("add {count} files to {}", image.display()))?;
    mounted.unmount()
}

fn fill(many: &Path, count: usize) -> Result<()> {
    let line = "all work and no play makes a dull file\n".repeat(8);
    for number in 0..count {
        let directory = many.join(format!("d{:04}", number / IN_ONE_DIRECTORY));
        if number % IN_ONE_DIRECTORY == 0 {
            fs::create_dir_all(&directory)?;
        }
        let size = 40 + number * 37 % 260;
        fs::write(
            directory.join(format!("f{number:06}")),
            &line.as_bytes()[..size],
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::fill;

    #[test]
    fn it_writes_as_many_as_asked() {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path(), 1001).unwrap();
        let directories: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let files: usize = directories
            .iter()
            .map(|d| std::fs::read_dir(d.path()).unwrap().count())
            .sum();
        assert_eq!((directories.len(), files), (3, 1001));
    }
}
