use super::Sample;

const GRUB: &str = "set default=\"1\"\n\
    menuentry 'First' --id one {\n linux /boot/vmlinuz-1 root=UUID=x ro nomodeset\n\
     initrd /boot/initrd.img-1\n}\n\
    menuentry 'Second' --id two {\n linux /boot/vmlinuz-2 root=UUID=x rootflags=noatime,subvol=@ ro\n\
     initrd /boot/initrd.img-2\n}\n";

#[test]
fn words_of_the_command_line() {
    let text = "BOOT_IMAGE=/boot/vmlinuz root=UUID=x ro rootflags=subvol=@,noatime quiet\n";
    let sample = Sample::with(&[("proc/cmdline", text)]);
    let check = |asked: &str| format!(r#"{{"kernel-command-line": {{{asked}}}}}"#);
    for asked in [
        r#""contains": ["ro", "quiet", "root=UUID=x", "rootflags"]"#,
        r#""contains": ["rootflags=subvol=@", "rootflags=subvol=@,noatime"]"#,
        r#""lacks": ["rw", "resume", "qui", "root=UUID"]"#,
    ] {
        sample.says(&check(asked), "pass");
    }
    sample.says(
        &check(r#""contains": ["splash"]"#),
        "FAIL the kernel's command line lacks splash",
    );
    sample.says(
        &check(r#""lacks": ["quiet"]"#),
        "command line contains quiet",
    );
    Sample::new().says(&check(r#""contains": ["ro"]"#), "unknown");
}

#[test]
fn entries_of_the_menu() {
    let sample = Sample::with(&[("boot/grub/grub.cfg", GRUB)]);
    let check = |asked: &str| format!(r#"{{"grub-entry": {{{asked}}}}}"#);
    for asked in [
        r#""contains": ["rootflags=subvol=@", "/boot/vmlinuz-2", "/boot/initrd.img-2"]"#,
        r#""title": "First", "contains": ["nomodeset"], "lacks": ["rootflags"]"#,
        r#""title": "Second""#,
    ] {
        sample.says(&check(asked), "pass");
    }
    sample.says(
        &check(r#""contains": ["nomodeset"]"#),
        "FAIL /boot/grub/grub.cfg: the entry \"Second\" lacks nomodeset",
    );
    sample.says(
        &check(r#""title": "Third""#),
        "FAIL /boot/grub/grub.cfg has no menu entry",
    );
    Sample::new().says(&check(r#""contains": ["x"]"#), "unknown");
}

#[test]
fn files_in_every_image() {
    let sample = Sample::with(&[
        (
            "boot/initrd.img-1",
            "usr/sbin/rootshift\nusr/lib/modules/1/btrfs.ko\n",
        ),
        ("boot/initrd.img-2", "usr/sbin/rootshift\n"),
    ]);
    let check = |asked: &str| format!(r#"{{"initramfs": {{{asked}}}}}"#);
    sample.says(
        &check(r#""contains": ["x"]"#),
        "unknown lsinitramfs is not installed",
    );
    sample.program("lsinitramfs", "cat \"$1\"");
    for asked in [
        r#""contains": ["/usr/sbin/rootshift", "sbin/rootshift"]"#,
        r#""contains": ["rootshift"], "lacks": ["otshift", "usr/sbin"]"#,
    ] {
        sample.says(&check(asked), "pass");
    }
    sample.says(
        &check(r#""contains": ["btrfs.ko"]"#),
        "FAIL /boot/initrd.img-2 lacks btrfs.ko",
    );
    sample.says(
        &check(r#""lacks": ["btrfs.ko"]"#),
        "FAIL /boot/initrd.img-1 contains btrfs.ko",
    );
    sample.program("lsinitramfs", "echo broken >&2; exit 1");
    sample.says(&check(r#""contains": ["x"]"#), "can't be listed: broken");
    let none = Sample::with(&[("boot/vmlinuz-1", "")]);
    none.says(
        &check(r#""contains": ["x"]"#),
        "FAIL there is no initramfs image",
    );
}

#[test]
fn parameters_of_the_kernel() {
    let sample = Sample::with(&[
        ("proc/sys/vm/swappiness", "10\n"),
        ("proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456\n"),
        ("proc/sys/net/ipv4/conf/eth0.1/forwarding", "1\n"),
    ]);
    let check = |name: &str, value: &str| {
        format!(r#"{{"kernel-parameter": {{"name": "{name}", "value": "{value}"}}}}"#)
    };
    sample.says(&check("vm.swappiness", "10"), "pass");
    sample.says(&check("vm/swappiness", "10"), "pass");
    sample.says(&check("net.ipv4.tcp_rmem", "4096 131072 6291456"), "pass");
    for name in [
        "net.ipv4.conf.eth0/1.forwarding",
        "net/ipv4/conf/eth0.1/forwarding",
    ] {
        sample.says(&check(name, "1"), "pass");
    }
    sample.says(
        &check("vm.swappiness", "60"),
        "FAIL vm.swappiness is 10, not 60",
    );
    sample.says(
        &check("vm.nothing", "1"),
        "FAIL the running kernel has no parameter vm.nothing",
    );
    let odd = Sample::with(&[("proc/sys/vm/swappiness/x", "")]);
    odd.says(&check("vm.swappiness", "1"), "unknown");
}

#[test]
fn memory_and_network() {
    let sample = Sample::with(&[
        (
            "proc/meminfo",
            "MemTotal:        4046848 kB\nMemFree: 1 kB\n",
        ),
        ("proc/net/route", "Iface\teth0\t00000000\n"),
    ]);
    sample.says(r#"{"memory": {"minimum": "4GB"}}"#, "pass");
    sample.says(
        r#"{"memory": {"minimum": "8GB"}}"#,
        "FAIL 3952 MiB of memory",
    );
    sample.says(r#"{"network": {}}"#, "FAIL there is no default route");
    sample.write(
        "proc/net/route",
        "Iface\neth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n",
    );
    sample.says(r#"{"network": {}}"#, "pass");
    let empty = Sample::with(&[("proc/meminfo", "nothing\n")]);
    empty.says(
        r#"{"memory": {"minimum": "1"}}"#,
        "unknown /proc/meminfo has no MemTotal",
    );
    Sample::new().says(r#"{"network": {}}"#, "unknown");
}
