//! What `check` and a plan know of a machine: names of devices, and every subvolume of its disk.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod common;

use common::Disk;

/// What systemd 257 makes of /dev/disk (Debian 13), and things that are there for a moment only.
const DEBIAN_13: &str = r#"
    mkdir -p /dev/disk
    mount -t tmpfs -o mode=755 disk /dev/disk
    part=/dev/disk/by-path/pci-0000:00:05.0-part
    mkdir -p $part/by-uuid $part/by-partnum /dev/disk/by-id /dev/disk/by-label
    ln -s ../../../../loop0 $part/by-partnum/1
    ln -s ../../gone /dev/disk/by-id/dangling
    ln -s circle /dev/disk/by-id/circle
    ln -s "../../$(printf 'loop\\377')" "/dev/disk/by-label/$(printf 'odd\\377')"
"#;

#[test]
fn commands_live_with_the_directories_of_debian_13() {
    let disk = Disk::with_system();
    for (command, code) in [("check", 0), ("plan", 0), ("status", 0)] {
        let ran = disk.run_after(DEBIAN_13, command);
        assert_eq!(ran.code, code, "{command}: {ran:?}");
        assert!(!ran.stderr.contains("cannot read"), "{command}: {ran:?}");
    }
}
