//! Whether the new system would be validated.

use super::Sample;
use crate::checks::{Outcome, validation_starts};
use std::os::unix::fs::symlink;

const UNITS: &str = "usr/lib/systemd/system";
const WANTED: &str = "etc/systemd/system/multi-user.target.wants/rootshift-validate.service";

fn debian() -> Sample {
    let sample = Sample::with(&[
        ("usr/lib/systemd/systemd", ""),
        ("usr/sbin/x", ""),
        (&format!("{UNITS}/boot-complete.target"), "[Unit]\n"),
        (
            &format!("{UNITS}/multi-user.target"),
            "[Unit]\nRequires=basic.target\n",
        ),
        (
            &format!("{UNITS}/graphical.target"),
            "[Unit]\nRequires=multi-user.target\n",
        ),
        (
            &format!("{UNITS}/kiosk.target"),
            "[Unit]\nWants=basic.target\n",
        ),
        (WANTED, "[Unit]\n"),
    ]);
    let folder = sample.folder.path();
    symlink("usr/sbin", folder.join("sbin")).unwrap();
    symlink("../lib/systemd/systemd", folder.join("usr/sbin/init")).unwrap();
    symlink(
        "graphical.target",
        folder.join(UNITS).join("default.target"),
    )
    .unwrap();
    sample
}

#[track_caller]
fn says(sample: &Sample, expected: &str) {
    match validation_starts(&sample.context()).unwrap() {
        Outcome::Pass => assert_eq!(expected, "pass"),
        Outcome::Fail { problem, remedy } => {
            let line = format!("{problem}; {remedy}");
            assert!(line.contains(expected), "{line}");
        }
        Outcome::Skip(why) => panic!("{why}"),
    }
}

#[test]
fn the_default_target_has_to_start_what_validates() {
    let sample = debian();
    says(&sample, "pass");
    let default = sample
        .folder
        .path()
        .join("etc/systemd/system/default.target");
    symlink("/usr/lib/systemd/system/kiosk.target", &default).unwrap();
    says(
        &sample,
        "systemctl add-wants kiosk.target rootshift-validate.service",
    );
    // As that command does it.
    sample.write(
        "etc/systemd/system/kiosk.target.wants/rootshift-validate.service",
        "",
    );
    says(&sample, "pass");
    sample.write("proc/cmdline", "root=x systemd.unit=other.target quiet\n");
    says(&sample, "other.target, which this machine starts");
}

#[test]
fn a_drop_in_or_a_circle_of_targets_counts_too() {
    let sample = debian();
    sample.write("proc/cmdline", "systemd.unit=kiosk.target");
    says(&sample, "kiosk.target, which this machine starts");
    sample.write(
        &format!("{UNITS}/basic.target"),
        "[Unit]\nWants=kiosk.target\n",
    );
    says(&sample, "kiosk.target, which this machine starts");
    sample.write(
        "etc/systemd/system/kiosk.target.d/x.conf",
        "[Unit]\nWants = \\\n multi-user.target\n",
    );
    says(&sample, "pass");
}

#[test]
fn another_init_or_a_masked_target_is_refused() {
    let sample = debian();
    symlink(
        "/dev/null",
        sample
            .folder
            .path()
            .join("etc/systemd/system/boot-complete.target"),
    )
    .unwrap();
    says(&sample, "boot-complete.target is masked");
    let sample = debian();
    let init = sample.folder.path().join("usr/sbin/init");
    std::fs::remove_file(&init).unwrap();
    says(&sample, "/sbin/init is missing");
    std::fs::write(&init, "").unwrap();
    says(&sample, "/sbin/init is /sbin/init, not systemd");
}
