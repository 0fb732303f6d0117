//! The initramfs images: made by initramfs-tools, and looked into afterwards. `update-initramfs`
//! can do nothing and exit 0 (facts boot.md 1.6), so only the images themselves are believed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Error;
use super::survey::boot_images;
use crate::journal::record::BootImage;
use crate::sys::Root;
use crate::sys::process::run_within;

/// What the hook copies into every image while this directory exists.
pub const ARMED: &str = "/var/lib/rootshift/armed";

/// All images of a slow machine take a few minutes. What takes longer hangs: it is ended, and the
/// image that it was at stays as it was (initramfs-tools renames a new one over it).
const REBUILT_WITHIN: Duration = if cfg!(feature = "fault") {
    Duration::from_secs(3)
} else {
    Duration::from_secs(30 * 60)
};
/// One image is listed in seconds.
const LISTED_WITHIN: Duration = if cfg!(feature = "fault") {
    Duration::from_secs(3)
} else {
    Duration::from_secs(5 * 60)
};

/// The name under which a plan travels: an image that lists it holds this very plan.
#[must_use]
pub fn plan_name(digest: &str) -> String {
    format!("plan-{digest}.json")
}

/// Lets the hook put this plan into the images that are made from now on.
///
/// # Errors
/// When the plan can't be written.
pub fn offer(system: &Root, digest: &str, plan: &[u8]) -> Result<(), Error> {
    withdraw(system)?;
    system.create_directories(Path::new(ARMED), 0o755)?;
    Ok(system.write_new_file(&Path::new(ARMED).join(plan_name(digest)), plan, 0o644)?)
}

/// The digest of the plan that the next images take; none where nothing is armed.
///
/// # Errors
/// When it can't be looked at.
pub fn offered(system: &Root) -> Result<Option<String>, Error> {
    let armed = Path::new(ARMED);
    if !system.exists(armed)? {
        return Ok(None);
    }
    let names = system.list(armed)?;
    let digest = |name: &std::ffi::OsString| {
        let rest = name.to_str()?.strip_prefix("plan-")?;
        rest.strip_suffix(".json").map(str::to_owned)
    };
    Ok(names.iter().find_map(digest))
}

/// The hook contributes nothing from now on.
///
/// # Errors
/// When something can't be deleted.
pub fn withdraw(system: &Root) -> Result<(), Error> {
    let armed = Path::new(ARMED);
    if !system.exists(armed)? {
        return Ok(());
    }
    for name in system.list(armed)? {
        system.remove_file(&armed.join(name))?;
    }
    Ok(system.remove_directory(armed)?)
}

/// Makes every image anew.
///
/// # Errors
/// With the end of what update-initramfs said.
pub fn rebuild() -> Result<(), Error> {
    let system = Root::open(Path::new("/"))?;
    // With -k all it runs at once even under dpkg, and not for the newest kernel alone.
    let all = ["-u", "-k", "all"];
    let ended = run_within(&system, "update-initramfs", &all, REBUILT_WITHIN)?;
    if ended.status == 0 {
        return Ok(());
    }
    Err(Error::Image {
        image: PathBuf::from("update-initramfs"),
        problem: format!("ended with {}: {}", ended.status, ended.stderr_tail.trim()),
    })
}

/// The images, once each of them is known to hold binary, script and plan (or, without a digest,
/// none of binary and plan). Those that are as `known` are not looked into again.
///
/// # Errors
/// The first image that is not as it has to be.
pub fn verify(
    system: &Root,
    digest: Option<&str>,
    known: &[BootImage],
) -> Result<Vec<BootImage>, Error> {
    let images = boot_images(system)?;
    for image in images.iter().filter(|image| !known.contains(image)) {
        let path = path_of(system, image);
        if let Some(problem) = wrong(&names_in(system, &path)?, digest) {
            let image = path;
            return Err(Error::Image { image, problem });
        }
    }
    Ok(images)
}

