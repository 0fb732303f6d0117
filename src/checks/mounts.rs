//! `mount`, `filesystem`, `fstab-entry`: what is mounted, by the kernel's own account, and what
//! fstab says. A subvolume is told by mountinfo's root field: a remount with a wrong `subvol=`
//! succeeds silently (facts boot.md 4.1).

use std::path::Path;

use super::{CheckContext, Error, Looker, Outcome, place};
use crate::bootcfg::fstab::Entry;
use crate::documents::check::MountParameters;
use crate::sys::mount::Mount;

pub(super) fn mount(looker: &Looker, wanted: &MountParameters) -> Result<Outcome, Error> {
    let context = &looker.context;
    match place::mounted(context, &wanted.at) {
        Some(mount) => of_mount(context, wanted, mount),
        None => place::not_mounted(looker, &wanted.at, wanted.optional),
    }
}

pub(super) fn filesystem(
    context: &CheckContext,
    wanted: &MountParameters,
) -> Result<Outcome, Error> {
    let at = &wanted.at;
    match place::covering(context, Path::new(at))? {
        Some(mount) => of_mount(context, wanted, mount),
        None if context.system.resolved_status(Path::new(at))?.is_some() => Err(Error::Malformed(
            format!("no mount in the mount table holds {at}"),
        )),
        None if wanted.optional => Ok(Outcome::Skip(format!("this machine has no {at}"))),
        None => Ok(place::missing(at)),
    }
}

pub(super) fn fstab_entry(looker: &Looker, wanted: &MountParameters) -> Result<Outcome, Error> {
    let at = &wanted.at;
    let Some(entry) = looker.fstab()?.entry_for(at) else {
        return Ok(if wanted.optional {
            Outcome::Skip(format!("/etc/fstab does not name {at}"))
        } else {
            Outcome::fail(
                format!("/etc/fstab has no line for {at}"),
                "add it (fstab(5))",
            )
        });
    };
    let problem = first_problem(&looker.context, wanted, &Found::in_fstab(entry))?;
    Ok(verdict(problem, &format!("/etc/fstab: {at}"), at))
}

fn of_mount(
    context: &CheckContext,
    wanted: &MountParameters,
    mount: &Mount,
) -> Result<Outcome, Error> {
    let found = Found {
        source: &mount.source,
        filesystem: &mount.fstype,
        subvolumes: vec![mount.root.to_string_lossy().into_owned()],
        options: mount
            .options
            .split(',')
            .chain(mount.super_options.split(','))
            .collect(),
    };
    let problem = first_problem(context, wanted, &found)?;
    Ok(verdict(problem, &wanted.at, &wanted.at))
}

fn verdict(problem: Option<String>, what: &str, at: &str) -> Outcome {
    problem.map_or(Outcome::Pass, |problem| {
        Outcome::fail(
            format!("{what}: {problem}"),
            format!("look at `findmnt {at}` and at the line of {at} in /etc/fstab"),
        )
    })
}

/// What a mount or a line of fstab says.
struct Found<'a> {
    source: &'a str,
    filesystem: &'a str,
    subvolumes: Vec<String>,
    options: Vec<&'a str>,
}

impl<'a> Found<'a> {
    fn in_fstab(entry: &'a Entry) -> Self {
        let options: Vec<&str> = entry.options.iter().map(String::as_str).collect();
        let named = options
            .iter()
            .filter_map(|option| option.strip_prefix("subvol="));
        Self {
            source: &entry.source,
            filesystem: &entry.fstype,
            subvolumes: named.map(from_top).collect(),
            options,
        }
    }
}

fn from_top(subvolume: &str) -> String {
    format!("/{}", subvolume.trim_matches('/'))
}

fn first_problem(
    context: &CheckContext,
    wanted: &MountParameters,
    found: &Found,
) -> Result<Option<String>, Error> {
    if let Some(wanted) = wanted
        .filesystem
        .as_ref()
        .filter(|w| *w != found.filesystem)
    {
        return Ok(Some(format!("it is {}, not {wanted}", found.filesystem)));
    }
    let in_layout = wanted
        .as_in_layout
        .then(|| context.subvolume_at(&wanted.at))
        .flatten();
    for wanted in in_layout.into_iter().chain(wanted.subvolume.as_deref()) {
        if found.subvolumes.as_slice() != [from_top(wanted)] {
            let found = found.subvolumes.join(" and ");
            let found = if found.is_empty() { "none" } else { &found };
            return Ok(Some(format!("its subvolume is {found}, not {wanted}")));
        }
    }
    if let Some(wanted) = &wanted.source
        && !place::same_source(context, wanted, found.source)?
    {
        return Ok(Some(format!(
            "its source is {}, not {wanted}",
            found.source
        )));
    }
    let missing = wanted
        .options
        .iter()
        .find(|wanted| !found.options.iter().any(|found| satisfies(found, wanted)));
    Ok(missing.map(|missing| {
        let options = found.options.join(",");
        format!("the option {missing} is missing in {options}")
    }))
}

/// The kernel adds the level: `compress=zstd` becomes `compress=zstd:3`.
fn satisfies(found: &str, wanted: &str) -> bool {
    let rest = found.strip_prefix(wanted);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}
