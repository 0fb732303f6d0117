//! The command line: strings to options.

use argh::FromArgs;

/// How the program ended, the same for every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, or all is well.
    Success,
    /// It looked, and something is wrong: blockers, a failed validation.
    NotWell,
    /// The command line or a document can't be used.
    Usage,
    /// Something could not be read, written or run.
    Failure,
    /// The state of the migration does not allow it.
    NotNow,
}

impl Exit {
    /// The exit status.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::NotWell => 1,
            Self::Usage => 2,
            Self::Failure => 3,
            Self::NotNow => 4,
        }
    }
}

/// Moves an installed Debian or Ubuntu system onto btrfs subvolumes before its
/// root is mounted. Cut the power at any instant: the old or the new system boots.
#[derive(Debug, FromArgs)]
#[argh(
    note = "Exit status: 0 done or well, 1 something is wrong, 2 bad command line or document,",
    note = "3 a failure while reading, writing or running, 4 not possible in this state."
)]
pub struct Options {
    /// say more
    #[argh(switch, short = 'v')]
    pub verbose: bool,
    /// what to do
    #[argh(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, FromArgs)]
#[argh(subcommand)]
pub enum Command {
    /// Looks for blockers.
    Check(Check),
    /// Says what would happen.
    Plan(PlanOptions),
    /// Makes the next boot migrate.
    Arm(Arm),
    /// Takes that back.
    Disarm(Disarm),
    /// Runs in the initramfs.
    Boot(Boot),
    /// Proves the running new system.
    Validate(Validate),
    /// Says where it stands.
    Status(Status),
    /// Prints the journal.
    Log(Log),
    /// Goes back to the old system.
    Rollback(Rollback),
    /// Puts a backed-up file back.
    Restore(Restore),
    /// Deletes the old system.
    Finalize(Finalize),
    /// Tidies up after a crash.
    Recover(Recover),
    /// Prints the execution log.
    Report(Report),
    /// Runs phases of a batch by hand.
    Run(Run),
    /// Holds documents against each other.
    Lint(Lint),
    /// Writes a batch.
    New(New),
    /// Answers the package's scripts.
    Package(Package),
    /// Prints the version.
    Version(Version),
}

/// Moves an installed Debian or Ubuntu system onto btrfs subvolumes before its
/// root is mounted. This is what an initramfs holds of it.
#[derive(Debug, FromArgs)]
pub struct EarlyOptions {
    /// say more
    #[argh(switch, short = 'v')]
    pub verbose: bool,
    /// what to do
    #[argh(subcommand)]
    pub command: EarlyCommand,
}

/// The commands of the program that fits into an initramfs.
#[derive(Debug, FromArgs)]
#[argh(subcommand)]
pub enum EarlyCommand {
    /// Runs in the initramfs.
    Boot(Boot),
    /// Says where it stands.
    Status(Status),
}

/// look for everything that stands in the way; changes nothing
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "check")]
pub struct Check {
    /// batch: a file, or the name of an installed one (flat-to-subvolumes)
    #[argh(option)]
    pub batch: Option<String>,
    /// print JSON
    #[argh(switch)]
    pub json: bool,
}

/// say what would happen, in order, and where each part runs; changes nothing
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "plan")]
pub struct PlanOptions {
    /// batch: a file, or the name of an installed one (flat-to-subvolumes)
    #[argh(option)]
    pub batch: Option<String>,
    /// print JSON
    #[argh(switch)]
    pub json: bool,
}

/// freeze the plan and put it into every initramfs: the next boot migrates
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "arm")]
pub struct Arm {
    /// batch: a file, or the name of an installed one (flat-to-subvolumes)
    #[argh(option)]
    pub batch: Option<String>,
    /// after the commit: reboot (default) or continue
    #[argh(option)]
    pub after: Option<String>,
    /// make the armed plan fit again after an update of a kernel or an image
    #[argh(switch)]
    pub renew: bool,
    /// do not ask
    #[argh(switch)]
    pub yes: bool,
    /// print JSON
    #[argh(switch)]
    pub json: bool,
}

/// take the plan out of every initramfs, and what was prepared off the disk
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "disarm")]
pub struct Disarm {
    /// keep a damaged journal aside and start without one
    #[argh(switch)]
    pub discard_journal: bool,
    /// do not ask
    #[argh(switch)]
    pub yes: bool,
    /// print JSON
    #[argh(switch)]
    pub json: bool,
}

/// act on the journal before root is mounted; the initramfs runs it
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "boot")]
pub struct Boot {
    /// device that holds the root file system
    #[argh(option)]
    pub device: String,
    /// directory with the plan of this image (/etc/rootshift)
    #[argh(option, default = "String::from(\"/etc/rootshift\")")]
    pub plans: String,
    /// file that changes the initramfs' mind about the root (/conf/param.conf)
    #[argh(option, default = "String::from(\"/conf/param.conf\")")]
    pub param_conf: String,
    /// directory to mount the top level at (/run/rootshift/top)
    #[argh(option, default = "String::from(\"/run/rootshift/top\")")]
    pub mount_at: String,
    /// where a person is asked at a checkpoint (/dev/console)
    #[argh(option, default = "String::from(\"/dev/console\")")]
    pub console: String,
    /// file that keeps what this boot says (/run/initramfs/rootshift.log)
    #[argh(option, default = "String::from(\"/run/initramfs/rootshift.log\")")]
    pub log: String,
    /// exit with 10 where a machine would restart
    #[argh(switch)]
    pub no_reboot: bool,
    /// do the work; the process that watches over it is the one without
    #[argh(switch, hidden_help)]
    pub worker: bool,
    /// how the first worker ended: do no work, only note that
    #[argh(option, hidden_help)]
    pub ended: Option<String>,
    /// it did not get as far as to count this boot
    #[argh(switch, hidden_help)]
    pub uncounted: bool,
    /// seconds that a worker has from sign to sign, and those that the second one has in all
    #[argh(option, hidden_help, default = "String::from(\"600,60\")")]
    pub deadlines: String,
}

