//! What work costs: processor time, memory, bytes read and written, as the kernel counts them.

use std::path::Path;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeSpec;
use nix::time::ClockId;

use super::clock;

const PROC: &str = "/proc";

/// Whose cost is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All threads of this process and the programs that it has run to their end: for work that
    /// runs alone. A program that still runs is not in it.
    Process,
    /// This thread alone, neither the threads nor the programs it starts: for work that runs
    /// side by side with other work.
    Thread,
}

/// A reading of the kernel's counters, or the difference of two.
///
/// What the kernel does not count (no /proc, `CONFIG_TASK_IO_ACCOUNTING` off) is 0. Read and
/// written is what went to and came from storage: what the page cache answers costs nothing
/// (proc_pid_io(5)).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time, of the program and of the kernel for it.
    pub cpu_microseconds: u64,
    /// The most memory that this process ever held, whatever the scope. 0 without /proc.
    pub peak_memory_bytes: u64,
    /// Bytes fetched from storage.
    pub bytes_read: u64,
    /// Bytes handed to storage.
    pub bytes_written: u64,
}

impl Usage {
    /// Reads the counters. Never fails, and takes less than 100 µs.
    #[must_use]
    pub fn now(scope: Scope) -> Self {
        Self::read(Path::new(PROC), scope)
    }

    fn read(proc: &Path, scope: Scope) -> Self {
        let (cpu_microseconds, io) = match scope {
            Scope::Process => {
                let own = microseconds(clock::read(ClockId::CLOCK_PROCESS_CPUTIME_ID));
                (own.saturating_add(of_children()), "self/io")
            }
            Scope::Thread => {
                let own = microseconds(clock::read(ClockId::CLOCK_THREAD_CPUTIME_ID));
                (own, "thread-self/io")
            }
        };
        let text = |name: &str| std::fs::read_to_string(proc.join(name)).unwrap_or_default();
        let io = text(io);
        Self {
            cpu_microseconds,
            peak_memory_bytes: field(&text("self/status"), "VmHWM:").saturating_mul(1024),
            bytes_read: field(&io, "read_bytes:"),
            bytes_written: field(&io, "write_bytes:"),
        }
    }

    /// What was used since an earlier reading of the same scope. The peak of memory is that of
    /// the later one: it can't be told when it was reached.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            cpu_microseconds: self
                .cpu_microseconds
                .saturating_sub(earlier.cpu_microseconds),
            peak_memory_bytes: self.peak_memory_bytes,
            bytes_read: self.bytes_read.saturating_sub(earlier.bytes_read),
            bytes_written: self.bytes_written.saturating_sub(earlier.bytes_written),
        }
    }
}

/// Time and cost of one piece of work, from its start on.
#[derive(Debug, Clone, Copy)]
pub struct Meter {
    scope: Scope,
    began: u64,
    usage: Usage,
}

impl Meter {
    /// Starts counting.
    #[must_use]
    pub fn start(scope: Scope) -> Self {
        Self {
            scope,
            began: clock::monotonic_milliseconds(),
            usage: Usage::now(scope),
        }
    }

    /// Wall time in milliseconds and cost, from the start until now. To be read by the thread
    /// that started it.
    #[must_use]
    pub fn read(&self) -> (u64, Usage) {
        let usage = Usage::now(self.scope).since(&self.usage);
        let took = clock::monotonic_milliseconds().saturating_sub(self.began);
        (took, usage)
    }
}

/// Programs that ended and were waited for.
fn of_children() -> u64 {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else {
        return 0;
    };
    let of = |time: nix::sys::time::TimeVal| parts(time.tv_sec(), time.tv_usec());
    of(usage.user_time()).saturating_add(of(usage.system_time()))
}

fn microseconds(time: TimeSpec) -> u64 {
    parts(time.tv_sec(), time.tv_nsec() / 1000)
}

fn parts(seconds: i64, microseconds: i64) -> u64 {
    let count = |number: i64| u64::try_from(number).unwrap_or(0);
    count(seconds)
        .saturating_mul(1_000_000)
        .saturating_add(count(microseconds))
}

/// The number after a name at the start of a line; 0 when there is none.
fn field(text: &str, name: &str) -> u64 {
    let after = text.lines().find_map(|line| line.strip_prefix(name));
    let number = after.and_then(|rest| rest.split_whitespace().next());
    number
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn busy(time: Duration) {
        let began = Instant::now();
        let mut number = 1_u64;
        while began.elapsed() < time {
            number = std::hint::black_box(number.wrapping_mul(3));
        }
    }

    #[test]
    fn work_of_this_thread_is_counted_and_that_of_others_is_not() {
        let before = Usage::now(Scope::Thread);
        std::thread::spawn(|| busy(Duration::from_millis(60)))
            .join()
            .unwrap();
        let idle = Usage::now(Scope::Thread).since(&before);
        assert!(idle.cpu_microseconds < 30_000, "{idle:?}");
        busy(Duration::from_millis(60));
        let worked = Usage::now(Scope::Thread).since(&before);
        assert!(worked.cpu_microseconds > 5_000, "{worked:?}");
        assert!(worked.peak_memory_bytes > 100_000, "{worked:?}");
    }

    #[test]
    fn a_program_that_was_waited_for_is_counted_with_the_process() {
        let before = Usage::now(Scope::Process);
        let (thread, script) = (
            Usage::now(Scope::Thread),
            "i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done",
        );
        crate::sys::process::run("sh", &["-c", script], false).unwrap();
        let children = Usage::now(Scope::Process).since(&before);
        let own = Usage::now(Scope::Thread).since(&thread);
        assert!(
            children.cpu_microseconds > own.cpu_microseconds + 5_000,
            "{children:?} {own:?}"
        );
    }

    #[test]
    fn the_kernels_words_are_read_in_their_units() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            (
                "self/status",
                "Name:\tx\nVmPeak:\t 9 kB\nVmHWM:\t    1234 kB\n",
            ),
            (
                "self/io",
                "rchar: 1\nread_bytes: 4096\nwrite_bytes: 8192\ncancelled_write_bytes: 7\n",
            ),
            ("thread-self/io", "read_bytes: 1\nwrite_bytes: 2\n"),
        ] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let process = Usage::read(folder.path(), Scope::Process);
        assert_eq!((process.bytes_read, process.bytes_written), (4096, 8192));
        assert_eq!(process.peak_memory_bytes, 1234 * 1024);
        let thread = Usage::read(folder.path(), Scope::Thread);
        assert_eq!((thread.bytes_read, thread.bytes_written), (1, 2));
    }

    #[test]
    fn without_proc_only_the_clock_counts() {
        let folder = tempfile::tempdir().unwrap();
        let usage = Usage::read(folder.path(), Scope::Process);
        let rest = Usage {
            cpu_microseconds: 0,
            ..usage
        };
        assert_eq!(rest, Usage::default());
        std::fs::create_dir(folder.path().join("self")).unwrap();
        std::fs::write(folder.path().join("self/io"), "read_bytes: no number\n").unwrap();
        assert_eq!(Usage::read(folder.path(), Scope::Process).bytes_read, 0);
    }

    #[test]
    fn a_counter_that_starts_anew_is_nothing_used() {
        let earlier = Usage {
            bytes_read: 5,
            ..Usage::default()
        };
        assert_eq!(Usage::default().since(&earlier), Usage::default());
    }
}
