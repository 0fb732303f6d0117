//! What an author could write, by mistake or in malice. Each is refused with words that name the
//! thing, by `lint` and therefore by `arm`; and whatever resolving refuses, `lint` has known.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::too_many_lines
)]

use std::fs;
use std::path::Path;

use rootshift::documents::library::Bundle;
use rootshift::documents::lint::{Problem, Severity, Source, blocks, lint};
use rootshift::documents::plan::{After, FilesystemIdentity, OldSystem};
use rootshift::documents::{Batch, ViScript};
use rootshift::engine::resolve::{Machine, resolve};
use serde_json::Value;

const BATCH: &str = "flat-to-subvolumes.json";
const SEED: &str = "ubuntu_btrfs_installation.json";
const FSTAB: &str = "btrfs_mount_configuration_viScript.json";
const MIGRATION: &str = "btrfs_data_migration_viScript.json";
const CREATION: &str = "btrfs_subvolume_creation_viScript.json";
const BOOT: &str = "btrfs_boot_configuration_viScript.json";

/// A batch with the viScripts that it names, as the repository has them.
fn shipped(batch: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |folder: &str, name: &str| Source {
        file: name.to_owned(),
        text: fs::read_to_string(root.join(folder).join(name)).unwrap(),
    };
    let batch = read("batches", batch);
    let parsed = Batch::parse(&batch.file, batch.text.as_bytes()).unwrap();
    let mut sources = vec![batch];
    for name in parsed.phases.iter().flat_map(|phase| &phase.viscripts) {
        if !sources.iter().any(|source| source.file == *name) {
            sources.push(read("viscripts", name));
        }
    }
    sources
}

/// One of them edited.
fn edited(batch: &str, file: &str, from: &str, to: &str) -> Vec<Source> {
    let mut sources = shipped(batch);
    let source = sources.iter_mut().find(|source| source.file == file);
    let source = source.unwrap_or_else(|| panic!("{batch} has no {file}"));
    assert!(source.text.contains(from), "{file} lacks {from}");
    source.text = source.text.replacen(from, to, 1);
    sources
}

fn machine(root: &str) -> Machine {
    Machine {
        filesystem: FilesystemIdentity {
            uuid: "u".into(),
            aliases: vec![],
        },
        old_system: OldSystem {
            root: root.into(),
            entries: vec!["boot".into()],
            nested: vec!["srv/nested".into(), "home/user/odd \u{1b} name".into()],
            ..OldSystem::default()
        },
        other_filesystems: vec![],
        kept: vec![],
        fingerprints: vec![],
        now: 1_702_909_822,
    }
}

/// Why these documents become no plan, if so, without asking `lint`.
fn refused(sources: &[Source]) -> Option<String> {
    let (batch, scripts) = sources.split_first().unwrap();
    let batch = match Batch::parse(&batch.file, batch.text.as_bytes()) {
        Ok(batch) => batch,
        Err(error) => return Some(error.to_string()),
    };
    let mut viscripts = Vec::new();
    for script in scripts {
        match ViScript::parse(&script.file, script.text.as_bytes()) {
            Ok(parsed) => viscripts.push((script.file.clone(), parsed)),
            Err(error) => return Some(error.to_string()),
        }
    }
    let bundle = Bundle {
        batch,
        viscripts,
        sources: vec![],
    };
    ["", "@rootfs"].into_iter().find_map(|root| {
        let resolved = resolve(&bundle, machine(root), After::Reboot);
        resolved.err().map(|error| error.to_string())
    })
}

fn errors(problems: &[Problem]) -> Vec<&Problem> {
    let all = problems.iter();
    all.filter(|problem| problem.severity == Severity::Error)
        .collect()
}

/// `lint` names it in this document, on a line of it, and with these words.
fn assert_named(batch: &str, file: &str, from: &str, to: &str, wanted: &str) {
    let problems = lint(&edited(batch, file, from, to));
    let errors = errors(&problems);
    let said = |problem: &&&Problem| {
        problem.file == file && format!("{}; {}", problem.what, problem.help).contains(wanted)
    };
    let found = errors.iter().find(said);
    let found = found.unwrap_or_else(|| panic!("{to}: {wanted} is missing in {problems:#?}"));
    let place = found.place.as_ref().unwrap();
    assert!(place.line > 1 || place.column > 1, "{to}: {found:#?}");
    assert!(blocks(&problems));
}