/// What an image holds of rootshift.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    /// Binary, script and the plan that was asked for; without one, any plan or the binary.
    Plan,
    /// Neither binary nor plan.
    Nothing,
    /// Something else: another plan, or a part.
    Something,
}

/// Looks into one image below `root`, with the running system's program.
///
/// # Errors
/// When it can't be listed.
pub(super) fn held(
    system: &Root,
    root: &Root,
    image: &BootImage,
    digest: Option<&str>,
) -> Result<Held, Error> {
    let names = names_in(system, &path_of(shown_by(system, root, image), image))?;
    Ok(match (wrong(&names, None), digest) {
        (None, _) => Held::Nothing,
        (Some(_), None) => Held::Plan,
        (Some(_), digest) if wrong(&names, digest).is_none() => Held::Plan,
        (Some(_), Some(_)) => Held::Something,
    })
}

/// Whose path leads to the image: the running system's where it is the same file, as the other
/// mount may be one that no path leads to.
fn shown_by<'a>(system: &'a Root, root: &'a Root, image: &BootImage) -> &'a Root {
    let file = |root: &Root| {
        let path = Path::new("boot").join(&image.name);
        let found = root.resolved_status(&path).ok().flatten();
        found.map(|status| (status.device, status.inode))
    };
    match file(system) {
        Some(known) if file(root) == Some(known) => system,
        Some(_) | None => root,
    }
}

fn path_of(root: &Root, image: &BootImage) -> PathBuf {
    root.path().join("boot").join(&image.name)
}

/// One name a line.
fn names_in(system: &Root, path: &Path) -> Result<String, Error> {
    let words = [&*path.to_string_lossy()];
    let listed = run_within(system, "lsinitramfs", &words, LISTED_WITHIN)?;
    if listed.status == 0 {
        return Ok(String::from_utf8_lossy(&listed.stdout).into_owned());
    }
    Err(Error::Image {
        image: path.to_owned(),
        problem: format!("can't be listed: {}", listed.stderr_tail.trim()),
    })
}

fn wrong(names: &str, digest: Option<&str>) -> Option<String> {
    let holds = |end: &str| {
        names
            .lines()
            .any(|name| name == end || name.ends_with(&format!("/{end}")))
    };
    let holds_any_plan = || {
        names
            .lines()
            .any(|name| name.contains("etc/rootshift/plan-"))
    };
    let Some(digest) = digest else {
        return (holds("sbin/rootshift") || holds_any_plan())
            .then(|| "still holds rootshift; run `update-initramfs -u -k all`".to_owned());
    };
    let plan = format!("etc/rootshift/{}", plan_name(digest));
    let needed = ["sbin/rootshift", "scripts/local-premount/rootshift", &plan];
    let missing = needed.iter().find(|needed| !holds(needed))?;
    Some(format!(
        "{missing} is missing in it; is update_initramfs=no set in \
         /etc/initramfs-tools/update-initramfs.conf, or /boot read-only?"
    ))
}

#[cfg(test)]
mod tests {
    use super::wrong;

    const ARMED: &str = "scripts/local-premount/rootshift\nusr/sbin/rootshift\n\
                         etc/rootshift/plan-abc.json\nusr/bin/cat";

    #[test]
    fn an_armed_image_holds_binary_script_and_this_plan() {
        assert_eq!(wrong(ARMED, Some("abc")), None);
        for line in ARMED.lines().take(3) {
            let without = ARMED.replace(line, "x");
            assert!(
                wrong(&without, Some("abc")).is_some_and(|problem| problem.contains("missing"))
            );
        }
        assert!(wrong(ARMED, Some("abd")).is_some());
    }

    #[test]
    fn a_disarmed_image_holds_neither_binary_nor_plan() {
        assert!(wrong(ARMED, None).is_some());
        assert!(wrong("etc/rootshift/plan-abc.json", None).is_some());
        assert_eq!(
            wrong("scripts/local-premount/rootshift\nusr/bin/cat", None),
            None
        );
    }
}
