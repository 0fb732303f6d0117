//! The work before root does not grow with the files: two forks of one armed machine, one with
//! many more files, migrate side by side under the same load.

use anyhow::{Result, ensure};

use crate::expectations::seconds_before_root;
use crate::image;
use crate::machine::Disk;
use crate::scenario::{Armed, Context, migrate};

/// Files that the second fork has more.
pub(super) const MORE: usize = 200_000;
/// More than this is no longer "does not depend on the number of files".
const LIMIT: f64 = 1.5;

/// Seconds of work before root was mounted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Timing {
    /// The image as it is.
    pub(super) plain: f64,
    /// With [`MORE`] files.
    pub(super) many: f64,
}

impl Timing {
    pub(super) fn ratio(&self) -> f64 {
        self.many / self.plain
    }
}

pub(super) fn measure(context: &Context, armed: &Armed) -> Result<Timing> {
    let plain = armed.fork(context, "demo-plain")?;
    let full = context.place("demo-many", "disk.raw")?;
    image::copy(&armed.disk, &full)?;
    image::add_files(&full, MORE)?;
    let many = Disk::Raw(full.clone());
    let (plain, many) = std::thread::scope(|scope| {
        let many = scope.spawn(|| migrate(context, "demo-many", &many, 1));
        let plain = migrate(context, "demo-plain", &plain, 1);
        (plain, many.join())
    });
    let many = many.map_err(|_| anyhow::anyhow!("the migration with more files panicked"))??;
    _ = std::fs::remove_file(full);
    Ok(Timing {
        plain: seconds_before_root(&plain?)?,
        many: seconds_before_root(&many)?,
    })
}

pub(super) fn judge(timing: &Timing) -> Result<()> {
    let ratio = timing.ratio();
    ensure!(
        ratio < LIMIT,
        "{MORE} more files took {ratio:.2} times as long, limit {LIMIT}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_that_grows_with_the_files_is_red() {
        assert!(
            judge(&Timing {
                plain: 0.4,
                many: 0.5
            })
            .is_ok()
        );
        assert!(
            judge(&Timing {
                plain: 0.4,
                many: 0.7
            })
            .is_err()
        );
        assert!(
            judge(&Timing {
                plain: 0.0,
                many: 0.0
            })
            .is_err()
        );
    }
}