#[test]
fn the_shipped_documents_are_not_refused() {
    for batch in [BATCH, SEED] {
        let problems = lint(&shipped(batch));
        assert!(problems.is_empty(), "{problems:#?}");
        assert_eq!(refused(&shipped(batch)), None);
    }
}

#[test]
fn a_place_to_write_that_is_not_rootshifts_is_named() {
    const OUTSIDE: &str = "is not below the staging place";
    let subvolume = "\"{staging}/{main}\"";
    for place in [
        ".",
        "/",
        "",
        "..",
        "@",
        "home",
        "/etc",
        "{main}",
        "{staging}",
        "{staging}/",
        "{staging}/..",
        "{staging}/../..",
        "{staging}/./{main}",
        "{staging}//{main}",
        "{staging}/{main}/..",
        "/{staging}/../../home",
        ".rootshift",
        ".rootshift/journal",
        ".rootshift/newer/{main}",
        "{staging}/.hidden",
    ] {
        assert_named(BATCH, FSTAB, subvolume, &format!("\"{place}\""), OUTSIDE);
    }
    for (file, from, to, wanted) in [
        (
            FSTAB,
            subvolume,
            "\"{staging}/@other\"",
            "@other is no subvolume of the layout at /",
        ),
        (
            FSTAB,
            subvolume,
            "\"{staging}/{main}/etc\"",
            "a path inside a prepared subvolume",
        ),
        (
            FSTAB,
            subvolume,
            "\"{staging}/{nmae}\"",
            "\"{nmae}\" has no value here",
        ),
        (BOOT, subvolume, "\"/\"", OUTSIDE),
        (MIGRATION, "\"{staging}/{name}\"", "\"{name}\"", OUTSIDE),
        (MIGRATION, "\"{staging}/{holder}\"", "\"/\"", OUTSIDE),
        (
            MIGRATION,
            "\"{staging}/{holder}/{path_in_holder}\"",
            "\"home/user/copy\"",
            OUTSIDE,
        ),
        (
            CREATION,
            "\"{staging}/{name}\"",
            "\"home/user/{name}\"",
            OUTSIDE,
        ),
        (
            MIGRATION,
            "\"directory\": \"{old_path}\"",
            "\"directory\": \"/\"",
            "no path inside",
        ),
        (
            MIGRATION,
            "\"directory\": \"{old_path}\"",
            "\"directory\": \"../x\"",
            "no path inside",
        ),
        (
            MIGRATION,
            "\"{old_path}\",\n          \"keep_as\"",
            "\"/..\",\n          \"keep_as\"",
            "no path of the old system",
        ),
        (
            MIGRATION,
            "\"keep_as\": \"{name}\"",
            "\"keep_as\": \"..\"",
            "no name of one entry",
        ),
        (
            MIGRATION,
            "\"keep_as\": \"{name}\"",
            "\"keep_as\": \"a/b\"",
            "no name of one entry",
        ),
        (
            MIGRATION,
            "\"keep_as\": \"{name}\"",
            "\"keep_as\": \"\"",
            "no name of one entry",
        ),
        (
            BOOT,
            "\"to\": \"{name}\"",
            "\"to\": \"home\"",
            "home is no subvolume of the layout",
        ),
        (
            BOOT,
            "\"to\": \"{name}\"",
            "\"to\": \".\"",
            "no name of a subvolume",
        ),
        (
            BOOT,
            "\"to\": \"{name}\"",
            "\"to\": \"{main}\"",
            "can't be placed as @",
        ),
        (
            BOOT,
            "\"{boot_path}\"",
            "\"/home\"",
            "\"/home\" is not /boot",
        ),
        (
            BOOT,
            "\"{boot_path}\"",
            "\"/boot\"",
            "\"/boot\" is not /@rootfs",
        ),
        (
            BOOT,
            "\"{boot_target}\"",
            "\"../etc\"",
            "\"../etc\" is not @/boot",
        ),
        (
            BOOT,
            "\"{boot_kept}\"",
            "\"home\"",
            "\"home\" is not .boot.rootshift",
        ),
        (
            BOOT,
            "\"name\": \"boot-path\",",
            "\"name\": \"boot-path\", \"each\": \"subvolume\",",
            "a step",
        ),
    ] {
        if wanted != "a step" {
            assert_named(BATCH, file, from, to, wanted);
        }
    }
}

