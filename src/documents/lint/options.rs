//! The mount options of a layout: every one that a mount would refuse, or that would not mount what
//! the layout says.

use super::locate::Part::{Item, Key};
use super::{Problem, Severity, Source};
use crate::documents::Batch;
use crate::documents::layout::SubvolumeLayout;
use crate::documents::mount_options::{first_kernel, problem, split};

/// How bad it is, what, and the remedy.
type Said = (Severity, String, String);

pub(super) fn problems(source: &Source, batch: &Batch) -> Vec<Problem> {
    let mut found = Vec::new();
    for (filesystem, layout) in batch.layout.filesystems.iter().enumerate() {
        for (index, subvolume) in layout.subvolumes.iter().enumerate() {
            for (number, text) in subvolume.options.iter().enumerate() {
                let path = [
                    Key("layout"),
                    Key("filesystems"),
                    Item(filesystem),
                    Key("subvolumes"),
                    Item(index),
                    Key("options"),
                    Item(number),
                ];
                for (severity, what, help) in said_of(subvolume, text) {
                    let what = format!("{}: {what}", subvolume.mount_point);
                    found.push(source.problem(severity, &path, what, help));
                }
            }
        }
    }
    found
}

/// One string of a layout may hold several options.
fn said_of(subvolume: &SubvolumeLayout, text: &str) -> Vec<Said> {
    let options = split(text);
    if options.is_empty() {
        let what = "an empty mount option".to_owned();
        return vec![(Severity::Error, what, "leave it out".to_owned())];
    }
    let all = options.into_iter();
    all.filter_map(|option| said_of_one(subvolume, option))
        .collect()
}

fn said_of_one(subvolume: &SubvolumeLayout, option: &str) -> Option<Said> {
    if let Some((what, help)) = problem(option) {
        return Some((Severity::Error, what, help));
    }
    let mut all = subvolume.options.iter().flat_map(|text| split(text));
    if option == "noauto" && !all.any(|other| other == "x-systemd.automount") {
        let what =
            "with \"noauto\" nothing is mounted there at boot, and its files seem to be gone";
        let help = "leave it out, or add \"x-systemd.automount\"";
        return Some((Severity::Error, what.to_owned(), help.to_owned()));
    }
    let kernel = first_kernel(option)?;
    let what = format!("the mount option \"{option}\" needs Linux {kernel} or later");
    let help = "make sure that every installed kernel is that new";
    Some((Severity::Warning, what, help.to_owned()))
}
