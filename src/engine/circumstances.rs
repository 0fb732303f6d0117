//! What a batch asks for beside its checks: `dependencies.prerequisites`, and that what
//! `rollback_configuration` backs up can be.

use std::path::Path;

use super::preflight::{Finding, finding};
use crate::checks::{CheckContext, Error, Outcome};
use crate::documents::Batch;
use crate::documents::restore::Restore;
use crate::sys::{network, process};

/// One finding for each thing that is asked for, named as its key.
pub(super) fn findings(batch: &Batch, context: &CheckContext) -> Vec<Finding> {
    let asked = &batch.dependencies.prerequisites;
    let mut findings = Vec::new();
    if asked.network_connectivity {
        let looked = network_connectivity(context);
        findings.push(finding("network_connectivity", looked));
    }
    if asked.sudo_privileges {
        let looked = sudo_privileges(process::effective_user_is_root());
        findings.push(finding("sudo_privileges", Ok(looked)));
    }
    if asked.ubuntu_live_boot {
        findings.push(ubuntu_live_boot(context));
    }
    let rollback = batch.rollback_configuration.as_ref();
    let rollback = rollback.filter(|rollback| rollback.enabled);
    // A batch with mistakes in it was refused when it was read.
    let restores = rollback.and_then(|rollback| rollback.restores("batch").ok());
    for restore in restores.iter().flatten() {
        let name = format!("rollback_configuration/{}", restore.name);
        findings.push(finding(&name, backup(restore, context)));
    }
    findings
}

fn network_connectivity(context: &CheckContext) -> Result<Outcome, Error> {
    if network::has_default_route(&context.system.within(Path::new("proc"))?)? {
        return Ok(Outcome::Pass);
    }
    Ok(Outcome::fail(
        "there is no default route",
        "connect this machine (`ip route` shows a line \"default\" then), or take \
         network_connectivity out of the batch",
    ))
}

fn sudo_privileges(is_root: bool) -> Outcome {
    if is_root {
        return Outcome::Pass;
    }
    Outcome::fail("the effective user is not root", "run it with sudo")
}

/// A live session, or what stands in for it: an initramfs in which root is not mounted yet. Says
/// which of the two.
fn ubuntu_live_boot(context: &CheckContext) -> Finding {
    let (looked, detail) = match satisfied_by(context) {
        Ok(Some(what)) => (Ok(Outcome::Pass), Some(format!("satisfied by {what}"))),
        Ok(None) => (Ok(no_place_to_work_in()), None),
        Err(error) => (Err(error), None),
    };
    let mut finding = finding("ubuntu_live_boot", looked);
    finding.detail = finding.detail.or(detail);
    finding
}

fn satisfied_by(context: &CheckContext) -> Result<Option<String>, Error> {
    let root = context.mount_at("/").map(|root| root.fstype.as_str());
    if let Some(live @ ("overlay" | "squashfs" | "aufs")) = root {
        return Ok(Some(format!("a live session: root is {live}")));
    }
    let scripts = Path::new("usr/share/initramfs-tools/scripts/local");
    let there = context.system.exists(scripts)?;
    Ok(there.then(|| "initramfs-tools: the work is done before root is mounted".to_owned()))
}

fn no_place_to_work_in() -> Outcome {
    Outcome::fail(
        "this is no live session, and there is no initramfs-tools to work in",
        "boot a live system of Ubuntu or Debian, or run `apt install initramfs-tools`",
    )
}

fn backup(restore: &Restore, context: &CheckContext) -> Result<Outcome, Error> {
    match context.system.resolved_status(Path::new(&restore.file))? {
        None => Ok(Outcome::Skip(format!(
            "there is no {}: nothing to back up",
            restore.file
        ))),
        Some(status) if status.is_file() => Ok(Outcome::Pass),
        Some(_) => Ok(Outcome::fail(
            format!("{} is no regular file", restore.file),
            "name a file in restore_commands",
        )),
    }
}

#[cfg(test)]
mod tests;
