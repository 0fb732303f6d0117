//! What a boot is for, by the kernel's command line: a migration begins only where a person wants
//! the machine to come up as ever.

/// What somebody started this kernel for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// To work with the machine.
    Work,
    /// To mend it: a shell, recovery mode, systemd's rescue or emergency mode.
    Mending,
    /// To save the memory of a kernel that crashed. Root may be half written, and nobody is there.
    Crash,
}

/// The kernel names `elfcorehdr=` to itself where it is started by a crash; `crashkernel=` only
/// keeps memory for that, in every boot.
const CRASH: [&str; 2] = ["elfcorehdr=", "systemd.unit=kdump-tools-dump"];
/// Whole words: systemd(1), kernel-command-line(7), sysvinit, Ubuntu's menu, initramfs-tools(7).
const MENDING: [&str; 11] = [
    "single",
    "s",
    "S",
    "1",
    "-s",
    "rescue",
    "-b",
    "emergency",
    "recovery",
    "break",
    "systemd.unit=rescue",
];
/// Beginnings of words.
const MENDING_BEGINS: [&str; 3] = ["break=", "systemd.unit=rescue.", "systemd.unit=emergency"];
const SHELLS: [&str; 4] = ["sh", "bash", "dash", "busybox"];

impl Occasion {
    /// What the command line says; `vmcore`: whether there is a `/proc/vmcore`.
    #[must_use]
    pub fn of(command_line: &str, vmcore: bool) -> Self {
        let mut words = command_line.split_ascii_whitespace();
        let begins = |word: &str, with: &[&str]| with.iter().any(|start| word.starts_with(start));
        if vmcore || words.clone().any(|word| begins(word, &CRASH)) {
            return Self::Crash;
        }
        let mends =
            |word: &str| MENDING.contains(&word) || begins(word, &MENDING_BEGINS) || is_shell(word);
        if words.any(mends) {
            return Self::Mending;
        }
        Self::Work
    }
}

fn is_shell(word: &str) -> bool {
    let Some(program) = word.strip_prefix("init=") else {
        return false;
    };
    let name = program.rsplit('/').next().unwrap_or(program);
    SHELLS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::Occasion::{self, Crash, Mending, Work};

    #[test]
    fn it_is_told_by_the_command_line() {
        for (line, occasion) in [
            ("BOOT_IMAGE=/boot/vmlinuz-6.1 root=UUID=x ro quiet", Work),
            ("root=UUID=x ro crashkernel=384M-:128M quiet splash", Work),
            ("root=x init=/lib/systemd/systemd 3 resume=x", Work),
            (
                "root=x systemd.unit=multi-user.target systemd.show_status=1",
                Work,
            ),
            ("root=LABEL=single rootflags=subvol=emergency", Work),
            ("", Work),
            ("ro elfcorehdr=0x6effffd8 irqpoll nr_cpus=1", Crash),
            ("ro single elfcorehdr=867124K", Crash),
            (
                "ro reset_devices systemd.unit=kdump-tools-dump.service",
                Crash,
            ),
            ("root=x ro single", Mending),
            ("root=x ro recovery nomodeset dis_ucode_ldr", Mending),
            ("root=x ro 1", Mending),
            ("root=x ro rescue", Mending),
            ("root=x ro emergency", Mending),
            ("root=x systemd.unit=rescue.target", Mending),
            ("root=x systemd.unit=emergency.target", Mending),
            ("root=x break", Mending),
            ("root=x break=premount,mount", Mending),
            ("root=x rw init=/bin/bash", Mending),
        ] {
            assert_eq!(Occasion::of(line, false), occasion, "{line}");
            assert_eq!(Occasion::of(line, true), Crash, "{line}");
        }
    }
}
