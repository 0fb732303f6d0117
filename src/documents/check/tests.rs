use super::kinds::KINDS;
use super::{CheckSpec, Names, SpaceParameters, Words};
use crate::documents::{ViScript, parse};

fn refusal(check: &str) -> String {
    let text = format!(
        "{{\"viScript_name\": \"x\", \"version\": \"1\", \"description\": \"x\", \
         \"type\": \"validation\", \"risk_level\": \"low\", \
         \"checks\": [{{\"name\": \"n\", \"check\": {check}}}]}}"
    );
    ViScript::parse("x.json", text.as_bytes())
        .map_or_else(|error| error.to_string(), |_| "taken".into())
}

#[test]
fn a_check_that_asks_for_nothing_would_always_pass() {
    for check in [
        r#"{"commands": {"names": []}}"#,
        r#"{"ports": {"names": []}}"#,
        r#"{"packages": {"names": [], "absent": true}}"#,
        r#"{"kernel-command-line": {}}"#,
        r#"{"kernel-command-line": {"contains": []}}"#,
        r#"{"initramfs": {"contains": [], "lacks": []}}"#,
        r#"{"grub-entry": {}}"#,
        r#"{"kernel-command-line": {"contains": [""]}}"#,
        r#"{"file": {"path": "/etc/fstab"}}"#,
        r#"{"file": {"path": "/etc/fstab", "contains": []}}"#,
        r#"{"file": {"path": "/etc/fstab", "contains": [""]}}"#,
        r#"{"filesystem": {"at": "/"}}"#,
        r#"{"property": {"path": "/"}}"#,
        r#"{"free-space": {"at": "/"}}"#,
        r#"{"command-output": {"argv": []}}"#,
        r#"{"command-output": {"argv": [""]}}"#,
    ] {
        let refused = refusal(check);
        assert!(refused.contains("checks[0].check"), "{check}: {refused}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (check, part) in [
        (r#"{"ports": {"names": ["22"]}}"#, "write it as \"tcp:22\""),
        (r#"{"ports": {"names": ["tcp:70000"]}}"#, "is no port"),
        (r#"{"ports": {"names": ["tcp:+22"]}}"#, "is no port"),
        (r#"{"users": {"names": ["a b"]}}"#, "\"a b\" is no name"),
        (r#"{"mount": {"at": "data"}}"#, "is no absolute path"),
        (
            r#"{"file": {"path": "x", "exists": true}}"#,
            "is no absolute path",
        ),
        (
            r#"{"file": {"path": "/x", "exists": false, "mode": "0644"}}"#,
            "has no attributes",
        ),
        (r#"{"file": {"path": "/x", "mode": "0999"}}"#, "is no mode"),
        (r#"{"file": {"path": "/x", "mode": "+644"}}"#, "is no mode"),
        (
            r#"{"property": {"path": "", "read_only": true}}"#,
            "path is empty",
        ),
        (
            r#"{"device-statistics": {"minimum": "1"}}"#,
            "unknown field `minimum`",
        ),
        (
            r#"{"memory": {"minimum": "1", "at": "/"}}"#,
            "unknown field `at`",
        ),
        (
            r#"{"initramfs": {"contains": ["x"], "title": "x"}}"#,
            "menu entry",
        ),
        (r#"{"service": {"unit": "--help.service"}}"#, "is no unit"),
        (r#"{"service": {"unit": "docker"}}"#, "is no unit"),
        (
            r#"{"kernel-parameter": {"name": "../../x", "value": "1"}}"#,
            "is no parameter",
        ),
        (
            r#"{"kernel-parameter": {"name": "vm.swappiness", "value": " "}}"#,
            "value is empty",
        ),
        (
            r#"{"command-output": {"argv": ["x"], "timeout_seconds": 0}}"#,
            "from 1 to 3600",
        ),
    ] {
        let refused = refusal(check);
        assert!(refused.contains(part), "{check}: {refused}");
    }
}

#[test]
fn a_mistake_in_a_check_is_shown_with_its_place_and_the_nearest_name() {
    for (check, part) in [
        (r#"{"mounts": {}}"#, "unknown variant `mounts`"),
        (r#"{"mounts": {}}"#, "did you mean `mount`?"),
        (
            r#"{"mount": {"att": "/"}}"#,
            "check.mount.att: unknown field `att`",
        ),
        (r#"{"mount": {"att": "/"}}"#, "did you mean `at`?"),
        (r#"{"mount": {}}"#, "missing field `at`"),
        (r#"{"mount": {"at": "/", "at": "/"}}"#, "duplicate key `at`"),
        (
            r#"{"mount": {"at": 3}}"#,
            "check.mount.at: invalid type: integer",
        ),
        (r#"{"mount": {"at": null}}"#, "invalid type: null"),
        (r#"{"mount": ["/"]}"#, "invalid type: sequence"),
        (r#"{"free-space": {"minimum": "4 apples"}}"#, "is no size"),
        (
            r#"{"free-space": {"minimum": -1}}"#,
            "invalid type: integer",
        ),
        (r#"{"flat-btrfs-root": {"x": 1}}"#, "unknown field `x`"),
        (
            r#"{"flat-btrfs-root": {}, "network": {}}"#,
            "a check has one key",
        ),
        (r#"{}"#, "a check has one key"),
        (r#""network""#, "invalid type: string"),
        (
            r#"{"file": {"path": "/x", "type": "folder"}}"#,
            "unknown variant `folder`",
        ),
    ] {
        let refused = refusal(check);
        assert!(refused.contains(part), "{check}: {refused}");
    }
}

#[test]
fn every_kind_is_written_as_it_is_read() {
    for kind in KINDS {
        let text = match *kind {
            "mount" | "filesystem" | "fstab-entry" => {
                r#"{"at":"/","source":"x","options":["a"],"as_in_layout":true,"optional":true}"#
            }
            "subvolume" | "property" => {
                r#"{"path":"/x","read_only":false,"compression":"none","no_copy_on_write":true}"#
            }
            "file" => {
                r#"{"path":"/","exists":true,"type":"block-device","mode":"0","minimum_size":"1KiB"}"#
            }
            "grub-entry" | "kernel-command-line" | "initramfs" => {
                r#"{"contains":["a"],"lacks":["b"],"title":"c"}"#
            }
            "free-space" => r#"{"at":"/","minimum":"1GiB","metadata":"512","optional":true}"#,
            "device-statistics" => r#"{"at":"/","optional":true}"#,
            "memory" => r#"{"minimum":"512MiB"}"#,
            "service" => r#"{"unit":"x.service","active":false,"enabled":true}"#,
            "socket" => r#"{"path":"/x","unit":"x.service"}"#,
            "kernel-parameter" => r#"{"name":"a.b","value":"1"}"#,
            "command-output" => r#"{"argv":["a","b"],"timeout_seconds":3,"status":1}"#,
            "commands" | "kernel-filesystems" | "ports" | "processes" | "users" | "groups"
            | "packages" => r#"{"names":["a"],"absent":true}"#,
            _ => "{}",
        };
        let text = format!("{{\"{kind}\":{text}}}");
        let check: CheckSpec = parse::document("x", text.as_bytes()).unwrap();
        assert_eq!(check.kind(), *kind);
        assert_eq!(serde_json::to_string(&check).unwrap(), text);
    }
}

#[test]
fn what_is_not_asked_is_not_written() {
    let written = |check: CheckSpec| serde_json::to_string(&check).unwrap();
    assert_eq!(
        written(CheckSpec::FreeSpace(SpaceParameters::default())),
        r#"{"free-space":{}}"#
    );
    assert_eq!(
        written(CheckSpec::Commands(Names::all(&["a".into()]))),
        r#"{"commands":{"names":["a"]}}"#
    );
    assert_eq!(
        written(CheckSpec::GrubEntry(Words::default())),
        r#"{"grub-entry":{}}"#
    );
}
