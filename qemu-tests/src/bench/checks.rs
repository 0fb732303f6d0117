//! The checks that are measured: every kind that looks by itself, in turn.

use serde_json::{Value, json};

use super::sample::{MOUNTED, Sample};

/// Kinds that are not measured, each with the reason.
#[cfg(test)]
const LEFT_OUT: [(&str, &[&str]); 2] = [
    (
        "what it costs is what the program costs that it starts",
        &["command-output", "initramfs", "no-failed-units"],
    ),
    (
        "asked once before a migration, of the root file system, its layout and the disks",
        &[
            "flat-btrfs-root",
            "no-hibernation-image",
            "names-free",
            "nested-subvolumes",
            "nothing-immutable",
            "no-straddling-links",
            "no-swap-file",
            "boot-loader",
            "initramfs-tools",
            "boot-chain",
            "fstab-names-layout",
            "subvolumes-in-place",
            "layout-mounted",
            "root-flags",
        ],
    ),
];

/// A viScript of so many checks, these in turn.
pub(super) fn viscript(count: usize, kinds: &[Value]) -> Value {
    let checks: Vec<Value> = (0..count)
        .map(|number| json!({"name": format!("check {number}"), "check": kinds[number % kinds.len()]}))
        .collect();
    json!({
        "viScript_name": "bench",
        "version": "1.0",
        "description": "Checks of mixed kinds, for the benchmark",
        "type": "post-installation",
        "risk_level": "low",
        "checks": checks
    })
}

/// A check that starts a program.
pub(super) fn program() -> Value {
    json!({"command-output": {"argv": ["true"], "status": 0}})
}

/// The names of their kinds, each once.
pub(super) fn kinds_of(checks: &[Value]) -> Vec<&str> {
    let keys = checks
        .iter()
        .filter_map(|check| check.as_object()?.keys().next());
    let mut kinds: Vec<&str> = keys.map(String::as_str).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

/// Checks of this sample, most of which have something to look at.
pub(super) fn measured(sample: &Sample) -> Vec<Value> {
    [places(), files(), names(sample), machine(sample)].concat()
}

fn places() -> Vec<Value> {
    vec![
        json!({"mount": {"at": "/"}}),
        json!({"mount": {"at": MOUNTED, "filesystem": "btrfs", "subvolume": "@data", "options": ["noatime"]}}),
        json!({"mount": {"at": "/srv/no-such-place", "optional": true}}),
        json!({"filesystem": {"at": "/etc", "options": ["rw"]}}),
        json!({"filesystem": {"at": MOUNTED, "filesystem": "btrfs", "subvolume": "@data"}}),
        json!({"fstab-entry": {"at": "/", "filesystem": "btrfs", "subvolume": "@"}}),
        json!({"fstab-entry": {"at": "/srv/no-such-place", "optional": true}}),
        json!({"subvolume": {"path": MOUNTED, "read_only": false}}),
        json!({"free-space": {"at": "/", "minimum": "1MB"}}),
        json!({"free-space": {"at": MOUNTED, "minimum": "1MB", "metadata": "1MB"}}),
        json!({"device-statistics": {"at": MOUNTED}}),
    ]
}

fn files() -> Vec<Value> {
    vec![
        json!({"file": {"path": "/etc/passwd", "exists": true}}),
        json!({"file": {"path": "/no-such-file", "exists": false}}),
        json!({"file": {"path": "/etc/passwd", "mode": "0644", "owner": "root", "group": "root"}}),
        json!({"file": {"path": "/etc/passwd", "contains": ["root:"]}}),
        json!({"property": {"path": "/etc", "no_copy_on_write": false}}),
        json!({"property": {"path": MOUNTED, "compression": "none"}}),
    ]
}

fn names(sample: &Sample) -> Vec<Value> {
    let port = format!("tcp:{}", sample.port());
    vec![
        json!({"commands": {"names": ["sh", "mount"]}}),
        json!({"kernel-filesystems": {"names": ["proc", "btrfs"]}}),
        json!({"ports": {"names": [port]}}),
        json!({"ports": {"names": ["tcp:1", "udp:1"], "absent": true}}),
        json!({"processes": {"names": ["no-such-process"], "absent": true}}),
        json!({"users": {"names": ["root"]}}),
        json!({"groups": {"names": ["root"]}}),
        json!({"packages": {"names": ["dpkg"]}}),
    ]
}

fn machine(sample: &Sample) -> Vec<Value> {
    vec![
        json!({"memory": {"minimum": "64MB"}}),
        json!({"kernel-parameter": {"name": "kernel.ostype", "value": "Linux"}}),
        json!({"kernel-command-line": {"lacks": ["no-such-word"]}}),
        json!({"grub-entry": {"contains": ["rootflags=subvol=@"]}}),
        json!({"grub-entry": {"title": sample.last_title(), "lacks": ["no-such-word"]}}),
        json!({"socket": {"path": sample.socket()}}),
        json!({"service": {"unit": "getty@tty1.service", "optional": true}}),
        json!({"network": {}}),
        json!({"docker-storage": {}}),
    ]
}

#[cfg(test)]
mod tests {
    use super::{LEFT_OUT, Sample, kinds_of, measured};
    use rootshift::documents::CheckSpec;

    #[test]
    fn each_kind_is_measured_or_left_out_for_a_reason() {
        let measured = measured(&Sample::for_tests());
        let mut kinds = kinds_of(&measured);
        kinds.extend(LEFT_OUT.iter().flat_map(|(_, kinds)| kinds.iter()));
        kinds.sort_unstable();
        let mut all = CheckSpec::kinds().to_vec();
        all.sort_unstable();
        assert_eq!(kinds, all);
    }
}