#[test]
fn a_recovery_and_a_backup_are_held_to_the_same() {
    let fstab = "\"name\": \"fstab\",";
    for (step, wanted) in [
        (
            "{\"clear-staging\": {\"path\": \"home\"}}",
            "is not below the staging place",
        ),
        (
            "{\"clear-staging\": {\"path\": \"{staging}\"}}",
            "is not below the staging place",
        ),
        (
            "{\"write-fstab\": {\"subvolume\": \"/\"}}",
            "is not below the staging place",
        ),
        (
            "{\"back-up-file\": {\"subvolume\": \"{staging}/{main}\", \"file\": \"/etc/shadow\", \
             \"backup\": \"/home/user/shadow\", \"old_path\": \"/etc/shadow\"}}",
            "/home/user/shadow is not in the same directory as /etc/shadow",
        ),
        (
            "{\"back-up-file\": {\"subvolume\": \"{staging}/{main}\", \"file\": \"/etc/shadow\", \
             \"backup\": \"/etc/shadow\", \"old_path\": \"/etc/shadow\"}}",
            "/etc/shadow is not in the same directory as /etc/shadow, beside it",
        ),
        (
            "{\"back-up-file\": {\"subvolume\": \"{staging}/{main}\", \"file\": \"/etc/../x\", \
             \"backup\": \"/etc/b\", \"old_path\": \"/x\"}}",
            "no path inside a subvolume",
        ),
    ] {
        let with = format!("{fstab} \"on_failure\": [{step}],");
        assert_named(BATCH, FSTAB, fstab, &with, wanted);
    }
}

#[test]
fn a_layout_that_no_system_could_live_with_is_named() {
    let home = "\"mount_point\": \"/home\"";
    for (place, wanted) in [
        ("//", "is no mount point"),
        ("/home/", "is no mount point"),
        ("/home/../etc", "is no mount point"),
        ("home", "is no mount point"),
        ("/ho me", "is no mount point"),
        ("/ho,me", "is no mount point"),
        ("/", "a second subvolume mounted at \"/\""),
        ("/boot", "/boot can't be split off"),
        ("/boot/efi", "/boot/efi can't be split off"),
        ("/etc", "/etc can't be split off"),
        ("/usr", "/usr can't be split off"),
        ("/usr/lib", "/usr/lib can't be split off"),
        ("/bin", "/bin can't be split off"),
        ("/dev", "/dev can't be split off"),
        ("/proc/x", "/proc/x can't be split off"),
        ("/run", "/run can't be split off"),
        ("/sys", "/sys can't be split off"),
    ] {
        let to = format!("\"mount_point\": \"{place}\"");
        assert_named(BATCH, BATCH, home, &to, wanted);
    }
    for name in [
        ".",
        "..",
        ".rootshift",
        ".rootshift-trash",
        "a/b",
        "a,b",
        "a b",
        "",
        "-x",
        "@home.rolled-back-1",
        &"x".repeat(300),
    ] {
        let to = format!("\"name\": \"{name}\"");
        assert_named(
            BATCH,
            BATCH,
            "\"name\": \"@home\"",
            &to,
            "can't be a subvolume's name",
        );
    }
    let newline = "\"name\": \"a\\nb\"";
    let name = "\"name\": \"@home\"";
    assert_named(BATCH, BATCH, name, newline, "the control character");
    for option in [
        "noatme",
        "errors=remount-ro",
        "subvol=/",
        "degraded",
        "bind",
        "noauto",
        "",
    ] {
        let to = format!("{home}, \"options\": [\"{option}\"]");
        assert_named(BATCH, BATCH, home, &to, "mount");
    }
}

