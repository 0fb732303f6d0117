use std::io::{Read, Write};
use std::os::unix::net::{UnixDatagram, UnixListener};

use super::Sample;

#[test]
fn units() {
    let sample = Sample::with(&[
        ("usr/lib/systemd/system/docker.service", ""),
        ("usr/lib/systemd/system/getty@.service", ""),
    ]);
    let check = |asked: &str| format!(r#"{{"service": {{{asked}}}}}"#);
    let docker = r#""unit": "docker.service", "active": true, "enabled": true"#;
    sample.says(&check(r#""unit": "docker.service""#), "pass");
    sample.says(&check(r#""unit": "getty@tty1.service""#), "pass");
    sample.says(
        &check(r#""unit": "x.service""#),
        "FAIL x.service is not installed",
    );
    sample.says(
        &check(r#""unit": "x.service", "active": true, "optional": true"#),
        "skip x.service is not installed",
    );
    sample.says(&check(docker), "unknown systemctl is not installed");
    sample.program(
        "systemctl",
        "echo ActiveState=active; echo UnitFileState=static",
    );
    sample.says(&check(docker), "pass");
    sample.says(
        &check(r#""unit": "docker.service", "active": false"#),
        "FAIL docker.service is active",
    );
    sample.program(
        "systemctl",
        "echo ActiveState=failed; echo UnitFileState=disabled",
    );
    sample.says(&check(docker), "FAIL docker.service is failed");
    sample.says(
        &check(r#""unit": "docker.service", "enabled": true"#),
        "FAIL docker.service is disabled",
    );
    sample.says(
        &check(r#""unit": "docker.service", "enabled": false"#),
        "pass",
    );
    sample.program("systemctl", "echo no bus >&2; exit 1");
    sample.says(&check(docker), "unknown systemctl failed: no bus");
    sample.program("systemctl", "exit 0");
    sample.says(
        &check(docker),
        "unknown systemctl does not tell ActiveState",
    );
}

#[test]
fn failed_units() {
    let sample = Sample::new();
    sample.says(r#"{"no-failed-units": {}}"#, "unknown");
    sample.program("systemctl", "exit 0");
    sample.says(r#"{"no-failed-units": {}}"#, "pass");
    sample.program("systemctl", "echo 'a.service loaded failed failed A'");
    sample.says(r#"{"no-failed-units": {}}"#, "FAIL failed units: a.service");
}

#[test]
fn sockets() {
    let sample = Sample::with(&[("run/plain", "")]);
    let path = sample.folder.path().join("run/answers.sock");
    let _listener = UnixListener::bind(&path).unwrap();
    let check = |asked: &str| format!(r#"{{"socket": {{{asked}}}}}"#);
    sample.says(&check(r#""path": "/run/answers.sock""#), "pass");
    sample.says(
        &check(r#""path": "/run/none.sock""#),
        "FAIL /run/none.sock does not answer",
    );
    sample.says(&check(r#""path": "/run/plain""#), "FAIL");
    sample.says(
        &check(r#""path": "/run/none.sock", "unit": "x.service""#),
        "skip x.service is not installed",
    );
    // What a daemon leaves that was killed. Not the one of above: a child that a test beside this
    // one has just forked may still hold it open.
    drop(UnixDatagram::bind(sample.folder.path().join("run/left.sock")).unwrap());
    sample.says(
        &check(r#""path": "/run/left.sock""#),
        "FAIL /run/left.sock does not answer",
    );
}

#[test]
fn what_programs_say() {
    let sample = Sample::new();
    sample.program("tool", "echo \"$1\"; echo oh >&2; exit \"$2\"");
    let check = |asked: &str| format!(r#"{{"command-output": {{{asked}}}}}"#);
    for asked in [
        r#""argv": ["tool", "hello", "0"]"#,
        r#""argv": ["tool", "hello", "7"], "status": 7"#,
        r#""argv": ["/usr/bin/tool", "$(id); *", "0"], "contains": ["$(id); *"]"#,
        r#""argv": ["tool", "hello", "0"], "lacks": ["oh"]"#,
    ] {
        sample.says(&check(asked), "pass");
    }
    for (asked, found) in [
        (
            r#""argv": ["tool", "hello", "7"]"#,
            "FAIL `tool hello 7` ended with 7, not 0: oh",
        ),
        (
            r#""argv": ["tool", "a", "0"], "contains": ["b"]"#,
            "does not say \"b\"",
        ),
        (
            r#""argv": ["tool", "a", "0"], "lacks": ["a"]"#,
            "says \"a\"",
        ),
        (r#""argv": ["none"]"#, "unknown none is not installed"),
    ] {
        sample.says(&check(asked), found);
    }
    sample.program("slow", "sleep 60");
    let start = std::time::Instant::now();
    sample.says(
        &check(r#""argv": ["slow"], "timeout_seconds": 1"#),
        "unknown slow: was still running after 1 s: killed",
    );
    assert!(start.elapsed().as_secs() < 30);
}

/// A daemon that gives one answer.
fn docker(sample: &Sample, answer: &str) -> std::thread::JoinHandle<String> {
    sample.write("run/x", "");
    let path = sample.folder.path().join("run/docker.sock");
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(path).unwrap();
    let answer = answer.to_owned();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = vec![0; 1024];
        let length = stream.read(&mut request).unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    })
}

const CHECK: &str = r#"{"docker-storage": {}}"#;

fn info(driver: &str, place: &str) -> String {
    format!(
        "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n\
         {{\"ID\": \"x\", \"Driver\": \"{driver}\", \"DockerRootDir\": \"{place}\", \"N\": [1]}}\n"
    )
}

#[test]
fn docker_keeps_its_data_where_the_layout_wants_it() {
    let mut sample = Sample::with(&[("var/lib/docker/x", ""), ("data/docker/x", "")]);
    sample.mount("900000001 1 0:30 /@ / rw - btrfs /dev/sda2 rw,subvol=/@\n");
    sample.says(CHECK, "skip Docker is not installed");
    let asked = docker(&sample, &info("overlay2", "/var/lib/docker"));
    sample.says(CHECK, "pass");
    assert!(asked.join().unwrap().starts_with("GET /info HTTP/1.0\r\n"));
    let _asked = docker(&sample, &info("vfs", "/var/lib/docker"));
    sample.says(CHECK, "FAIL Docker's storage driver is vfs");
    let _asked = docker(&sample, &info("overlay2", "/srv/docker"));
    sample.says(CHECK, "FAIL /srv/docker does not exist");
    sample.mount("900000002 1 0:31 /old /data rw - btrfs /dev/sdb1 rw\n");
    let _asked = docker(&sample, &info("btrfs", "/data/docker"));
    sample.says(
        CHECK,
        "FAIL Docker keeps its data in /data/docker, on /old of /dev/sdb1",
    );
    sample.mount("900000003 1 0:31 /x /data/docker rw - btrfs /dev/sdb1 rw\n");
    let _asked = docker(&sample, &info("btrfs", "/data/docker"));
    sample.says(CHECK, "pass");
}

#[test]
fn a_docker_that_does_not_answer_is_wrong_and_a_strange_answer_is_unknown() {
    let sample = Sample::with(&[("usr/lib/systemd/system/docker.service", "")]);
    sample.says(CHECK, "FAIL /run/docker.sock does not answer");
    let _asked = docker(&sample, "HTTP/1.0 500 Internal Server Error\r\n\r\n{}");
    sample.says(
        CHECK,
        "unknown Docker's answer can't be understood: HTTP/1.0 500",
    );
    let _asked = docker(&sample, "HTTP/1.0 200 OK\r\n\r\n{\"Driver\": 3}");
    sample.says(CHECK, "unknown Docker does not tell its Driver");
    let _asked = docker(&sample, "");
    sample.says(CHECK, "unknown Docker's answer can't be understood");
}
