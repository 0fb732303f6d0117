use super::Sample;

// Stanzas as dpkg writes them (deb822); `rc` is what `apt remove` leaves.
const STATUS: &str = "Package: btrfs-progs\nStatus: install ok installed\nPriority: optional\n\
     Section: admin\nArchitecture: amd64\nVersion: 6.2-1\nDescription: tools\n Package: not-one\n\
     \nPackage: snapd\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 2.57\n\
     \nPackage: half\nStatus: install ok half-installed\nArchitecture: all\n";

#[test]
fn packages() {
    let sample = Sample::with(&[("var/lib/dpkg/status", STATUS)]);
    for name in ["btrfs-progs", "btrfs-progs:amd64"] {
        sample.says(
            &format!(r#"{{"packages": {{"names": ["{name}"]}}}}"#),
            "pass",
        );
    }
    let none = r#"{"packages": {"names": ["snapd", "half", "not-one"]}}"#;
    sample.says(none, "FAIL not installed: snapd, half, not-one");
    sample.says(
        r#"{"packages": {"names": ["snapd"], "absent": true}}"#,
        "pass",
    );
    sample.says(
        r#"{"packages": {"names": ["snapd", "btrfs-progs"], "absent": true}}"#,
        "FAIL installed: btrfs-progs",
    );
    Sample::new().says(r#"{"packages": {"names": ["x"]}}"#, "unknown cannot open");
}

#[test]
fn users_and_groups() {
    let sample = Sample::with(&[
        (
            "etc/passwd",
            "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/:/bin/sh\n",
        ),
        ("etc/group", "root:x:0:\ndocker:x:999:user\n"),
    ]);
    sample.says(r#"{"users": {"names": ["root", "daemon"]}}"#, "pass");
    sample.says(
        r#"{"users": {"names": ["root", "docker"]}}"#,
        "FAIL no such user: docker",
    );
    sample.says(r#"{"groups": {"names": ["docker"]}}"#, "pass");
    sample.says(
        r#"{"groups": {"names": ["docker"], "absent": true}}"#,
        "FAIL there is the group docker",
    );
    Sample::new().says(r#"{"users": {"names": ["root"]}}"#, "unknown");
    Sample::new().says(r#"{"groups": {"names": ["root"]}}"#, "unknown");
}

#[test]
fn commands_and_file_systems() {
    let sample = Sample::with(&[("proc/filesystems", "nodev\tproc\n\tbtrfs\n\text4\n")]);
    sample.program("btrfs", "exit 0");
    sample.write("usr/bin/plain", "no program");
    sample.says(r#"{"commands": {"names": ["btrfs"]}}"#, "pass");
    sample.says(
        r#"{"commands": {"names": ["btrfs", "plain", "rsync"]}}"#,
        "FAIL not installed: plain, rsync",
    );
    sample.says(
        r#"{"kernel-filesystems": {"names": ["btrfs", "proc"]}}"#,
        "pass",
    );
    sample.says(
        r#"{"kernel-filesystems": {"names": ["xfs"]}}"#,
        "FAIL the running kernel does not know the file system xfs",
    );
    Sample::new().says(r#"{"kernel-filesystems": {"names": ["xfs"]}}"#, "unknown");
}

#[test]
fn processes_by_the_name_that_the_kernel_keeps() {
    let sample = Sample::with(&[
        ("proc/1/comm", "systemd\n"),
        ("proc/42/comm", "systemd-timesyn\n"),
        ("proc/self/comm", "no process\n"),
    ]);
    sample.says(
        r#"{"processes": {"names": ["systemd", "systemd-timesyncd"]}}"#,
        "pass",
    );
    sample.says(
        r#"{"processes": {"names": ["dockerd"]}}"#,
        "FAIL not running: dockerd",
    );
    sample.says(
        r#"{"processes": {"names": ["systemd"], "absent": true}}"#,
        "FAIL running: systemd",
    );
    let empty = Sample::with(&[("proc/version", "")]);
    empty.says(
        r#"{"processes": {"names": ["x"]}}"#,
        "unknown /proc names no process",
    );
}

#[test]
fn ports() {
    let ssh = "   0: 00000000:0016 00000000:0000 0A 0:0 0:0 0 0 0 1\n";
    let sample = Sample::with(&[("proc/net/tcp", ssh), ("proc/net/udp", "")]);
    sample.says(r#"{"ports": {"names": ["tcp:22"]}}"#, "pass");
    sample.says(
        r#"{"ports": {"names": ["tcp:22", "udp:22", "tcp:23"]}}"#,
        "FAIL nothing listens on udp:22, tcp:23",
    );
    sample.says(
        r#"{"ports": {"names": ["tcp:22"], "absent": true}}"#,
        "FAIL something listens on tcp:22",
    );
    Sample::new().says(r#"{"ports": {"names": ["tcp:22"]}}"#, "unknown");
}