#[test]
fn steps_in_each_others_way_and_what_is_left_out_are_named() {
    let vacate = "\"name\": \"vacate\"";
    assert_named(
        BATCH,
        MIGRATION,
        vacate,
        "\"name\": \"promote\"",
        "a second step is named",
    );
    let twice = format!("\"{BOOT}\", \"{BOOT}\"");
    let boot = format!("\"{BOOT}\"");
    assert_named(BATCH, BATCH, &boot, &twice, "the second would never run");
    let kept = "\"keep_as\": \"{name}\"";
    let problems = lint(&edited(BATCH, MIGRATION, kept, "\"keep_as\": \"kept\""));
    let said = errors(&problems);
    assert!(
        said[0]
            .what
            .contains("a second directory is kept as \"kept\""),
        "{said:#?}"
    );
    let place = "\"each\": \"subvolume\",\n      \"do\": {\n        \"place-subvolume\"";
    let only = "\"each\": \"split-off\",\n      \"do\": {\n        \"place-subvolume\"";
    let problems = lint(&edited(BATCH, BOOT, place, only));
    let said = errors(&problems);
    assert!(
        said.iter()
            .any(|one| one.what.contains("no step places @ ")),
        "{said:#?}"
    );
}

/// Harmless: names that differ in case only are two names to btrfs, and places of the administrator's
/// own can be split off.
#[test]
fn what_is_only_unusual_is_taken() {
    for to in [
        "\"name\": \"@Home\"",
        "\"name\": \"home\"",
        "\"name\": \"@HOME_2\"",
    ] {
        let sources = edited(BATCH, BATCH, "\"name\": \"@home\"", to);
        assert!(!blocks(&lint(&sources)), "{to}: {:#?}", lint(&sources));
        assert_eq!(refused(&sources), None, "{to}");
    }
    let sources = edited(BATCH, BATCH, "\"/home\"", "\"/usr/local\"");
    assert!(!blocks(&lint(&sources)));
}

/// Every string in a document, as a JSON pointer.
fn strings(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::String(_) => found.push(at.to_owned()),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                strings(item, &format!("{at}/{index}"), found);
            }
        }
        Value::Object(fields) => {
            for (key, field) in fields {
                strings(field, &format!("{at}/{key}"), found);
            }
        }
        _ => {}
    }
}

/// What resolving refuses, on whichever machine, `lint` calls an error: so `arm`, which asks it, never
/// comes as far.
#[test]
fn whatever_is_refused_lint_has_known() {
    const HOSTILE: [&str; 14] = [
        "",
        ".",
        "/",
        "..",
        "home",
        "@home",
        "/home",
        "{staging}",
        "{staging}/{main}",
        "{staging}/@home",
        "{staging}/{name}",
        "{name}",
        "{nmae}",
        "btrfs_data_migration_viScript.json",
    ];
    let (mut tried, mut refusals, mut lints) = (0, 0, 0);
    let shipped = shipped(BATCH);
    for (index, source) in shipped.iter().enumerate() {
        let tree: Value = serde_json::from_str(&source.text).unwrap();
        let mut places = Vec::new();
        strings(&tree, "", &mut places);
        let matters = |place: &&String| {
            [
                "/steps",
                "/layout",
                "/phases",
                "/prerequisites",
                "/type",
                "/risk_level",
            ]
            .iter()
            .any(|part| place.contains(part))
        };
        for (number, place) in places.iter().filter(matters).enumerate() {
            for (kind, hostile) in HOSTILE.iter().enumerate() {
                // Every third, another one for each place.
                if (number + kind) % 3 != 0 {
                    continue;
                }
                let mut tree = tree.clone();
                *tree.pointer_mut(place).unwrap() = Value::from(*hostile);
                let mut sources = shipped.clone();
                sources[index].text = tree.to_string();
                let (refused, known) = (refused(&sources), blocks(&lint(&sources)));
                // A viScript that is not there is a warning to `lint`, which may be given a part.
                let refused = refused.filter(|why| !why.ends_with("was not loaded"));
                tried += 1;
                refusals += usize::from(refused.is_some());
                lints += usize::from(known);
                if let Some(why) = refused {
                    assert!(known, "{}{place} = \"{hostile}\": only {why}", source.file);
                }
            }
        }
    }
    println!("{tried} documents, {refusals} refused, {lints} lint errors");
    assert!(
        tried > 300 && refusals > 100 && refusals < tried,
        "{tried} {refusals} {lints}"
    );
}

