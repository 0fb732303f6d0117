//! What a step foresees comes true: on the same input the step itself succeeds, and only there.

use super::{Probe, StepContext, of};
use crate::documents::action::Action;
use crate::documents::{Layout, Plan};
use crate::sys::Root;
use proptest::prelude::*;
use serde_json::json;
use std::fs;
use std::path::Path;

const STAGED: &str = ".rootshift/new/@";

fn plan() -> Plan {
    let plan = json!({
        "plan_version": 1, "batch_id": "b_20231218_143022",
        "failure_handling": "rollback", "rollback_enabled": true,
        "after": "reboot", "trial_boots": 3, "attempts": 5,
        "filesystem": { "uuid": "u-1", "aliases": ["/dev/sda2", "LABEL=x"] },
        "layout": serde_json::to_value(Layout::default()).unwrap(),
        "old_system": { "entries": [], "nested": [] }, "fingerprints": [], "phases": [],
        "kept": [{ "path": "data", "uuid": "d", "named_by": ["a test"], "also_at": "/data" }],
    });
    Plan::parse("plan.json", &serde_json::to_vec(&plan).unwrap()).unwrap()
}

/// Whether it was foreseen, and whether it came true.
fn tried(step: &str, file: &str, text: &str) -> (bool, bool) {
    let folder = tempfile::tempdir().unwrap();
    for root in [Path::new(""), Path::new(STAGED)] {
        let path = folder.path().join(root).join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let (top, plan) = (Root::open(folder.path()).unwrap(), plan());
    let context = StepContext::new(&top, &plan, "/");
    let step = json!({ step: { "subvolume": STAGED } });
    let step: Action = serde_json::from_value(step).unwrap();
    let code = of(&step);
    let foreseen = code.foresee(&context).is_ok();
    let done = code.apply(&context).and_then(|()| code.verify(&context));
    let done = done.is_ok() && code.probe(&context).unwrap() == Probe::Done;
    (foreseen, done)
}

fn one_of(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(words).prop_map(str::to_owned)
}

fn fstab_line() -> impl Strategy<Value = String> {
    let sources = one_of(&[
        "UUID=u-1",
        "UUID=U-1",
        "/dev/sda2",
        "LABEL=x",
        "LABEL=\"x\"",
        "UUID=0-2",
        "/dev/sdb1",
        "#",
        "/srv/a",
        "tmpfs",
    ]);
    let places = one_of(&[
        "/",
        "//",
        "/home",
        "/home/",
        "/home/user",
        "/data",
        "/srv",
        "none",
        "/var/log",
    ]);
    let rest = one_of(&[
        "btrfs",
        "btrfs defaults 0 1",
        "ext4 errors=remount-ro 0 1",
        "btrfs subvol=data 0 0",
        "btrfs subvolid=257,noauto",
        "none bind",
        "swap sw x y",
        "btrfs a=\"b 0 0",
        "\tbtrfs\tcompress=zstd:1,subvol=\"a,b\"",
        "",
    ]);
    (sources, places, rest).prop_map(|(source, place, rest)| format!("{source} {place} {rest}\n"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn of_an_fstab(lines in prop::collection::vec(fstab_line(), 0..6), root in any::<bool>()) {
        let mut text = lines.concat();
        if root {
            text.insert_str(0, "UUID=u-1 / btrfs noatime 0 1\n");
        }
        let (foreseen, done) = tried("write-fstab", "etc/fstab", &text);
        prop_assert_eq!(foreseen, done, "{}", text);
    }

    #[test]
    fn of_grubs_settings(
        lines in prop::collection::vec(one_of(&[
            "GRUB_CMDLINE_LINUX=\"\"\n", "GRUB_CMDLINE_LINUX=\"rootflags=subvol=x quiet\"\n",
            "GRUB_CMDLINE_LINUX=$X\n", "GRUB_CMDLINE_LINUX=\"rootflags=$X\"\n", "# rootflags=\n",
            "GRUB_CMDLINE_LINUX_DEFAULT='rootflags=subvolid=5'\n", "if x; then\n", "GRUB_X='\n",
            "GRUB_CMDLINE_LINUX+=\" rootflags=degraded\"\n",
        ]), 0..5)
    ) {
        let text = lines.concat();
        let (foreseen, done) = tried("write-grub-defaults", "etc/default/grub", &text);
        prop_assert_eq!(foreseen, done, "{}", text);
    }
}

#[test]
fn both_answers_come_up() {
    let good = "UUID=u-1 / btrfs defaults 0 1\n";
    assert_eq!(tried("write-fstab", "etc/fstab", good), (true, true));
    let twice = format!("{good}{good}");
    assert_eq!(tried("write-fstab", "etc/fstab", &twice), (false, false));
}
