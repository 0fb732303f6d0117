use super::{Machine, resolve};
use crate::documents::batch::{LogLevel, Monitoring};
use crate::documents::library::Bundle;
use crate::documents::plan::{After, FilesystemIdentity, OldSystem};
use crate::documents::viscript::Stage;
use crate::documents::{Action, Batch, Plan, ViScript};

fn repository(path: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(path).unwrap()
}

/// A batch of the repository, edited, with its viScripts, edited.
fn bundle(batch: &str, edit: impl Fn(&str, String) -> String) -> Bundle {
    let text = edit("batch", repository(&format!("batches/{batch}.json")));
    let batch = Batch::parse("batch.json", text.as_bytes()).unwrap();
    let mut viscripts = Vec::new();
    for name in batch.phases.iter().flat_map(|phase| &phase.viscripts) {
        let text = edit(name, repository(&format!("viscripts/{name}")));
        viscripts.push((
            name.clone(),
            ViScript::parse(name, text.as_bytes()).unwrap(),
        ));
    }
    Bundle {
        batch,
        viscripts,
        sources: vec![],
    }
}

fn unedited(_: &str, text: String) -> String {
    text
}

fn machine(nested: &[&str]) -> Machine {
    Machine {
        filesystem: FilesystemIdentity {
            uuid: "u".into(),
            aliases: vec![],
        },
        old_system: OldSystem {
            root: String::new(),
            entries: vec!["boot".into(), "home".into()],
            nested: nested.iter().map(|path| (*path).to_owned()).collect(),
            generation: None,
        },
        other_filesystems: vec![],
        kept: vec![],
        fingerprints: vec![],
        now: 1_702_909_822,
    }
}

fn ids(plan: &Plan) -> Vec<&str> {
    plan.steps().iter().map(|step| step.id.as_str()).collect()
}

fn refusal(bundle: &Bundle) -> String {
    resolve(bundle, machine(&[]), After::Reboot)
        .unwrap_err()
        .to_string()
}

#[test]
fn the_shipped_batch_becomes_these_steps_in_this_order() {
    let bundle = bundle("flat-to-subvolumes", unedited);
    let plan = resolve(&bundle, machine(&["var/lib/portables"]), After::Reboot).unwrap();
    assert_eq!(
        ids(&plan),
        [
            "btrfs_subvolume_creation/snapshot[@]",
            "btrfs_subvolume_creation/snapshot[@home]",
            "btrfs_subvolume_creation/snapshot[@var_log]",
            "btrfs_data_migration/promote[@home]",
            "btrfs_data_migration/promote[@var_log]",
            "btrfs_data_migration/vacate[@home]",
            "btrfs_data_migration/vacate[@var_log]",
            "btrfs_data_migration/carry-over[var/lib/portables]",
            "btrfs_mount_configuration/fstab",
            "btrfs_boot_configuration/grub-defaults",
            "btrfs_boot_configuration/grub-config",
            "btrfs_boot_configuration/place[@]",
            "btrfs_boot_configuration/place[@home]",
            "btrfs_boot_configuration/place[@var_log]",
            "btrfs_boot_configuration/boot-path",
        ]
    );
    assert_eq!(plan.batch_id, "flat-to-subvolumes_20231218_143022");
}

#[test]
fn the_seeds_batch_as_it_stands_becomes_a_plan() {
    let bundle = bundle("ubuntu_btrfs_installation", unedited);
    let plan = resolve(&bundle, machine(&[]), After::Reboot).unwrap();
    assert_eq!(plan.subvolumes(), ["@", "@home"]);
    let stages: Vec<Stage> = plan.phases.iter().map(|phase| phase.stage).collect();
    use Stage::{AfterBoot, Arm, Initramfs};
    assert_eq!(
        stages,
        [Arm, Initramfs, Initramfs, AfterBoot, AfterBoot, AfterBoot]
    );
}