/// Every one passes the fence, for it writes below the staging place only; and what it empties, or
/// leaves behind, is what `finalize` deletes.
#[test]
fn what_would_not_bring_every_file_over_is_named() {
    let promote = "\"directory\": \"{old_path}\"";
    let vacate = "\"directory\": \"/{path_in_holder}\",\n          \"old_path\": \"{old_path}\"";
    let from_root = "\"from\": \"/\"";
    for (file, from, to, wanted) in [
        (
            MIGRATION,
            vacate,
            "\"directory\": \"/srv\",\n          \"old_path\": \"/srv\"",
            "nothing of the layout is mounted at /srv of @",
        ),
        (
            MIGRATION,
            vacate,
            "\"directory\": \"/{path_in_holder}\",\n          \"old_path\": \"/etc\"",
            "nothing of the layout is mounted at /home of @, whose old path is /etc",
        ),
        (
            MIGRATION,
            "\"{staging}/{holder}\",\n          \"directory\"",
            "\"{staging}/{name}\",\n          \"directory\"",
            "nothing of the layout is mounted at /home of @home",
        ),
        (
            MIGRATION,
            promote,
            "\"directory\": \"/home/alice\"",
            "/home/alice is not what @home of the layout is for, which is /home",
        ),
        (
            MIGRATION,
            "\"subvolume\": \"{staging}/{name}\"",
            "\"subvolume\": \"{staging}/{main}\"",
            "@ holds all that no other subvolume does",
        ),
        (
            CREATION,
            from_root,
            "\"from\": \"/srv/nested\"",
            "write \"from\": \"/\"",
        ),
        (
            FSTAB,
            "\"{staging}/{main}\"",
            "\"{staging}/@home\"",
            "@home is not the subvolume of the root, which is @",
        ),
        (
            MIGRATION,
            "\"promote-directory\": {\n          \"subvolume\": \"{staging}/{name}\",\n          \
             \"directory\": \"{old_path}\"\n        }",
            "\"clear-staging\": {\"path\": \"{staging}/{main}/srv\"}",
            "it is for \"on_failure\" of the snapshot that is to be there",
        ),
        (
            CREATION,
            "\"path\": \"{staging}/{name}\"",
            "\"path\": \"{staging}/{name}/srv\"",
            "it is for \"on_failure\" of the snapshot that is to be there",
        ),
    ] {
        assert_named(BATCH, file, from, to, wanted);
        assert!(refused(&edited(BATCH, file, from, to)).is_some(), "{to}");
    }
}

/// The shipped documents without one of their steps.
fn without(file: &str, step: &str) -> Vec<Source> {
    let mut sources = shipped(BATCH);
    let source = sources.iter_mut().find(|source| source.file == file);
    let source = source.unwrap();
    let mut tree: Value = serde_json::from_str(&source.text).unwrap();
    let steps = tree["steps"].as_array_mut().unwrap();
    let all = steps.len();
    steps.retain(|known| known["name"] != step);
    assert_eq!(steps.len(), all - 1, "{step}");
    source.text = tree.to_string();
    sources
}

#[test]
fn what_is_left_out_of_carrying_everything_over_is_named() {
    let only = "\"each\": \"split-off\"";
    let some = edited(BATCH, CREATION, "\"each\": \"subvolume\"", only);
    for (sources, wanted) in [
        (some, "no step makes @ (snapshot from \"/\")"),
        (
            without(MIGRATION, "promote"),
            "no step gives @home the content of /home (promote-directory)",
        ),
        (
            without(MIGRATION, "vacate"),
            "no step empties /home in @ (vacate-directory)",
        ),
        (
            without(MIGRATION, "carry-over"),
            "no step carries over the nested subvolume /srv/",
        ),
    ] {
        let problems = lint(&sources);
        let said = errors(&problems);
        let found = said.iter().any(|one| one.what.contains(wanted));
        assert!(found, "{wanted}: {said:#?}");
        let refused = refused(&sources).unwrap_or_else(|| panic!("{wanted}: a plan"));
        assert!(refused.contains(&wanted[..20]), "{wanted}: {refused}");
    }
}
