use super::{Problem, Severity, Source, lint};

fn repository(folder: &str) -> Vec<Source> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut sources: Vec<Source> = std::fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| Source {
            file: entry.file_name().to_string_lossy().into_owned(),
            text: std::fs::read_to_string(entry.path()).unwrap(),
        })
        .collect();
    sources.sort_by(|a, b| a.file.cmp(&b.file));
    sources
}

fn shipped() -> Vec<Source> {
    let mut sources = repository("batches");
    sources.extend(repository("viscripts"));
    sources
}

/// The shipped documents with one of them edited.
fn edited(file: &str, from: &str, to: &str) -> Vec<Problem> {
    let mut sources = shipped();
    let source = sources
        .iter_mut()
        .find(|source| source.file == file)
        .unwrap();
    assert!(source.text.contains(from), "{from}");
    source.text = source.text.replacen(from, to, 1);
    lint(&sources)
}

fn only(problems: &[Problem], file: &str) -> Problem {
    let mut found = problems.iter().filter(|problem| problem.file == file);
    let one = found
        .next()
        .unwrap_or_else(|| panic!("nothing in {file}: {problems:#?}"))
        .clone();
    assert_eq!(found.next(), None);
    one
}

#[test]
fn the_shipped_documents_are_clean() {
    let problems = lint(&shipped());
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn an_understated_risk_is_shown_where_it_stands() {
    let file = "btrfs_boot_configuration_viScript.json";
    let problem = only(
        &edited(file, "\"risk_level\": \"high\"", "\"risk_level\": \"low\""),
        file,
    );
    assert_eq!(
        problem.render(),
        "error: this viScript calls itself low, but its step \"boot-path\" (switch-boot-path) is \
         high\n --> btrfs_boot_configuration_viScript.json:7:17\n  |\n7 |   \"risk_level\": \"low\",\n\
         \x20 |                 ^^^^^\n  = help: write \"high\""
    );
}

#[test]
fn an_incomplete_list_of_prerequisites_is_found() {
    let file = "system_validation_viScript.json";
    let problem = only(&edited(file, "\"lsinitramfs\"", "\"ls\""), file);
    assert!(
        problem.what.contains("required_commands is incomplete"),
        "{}",
        problem.what
    );
    assert_eq!(
        problem.help,
        "add \"lsinitramfs\" to prerequisites.required_commands"
    );
    let file = "btrfs_subvolume_creation_viScript.json";
    let problem = only(&edited(file, "\"btrfs\"", "\"ext4\""), file);
    assert!(
        problem.what.contains("required_filesystems is incomplete"),
        "{}",
        problem.what
    );
}

#[test]
fn a_need_that_is_not_declared_is_found_in_each_batch() {
    let problems = edited(
        "btrfs_data_migration_viScript.json",
        "\"btrfs_subvolume_creation_viScript.json\"",
        "",
    );
    for file in ["flat-to-subvolumes.json", "ubuntu_btrfs_installation.json"] {
        let problem = only(&problems, file);
        assert!(
            problem.what.contains("needs what btrfs_subvolume_creation"),
            "{}",
            problem.what
        );
    }
}

#[test]
fn what_only_a_running_system_has_is_not_looked_for_in_the_initramfs() {
    let file = "btrfs_pre_reboot_validation_viScript.json";
    let problem = only(&edited(file, "\"boot-chain\": {}", "\"network\": {}"), file);
    assert_eq!(
        problem.what,
        "the check \"the boot chain is whole\" (network) looks at what only a running system has, \
         and this viScript runs in the initramfs"
    );
}

#[test]
fn a_mount_point_that_the_layout_lacks_is_found() {
    let problems = edited(
        "btrfs_root_viScript.json",
        "\"required_mounts\": []",
        "\"required_mounts\": [\"/var/log\"]",
    );
    assert!(
        !problems
            .iter()
            .any(|problem| problem.file == "flat-to-subvolumes.json")
    );
    let problem = only(&problems, "ubuntu_btrfs_installation.json");
    assert!(
        problem.what.contains("/var/log, which the layout lacks"),
        "{}",
        problem.what
    );
}

#[test]
fn everything_is_reported_at_once() {
    let mut sources = shipped();
    for source in &mut sources {
        source.text = source
            .text
            .replace("\"risk_level\": \"high\"", "\"risk_level\": \"low\"");
        source.text = source
            .text
            .replace("\"batch_name\"", "\"batch_name\": 1, \"x\"");
    }
    let errors = lint(&sources);
    let errors = errors
        .iter()
        .filter(|problem| problem.severity == Severity::Error);
    assert_eq!(errors.count(), 4, "two batches and two viScripts");
}

#[test]
fn a_missing_viscript_is_a_warning() {
    let mut sources = shipped();
    sources.retain(|source| source.file != "docker_viScript.json");
    let problem = only(&lint(&sources), "ubuntu_btrfs_installation.json");
    assert_eq!(problem.severity, Severity::Warning);
}

/// `flat-to-subvolumes` with this origin of its root.
fn with_origin(origin: &str, more: &[(&str, &str)]) -> Vec<Problem> {
    let mut sources = shipped();
    sources.retain(|source| source.file != "ubuntu_btrfs_installation.json");
    let mut batch = sources.remove(0);
    assert_eq!(batch.file, "flat-to-subvolumes.json");
    let from = format!("\"mounted_at\": \"/\",\n        \"from\": {origin},");
    for (from, to) in [("\"mounted_at\": \"/\",", from.as_str())]
        .iter()
        .chain(more)
    {
        assert!(batch.text.contains(from), "{from}");
        batch.text = batch.text.replacen(from, to, 1);
    }
    sources.push(batch);
    lint(&sources)
}

const UUID: &str = "UUID=5a1f3c0e-9d2b-4c7e-8f60-0123456789ab";

fn convert() -> String {
    format!("{{\"convert\": {{\"filesystem\": \"{UUID}\"}}}}")
}

const REQUIRED: [(&str, &str); 2] = [
    ("\"btrfs\"", "\"btrfs\", \"ext4\""),
    ("\"lsinitramfs\"", "\"lsinitramfs\", \"btrfs-convert\""),
];

#[test]
fn a_conversion_needs_what_it_takes() {
    let said = |problems: &[Problem]| {
        let all = problems.iter().map(|problem| problem.what.clone());
        all.collect::<Vec<_>>()
    };
    let problems = with_origin(&convert(), &[]);
    let lacks = "is incomplete: \"convert\" in the layout needs";
    assert_eq!(
        said(&problems),
        [
            format!("required_commands {lacks} \"btrfs-convert\""),
            format!("required_filesystems {lacks} \"ext4\""),
            "/ is converted in its place, which is critical, and no free space is asked for".into(),
        ]
    );
    let places = problems
        .iter()
        .map(|problem| problem.place.clone().unwrap().text);
    let places: Vec<String> = places.map(|line| line.trim().to_owned()).collect();
    assert!(
        places[0].starts_with("\"required_commands\": ["),
        "{places:?}"
    );
    assert!(
        places[1].starts_with("\"required_filesystems\": ["),
        "{places:?}"
    );
    assert!(places[2].starts_with("\"from\": {"), "{places:?}");
    let space = (
        "\"min_memory\"",
        "\"min_disk_space\": \"1GB\", \"min_memory\"",
    );
    let more = [&REQUIRED[..], &[space]].concat();
    assert_eq!(with_origin(&convert(), &more), []);
    let copy = format!("{{\"copy\": {{\"filesystem\": \"{UUID}\", \"target\": \"/dev/sdb1\"}}}}");
    assert_eq!(
        with_origin(&copy, &REQUIRED[..1]),
        [],
        "nothing is at stake there"
    );
}

#[test]
fn what_is_critical_contradicts_going_on_regardless() {
    let bold = [
        (
            "\"min_memory\"",
            "\"min_disk_space\": \"1GB\", \"min_memory\"",
        ),
        ("\"rollback_enabled\": true", "\"rollback_enabled\": false"),
        (
            "\"failure_handling\": \"rollback\"",
            "\"failure_handling\": \"continue\"",
        ),
    ];
    let problems = with_origin(&convert(), &[&REQUIRED[..], &bold].concat());
    let help: Vec<&str> = problems
        .iter()
        .map(|problem| problem.help.as_str())
        .collect();
    assert_eq!(
        help,
        ["write true", "write \"rollback\" or \"stop_on_critical\""]
    );
    assert!(
        problems[0]
            .render()
            .contains("| \"rollback_enabled\": false")
            || problems[0]
                .render()
                .contains("\"rollback_enabled\": false,\n")
    );
}

#[test]
fn an_origin_that_makes_no_sense_is_shown_with_its_line() {
    let copy = |target: &str| {
        format!("{{\"copy\": {{\"filesystem\": \"{UUID}\", \"target\": \"{target}\"}}}}")
    };
    for (origin, part) in [
        (copy(UUID), "copied onto itself"),
        (copy("sdb1"), "\"sdb1\" names no file system: write UUID="),
        (convert().replace("UUID=", ""), "names no file system"),
        (
            convert().replace("convert", "convret"),
            "did you mean `convert`?",
        ),
        (
            convert().replace("filesystem", "filesystm"),
            "did you mean `filesystem`?",
        ),
        (
            convert().replace("{\"filesystem", "{\"target\": \"/dev/sdb\", \"filesystem"),
            "unknown field `target`",
        ),
        ("{}".into(), "from: "),
        ("\"convert\"".into(), "from: "),
    ] {
        let problem = only(&with_origin(&origin, &[]), "flat-to-subvolumes.json");
        let rendered = problem.render();
        assert!(rendered.contains(part), "{rendered}");
        let line = problem.place.map(|place| place.text).unwrap_or_default();
        assert!(
            line.contains("\"from\": ") || line.contains(&origin),
            "{rendered}"
        );
    }
}

#[test]
fn a_typo_is_shown_with_its_line() {
    let file = "docker_viScript.json";
    let problem = only(&edited(file, "\"description\"", "\"descriptoin\""), file);
    assert!(
        problem.what.contains("did you mean `description`"),
        "{}",
        problem.what
    );
    assert!(
        problem.render().contains("5 |   \"descriptoin\""),
        "{}",
        problem.render()
    );
}