#[test]
fn what_is_nested_lands_in_the_subvolume_that_its_path_belongs_to() {
    let bundle = bundle("flat-to-subvolumes", unedited);
    let plan = resolve(&bundle, machine(&["home/user/vm", "srv/x"]), After::Reboot).unwrap();
    let carried: Vec<String> = plan
        .steps()
        .iter()
        .filter(|step| step.id.contains("carry-over"))
        .map(|step| match &step.action {
            Action::Snapshot(snapshot) => String::from(snapshot.to.clone()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        carried,
        [".rootshift/new/@home/user/vm", ".rootshift/new/@/srv/x"]
    );
}

#[test]
fn what_the_boot_loader_reads_is_switched_as_a_whole_for_a_root_in_a_subvolume() {
    let bundle = bundle("flat-to-subvolumes", unedited);
    let switched = |root: &str| {
        let mut machine = machine(&[]);
        machine.old_system.root = root.into();
        let plan = resolve(&bundle, machine, After::Reboot).unwrap();
        match &plan.steps().last().unwrap().action {
            Action::SwitchBootPath(step) => {
                [step.path.clone(), step.target.clone(), step.keep_as.clone()]
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(switched(""), ["/boot", "@/boot", ".boot.rootshift"]);
    assert_eq!(switched("@rootfs"), ["/@rootfs", "@", ".@rootfs.rootshift"]);
}

#[test]
fn a_batch_switches_nothing_but_the_boot_path() {
    let bundle = bundle("flat-to-subvolumes", |_, text| {
        text.replace("{boot_path}", "/etc")
    });
    let message = refusal(&bundle);
    assert!(
        message.contains("switch-boot-path.path: \"/etc\" is not /boot")
            && message.contains("leave the step out"),
        "{message}"
    );
}

#[test]
fn a_directory_inside_another_split_off_one_is_vacated_there() {
    let bundle = bundle("flat-to-subvolumes", |_, text| {
        text.replace("\"@home\"", "\"@var\"")
            .replace("\"/home\"", "\"/var\"")
    });
    let plan = resolve(&bundle, machine(&[]), After::Reboot).unwrap();
    let vacated: Vec<(String, String)> = plan
        .steps()
        .iter()
        .filter_map(|step| match &step.action {
            Action::VacateDirectory(step) => {
                Some((step.subvolume.clone().into(), step.directory.clone().into()))
            }
            _ => None,
        })
        .collect();
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(
        vacated,
        [
            pair(".rootshift/new/@", "/var"),
            pair(".rootshift/new/@var", "/log")
        ]
    );
}

#[test]
fn a_requirement_that_runs_later_or_never_is_named() {
    let later = bundle("flat-to-subvolumes", |name, text| match name {
        "btrfs_subvolume_creation_viScript.json" => text.replace(
            "\"required_viScripts\": []",
            "\"required_viScripts\": [\"btrfs_root_viScript.json\"]",
        ),
        _ => text,
    });
    assert_eq!(
        refusal(&later),
        "btrfs_subvolume_creation_viScript.json requires btrfs_root_viScript.json, which runs \
         only after it; put btrfs_root_viScript.json before it"
    );
    let missing = bundle("flat-to-subvolumes", |name, text| match name {
        "btrfs_root_viScript.json" => text.replace(
            "\"required_viScripts\": []",
            "\"required_viScripts\": [\"docker_viScript.json\"]",
        ),
        _ => text,
    });
    assert!(refusal(&missing).contains("docker_viScript.json, which is not in the batch"));
}

#[test]
fn what_the_layout_does_not_have_is_named() {
    let bundle = bundle("flat-to-subvolumes", |name, text| match name {
        "btrfs_root_viScript.json" => text.replace(
            "\"required_subvolumes\": []",
            "\"required_subvolumes\": [\"@srv\"]",
        ),
        _ => text,
    });
    assert!(refusal(&bundle).contains("requires the subvolume @srv"));
}

#[test]
fn a_phase_can_not_run_in_two_places() {
    let bundle = bundle("flat-to-subvolumes", |name, text| match name {
        "batch" => text.replace(
            "\"btrfs_boot_configuration_viScript.json\"",
            "\"btrfs_boot_configuration_viScript.json\", \"btrfs_root_viScript.json\"",
        ),
        _ => text,
    });
    assert!(refusal(&bundle).contains("runs at another time than the viScripts before it"));
}

#[test]
fn a_frozen_plan_reads_back_as_it_was() {
    let bundle = bundle("flat-to-subvolumes", unedited);
    let plan = resolve(&bundle, machine(&["a"]), After::Continue).unwrap();
    let bytes = plan.to_bytes().unwrap();
    assert_eq!(Plan::parse("plan.json", &bytes).unwrap(), plan);
}

fn backups(plan: &Plan) -> Vec<(&str, String)> {
    let steps = plan.steps().into_iter();
    let copies = steps.filter_map(|step| match &step.action {
        Action::BackUpFile(copy) => Some((
            step.id.as_str(),
            format!(
                "{}{} {}",
                copy.subvolume.path().display(),
                copy.file,
                copy.backup
            ),
        )),
        _ => None,
    });
    copies.collect()
}

#[test]
fn each_backup_location_becomes_a_step_before_the_first_rewriting_one() {
    let bundle = bundle("ubuntu_btrfs_installation", unedited);
    let plan = resolve(&bundle, machine(&[]), After::Reboot).unwrap();
    let copy = |name: &'static str, path: &str| {
        let text = format!(".rootshift/new/@{path} {path}.backup.20231218_143022");
        (name, text)
    };
    assert_eq!(
        backups(&plan),
        [
            copy("rollback_configuration/fstab", "/etc/fstab"),
            copy("rollback_configuration/grub", "/etc/default/grub"),
            copy(
                "rollback_configuration/initramfs",
                "/etc/initramfs-tools/modules"
            ),
        ]
    );
    let ids = ids(&plan);
    let place = |id: &str| ids.iter().position(|known| *known == id).unwrap();
    assert_eq!(
        place("rollback_configuration/initramfs") + 1,
        place("btrfs_mount_configuration/fstab")
    );
    assert!(place("btrfs_data_migration/vacate[@home]") < place("rollback_configuration/fstab"));
    assert_eq!(
        plan.rollback_configuration,
        bundle.batch.rollback_configuration
    );
}

#[test]
fn a_backup_lies_in_the_subvolume_that_its_file_belongs_to() {
    let bundle = bundle("ubuntu_btrfs_installation", |name, text| match name {
        "batch" => text.replace("/etc/initramfs-tools/modules", "/home/user/modules"),
        _ => text,
    });
    let plan = resolve(&bundle, machine(&[]), After::Reboot).unwrap();
    let wanted = ".rootshift/new/@home/user/modules /user/modules.backup.20231218_143022";
    assert_eq!(backups(&plan)[2].1, wanted);
}

#[test]
fn a_rollback_configuration_that_is_not_enabled_adds_nothing() {
    let bundle = bundle("ubuntu_btrfs_installation", |_, text| {
        text.replace("\"enabled\": true", "\"enabled\": false")
    });
    let plan = resolve(&bundle, machine(&[]), After::Reboot).unwrap();
    assert_eq!(backups(&plan), []);
    assert_eq!(plan.rollback_configuration, None);
}

#[test]
fn how_much_is_told_comes_from_the_batch() {
    let told = |edit: fn(&str, String) -> String| {
        let bundle = bundle("ubuntu_btrfs_installation", edit);
        resolve(&bundle, machine(&[]), After::Reboot).unwrap()
    };
    let plan = told(unedited);
    assert_eq!(plan.monitoring().log_level, LogLevel::Verbose);
    let plan = told(|_, text| {
        text.replace("\"log_level\": \"verbose\"", "\"log_level\": \"quiet\"")
            .replace(
                "\"progress_tracking\": true",
                "\"progress_tracking\": false",
            )
    });
    assert_eq!(plan.monitoring().log_level, LogLevel::Quiet);
    assert!(!plan.monitoring().progress_tracking);
    assert!(plan.monitoring().error_reporting);
    let plan = resolve(
        &bundle("flat-to-subvolumes", unedited),
        machine(&[]),
        After::Reboot,
    );
    let plan = plan.unwrap();
    assert_eq!(
        (plan.monitoring, plan.monitoring()),
        (None, Monitoring::default())
    );
    // A plan that was frozen before the key was known is the same bytes still.
    assert!(
        !String::from_utf8(plan.to_bytes().unwrap())
            .unwrap()
            .contains("monitoring")
    );
}

/// `lint` says so first; this is what holds a plan whoever made it.
#[test]
fn a_step_that_leaves_its_place_becomes_no_plan() {
    for (from, to, wanted) in [
        (
            "{staging}/{main}",
            ".",
            "\".\" is not below the staging place",
        ),
        (
            "{staging}/{main}",
            "{staging}/@data",
            "@data is no subvolume of the layout at /, which has @, @home, @var_log",
        ),
        (
            "\"{name}\"",
            "\"home\"",
            "home is no subvolume of the layout",
        ),
        (
            "{boot_path}",
            "/home",
            "\"/home\" is not /boot, which is switched here",
        ),
        ("{boot_kept}", "home", "\"home\" is not .boot.rootshift"),
    ] {
        let bundle = bundle("flat-to-subvolumes", |name, text| match name {
            "btrfs_boot_configuration_viScript.json" => {
                assert!(text.contains(from), "{from}");
                text.replacen(from, to, 1)
            }
            _ => text,
        });
        let said = refusal(&bundle);
        assert!(said.contains(wanted), "{said}");
        assert!(said.contains("steps["), "{said}");
    }
}

#[test]
fn a_recovery_is_held_to_the_same() {
    let bundle = bundle("flat-to-subvolumes", |name, text| match name {
        "btrfs_mount_configuration_viScript.json" => text.replacen(
            "\"name\": \"fstab\",",
            "\"name\": \"fstab\", \"on_failure\": [{\"clear-staging\": {\"path\": \"home\"}}],",
            1,
        ),
        _ => text,
    });
    let said = refusal(&bundle);
    assert!(
        said.contains("steps[0].on_failure[0].clear-staging.path: \"home\" is not"),
        "{said}"
    );
}

#[test]
fn two_steps_of_one_name_become_no_plan() {
    let bundle = bundle("flat-to-subvolumes", |_, text| {
        text.replace("\"name\": \"vacate\"", "\"name\": \"promote\"")
    });
    let said = refusal(&bundle);
    assert!(
        said.contains("btrfs_data_migration/promote[@home]"),
        "{said}"
    );
    assert!(said.contains("the second would never run"), "{said}");
}

/// A plan that is read from a disk is held to the same types and names.
#[test]
fn a_frozen_plan_that_leaves_its_place_is_not_read() {
    let bundle = bundle("flat-to-subvolumes", unedited);
    let plan = resolve(&bundle, machine(&[]), After::Reboot).unwrap();
    let text = String::from_utf8(plan.to_bytes().unwrap()).unwrap();
    for (from, to, wanted) in [
        (
            ".rootshift/new/@home",
            "home",
            "is not below the staging place",
        ),
        (
            ".rootshift/new/@",
            ".rootshift/new/..",
            "is not below the staging place",
        ),
        (
            ".rootshift/new/@\"",
            ".rootshift/new/@x\"",
            "@x is no subvolume of the layout",
        ),
        (
            "\"to\":\"@home\"",
            "\"to\":\"home\"",
            "home is no subvolume",
        ),
        (
            "\".boot.rootshift\"",
            "\"home\"",
            "\"home\" is not .boot.rootshift",
        ),
        (
            "\"name\":\"@home\"",
            "\"name\":\"../x\"",
            "\"../x\" can't be a subvolume's name",
        ),
    ] {
        assert!(text.contains(from), "{from}");
        let hostile = text.replace(from, to);
        let said = Plan::parse("plan.json", hostile.as_bytes()).unwrap_err();
        assert!(said.to_string().contains(wanted), "{to}: {said}");
    }
}
