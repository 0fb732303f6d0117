use std::path::Path;

use super::{put_back, restorables};
use crate::documents::batch::RollbackConfiguration;
use crate::sys::{Root, Time, attributes};

fn configuration(command: &str) -> RollbackConfiguration {
    let pair = |value: &str| [("it".to_owned(), value.to_owned())].into();
    RollbackConfiguration {
        enabled: true,
        backup_locations: pair("/etc/file.backup.*"),
        restore_commands: pair(command),
    }
}

fn write(root: &Root, path: &str, text: &str, seconds: i64) {
    let path = Path::new(path);
    root.create_directories(path.parent().unwrap(), 0o755)
        .unwrap();
    root.write_new_file(path, text.as_bytes(), 0o640).unwrap();
    let time = Time {
        seconds,
        nanoseconds: 7,
    };
    attributes::set_times(root, path, time, time).unwrap();
}

#[test]
fn the_newest_backup_comes_first_and_other_names_do_not_come() {
    let folder = tempfile::tempdir().unwrap();
    let system = Root::open(folder.path()).unwrap();
    let configuration = configuration("cp {backup} /etc/file");
    let found = |system| {
        restorables(system, &configuration).unwrap()[0]
            .backups
            .clone()
    };
    assert_eq!(found(&system), [""; 0], "no directory, no backups");
    for (name, seconds) in [
        ("file.backup.old", 100),
        ("file.backup.20231218_143022", 300),
        ("file.backup.20231218_143023", 300),
        ("file", 400),
        ("file.backup.", 400),
        ("other.backup.1", 400),
    ] {
        write(&system, &format!("etc/{name}"), name, seconds);
    }
    system
        .create_directory(Path::new("etc/file.backup.directory"), 0o755)
        .unwrap();
    system
        .symlink(Path::new("file"), Path::new("etc/file.backup.link"))
        .unwrap();
    let wanted = ["20231218_143023", "20231218_143022", "old"];
    assert_eq!(
        found(&system),
        wanted.map(|end| format!("/etc/file.backup.{end}"))
    );
}

#[test]
fn a_file_comes_back_with_its_own_mode_or_with_the_backups() {
    for (command, mode, seconds) in [
        ("cp {backup} /etc/file", 0o644, None),
        ("cp -a {backup} /etc/file", 0o640, Some(100)),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let system = Root::open(folder.path()).unwrap();
        write(&system, "etc/file.backup.1", "old", 100);
        system
            .write_new_file(Path::new("etc/file"), b"new", 0o644)
            .unwrap();
        let known = restorables(&system, &configuration(command)).unwrap();
        put_back(&system, &known[0].restore, &known[0].backups[0]).unwrap();
        let file = Path::new("etc/file");
        let status = system.status(file).unwrap().unwrap();
        assert_eq!(system.read(file).unwrap(), b"old");
        assert_eq!(status.mode, mode, "{command}");
        let kept = seconds.is_none_or(|seconds| status.modified.seconds == seconds);
        assert!(kept, "{command}: {:?}", status.modified);
        assert_eq!(
            system.list(Path::new("etc")).unwrap(),
            ["file", "file.backup.1"]
        );
    }
}