/// hold the running system against the plan; a systemd unit runs it after the boot
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "validate")]
pub struct Validate {
    /// print JSON
    #[argh(switch)]
    pub json: bool,
}

/// say where the migration stands, why, and what can be done next
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "status")]
pub struct Status {
    /// print JSON
    #[argh(switch)]
    pub json: bool,
}

/// print the journal, or what the last boots said
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "log")]
pub struct Log {
    /// what the initramfs said in the last boots, not the journal
    #[argh(switch)]
    pub boot: bool,
    /// print JSON
    #[argh(switch)]
    pub json: bool,
}

/// go back to the old system at the next boot; the new one is kept aside
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "rollback")]
pub struct Rollback {
    /// only to the checkpoint after this phase (`rootshift status` lists them)
    #[argh(option)]
    pub to: Option<String>,
    /// for systemd's emergency mode: goes back from a system on trial only, and
    /// restarts the machine after so many seconds
    #[argh(option)]
    pub emergency: Option<u32>,
    /// do not ask
    #[argh(switch)]
    pub yes: bool,
    /// print JSON
    #[argh(switch)]
    pub json: bool,
}

/// put files of this system back that rollback_configuration has backups of;
/// without a name they are listed
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "restore")]
pub struct Restore {
    /// what to put back, as named in backup_locations: fstab, grub
    #[argh(positional)]
    pub names: Vec<String>,
    /// only list the backups there are, newest first
    #[argh(switch)]
    pub list: bool,
    /// this backup, not the newest one
    #[argh(option)]
    pub backup: Option<String>,
    /// batch: a file, or an installed one (that of the armed plan)
    #[argh(option)]
    pub batch: Option<String>,
    /// do not ask
    #[argh(switch)]
    pub yes: bool,
    /// print JSON
    #[argh(switch)]
    pub json: bool,
}

/// delete the old system; this can't be undone
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "finalize")]
pub struct Finalize {
    /// let a systemd unit do it; `rootshift status` tells how far it is
    #[argh(switch)]
    pub background: bool,
    /// only go on with what was begun; the systemd unit runs it
    #[argh(switch)]
    pub resume: bool,
    /// delete also what was changed in the old system since the commit, if it is
    /// so many files and directories
    #[argh(option)]
    pub also_changed: Option<u64>,
    /// leave those parts of the old system in which something was changed
    #[argh(switch)]
    pub keep_changed: bool,
    /// do not ask
    #[argh(switch)]
    pub yes: bool,
    /// print JSON
    #[argh(switch)]
    pub json: bool,
}

/// tidy up what a crashed or killed command left behind; says first what it found
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "recover")]
pub struct Recover {
    /// only say what was found
    #[argh(switch)]
    pub dry_run: bool,
    /// do not ask
    #[argh(switch)]
    pub yes: bool,
    /// print JSON
    #[argh(switch)]
    pub json: bool,
}

/// print what ran, how long it took, and what its checks came to
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "report")]
pub struct Report {
    /// print JSON
    #[argh(switch)]
    pub json: bool,
}

/// run phases of a batch by hand: those that look at the running system
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "run")]
pub struct Run {
    /// batch: a file, or the name of an installed one
    #[argh(option)]
    pub batch: Option<String>,
    /// only this phase
    #[argh(option)]
    pub phase: Option<String>,
    /// the checks of this one viScript instead of a batch
    #[argh(option)]
    pub viscript: Option<String>,
    /// do not ask at checkpoints
    #[argh(switch)]
    pub yes: bool,
    /// say more
    #[argh(switch)]
    pub verbose: bool,
    /// print JSON
    #[argh(switch)]
    pub json: bool,
}

/// hold batches and viScripts against each other and against what they do
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "lint")]
pub struct Lint {
    /// batches and viScripts
    #[argh(positional)]
    pub files: Vec<String>,
    /// print JSON
    #[argh(switch)]
    pub json: bool,
}

/// write a batch that fits this machine, with remarks, to be read and edited
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "new")]
pub struct New {
    /// flat-to-subvolumes, debian-rootfs, ml-workstation, ext4-in-place
    /// or ext4-to-disk
    #[argh(option)]
    pub template: String,
    /// ext4-to-disk: the empty btrfs to copy to, as UUID=… or /dev/…
    #[argh(option)]
    pub target: Option<String>,
    /// file to write (standard output); one that is there is never overwritten
    #[argh(option)]
    pub output: Option<String>,
}

/// what the maintainer scripts of the Debian package ask; one option at a time
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "package")]
pub struct Package {
    /// whether it may be removed; disarms where the next boot would migrate
    #[argh(switch)]
    pub before_removal: bool,
    /// give the images the new program while a migration is under way
    #[argh(switch)]
    pub after_upgrade: bool,
    /// delete the journal of a migration that is over
    #[argh(switch)]
    pub purge: bool,
}

/// print the version
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "version")]
pub struct Version {}
