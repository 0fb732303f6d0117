//! The phases of a migration's life. Each is recorded from the disk that the one before it left.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use rootshift::bootchain::chain;
use rootshift::documents::Plan;
use rootshift::documents::plan::After;
use rootshift::engine::finalize::finalize;
use rootshift::engine::home::Migration;
use rootshift::journal::Record;
use rootshift::report::progress::Progress;
use rootshift::sys::Root;
use rootshift::tree::manifest::Manifest;

use super::disk::Disk;
use super::host::{Host, Setting, System};
use super::recorder::Recorder;
use super::sample::{self, Kind};
use super::tape::Tape;
use crate::run::{run, tool};

/// Large enough for btrfs to keep its metadata twice.
const SIZE: u64 = 300 << 20;
/// The backup of /etc/fstab, and what it holds.
const BACKED_UP: &str = "etc/fstab.backup.mine";
pub(super) const BACKUP: &str = "# the fstab of a backup\n";

/// A phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The plan is frozen, the journal begun.
    Arm,
    /// The boot that prepares, commits and switches the boot path.
    Migrate,
    /// The first boot of the new system.
    Trial,
    /// The verdict of the new system.
    Validate,
    /// A rollback by hand: the request, and the boot that carries it out.
    RollBack,
    /// The boot after the last trial.
    GiveUpNew,
    /// A boot of the new system that finds no init in it.
    GiveWay,
    /// A migration that fails its proof, and is taken back.
    GiveUpOld,
    /// The old system is deleted.
    Finalize,
    /// A file of a running system is put back from its backup.
    Restore,
}

impl Phase {
    /// In the order of a life.
    pub const ALL: [Self; 10] = [
        Self::Arm,
        Self::Migrate,
        Self::Trial,
        Self::Validate,
        Self::RollBack,
        Self::GiveUpNew,
        Self::GiveWay,
        Self::GiveUpOld,
        Self::Finalize,
        Self::Restore,
    ];

    /// As in the names of points.
    pub fn name(self) -> &'static str {
        match self {
            Self::Arm => "arm",
            Self::Migrate => "migrate",
            Self::Trial => "trial",
            Self::Validate => "validate",
            Self::RollBack => "rollback",
            Self::GiveUpNew => "give-up-new",
            Self::GiveWay => "give-way",
            Self::GiveUpOld => "give-up-old",
            Self::Finalize => "finalize",
            Self::Restore => "restore",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Phase {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let phase = Self::ALL.into_iter().find(|phase| phase.name() == text);
        phase.ok_or_else(|| anyhow!("{text}: the phases are {:?}", Self::ALL.map(Self::name)))
    }
}

/// A system, and what a migration is to make of it.
#[derive(Debug)]
pub struct Origin {
    /// Everything in the old system.
    pub old: Manifest,
    /// Everything below its /boot.
    pub boot: Manifest,
    /// What is in the images.
    pub plans: PathBuf,
    /// The plan.
    pub plan: Plan,
    /// Everything in the new system after a migration that nothing cut; none where it fails.
    pub new: Option<Manifest>,
}

/// A whole life, recorded.
#[derive(Debug)]
pub struct Life {
    /// The system whose migration works.
    pub sound: Origin,
    /// The system whose migration fails.
    pub failing: Origin,
    /// The system that has a backup of a file.
    pub restoring: Origin,
    /// Each phase with its recording.
    pub tapes: Vec<(Phase, Tape)>,
}

impl Life {
    /// The system that a phase is about.
    pub fn origin(&self, phase: Phase) -> &Origin {
        match phase {
            Phase::GiveUpOld => &self.failing,
            Phase::Restore => &self.restoring,
            _ => &self.sound,
        }
    }

    /// The recording of a phase.
    pub fn tape(&self, phase: Phase) -> Result<&Tape> {
        let found = self.tapes.iter().find(|(recorded, _)| *recorded == phase);
        found
            .map(|(_, tape)| tape)
            .with_context(|| format!("{phase} was not recorded"))
    }

    /// Lives it once, and records all of it.
    pub fn record(setting: &Arc<Setting>) -> Result<Self> {
        let studio = Studio { setting };
        let made = studio.populated()?;
        let (mut sound, disk) = studio.origin("sound", made.clone(), |_| Ok(()))?;
        let arm = studio.tape(disk, |host| armed(host, &sound, &sound.plans))?;
        let (failing, disk) = studio.origin("failing", made.clone(), |top| {
            sample::make_the_proof_fail(top);
            Ok(())
        })?;
        let doomed = studio.tape(disk, |host| armed(host, &failing, &failing.plans))?;
        let (restoring, disk) = studio.origin("restoring", made, |top| {
            Ok(fs::write(top.join(BACKED_UP), BACKUP)?)
        })?;
        let restore = studio.tape(disk, restored)?;
        let plans = sound.plans.clone();
        let migrate = studio.tape(arm.end(), |host| {
            ensure!(host.boot_once(&plans)?, "no commit: {}", host.said());
            Ok(())
        })?;
        let trial = studio.tape(migrate.end(), |host| boots_into(host, &plans, System::New))?;
        let validate = studio.tape(trial.end(), |host| host.record(vec![validated()]))?;
        let requested = || Record::RollbackRequested {
            reason: "the cut sweep".into(),
        };
        let roll_back = studio.tape(validate.end(), |host| {
            host.record(vec![requested()])?;
            boots_into(host, &plans, System::Old)
        })?;
        let last_trial = studio.after(trial.end(), |host| {
            for _ in 1..sound.plan.trial_boots {
                boots_into(host, &plans, System::New)?;
            }
            Ok(())
        })?;
        let give_up_new = studio.tape(last_trial, |host| boots_into(host, &plans, System::Old))?;
        let broken = studio.without_init(trial.end())?;
        let give_way = studio.tape(broken, |host| boots_into(host, &plans, System::Old))?;
        let give_up_old = studio.tape(doomed.end(), |host| {
            boots_into(host, &failing.plans, System::Old)
        })?;
        let ordinary = studio.after(validate.end(), made_ordinary)?;
        let finalize = studio.tape(ordinary, finalized)?;
        sound.new = Some(studio.new_manifest(&migrate.end())?);
        let tapes = vec![
            (Phase::Arm, arm),
            (Phase::Migrate, migrate),
            (Phase::Trial, trial),
            (Phase::Validate, validate),
            (Phase::RollBack, roll_back),
            (Phase::GiveUpNew, give_up_new),
            (Phase::GiveWay, give_way),
            (Phase::GiveUpOld, give_up_old),
            (Phase::Finalize, finalize),
            (Phase::Restore, restore),
        ];
        Ok(Self {
            sound,
            failing,
            restoring,
            tapes,
        })
    }
}

/// Proves the new system in a rehearsal, and takes the plan out of the images.
fn made_ordinary(host: &Host) -> Result<()> {
    host.record(rehearsed(host)?)?;
    host.record(vec![Record::Disarmed])
}

/// Puts a file back, as a person would in the running system: with the program itself, on a root
/// of its own.
fn restored(host: &Host) -> Result<()> {
    const SCRIPT: &str = r#"
        set -e
        mount --bind "$ROOT" "$ROOT"
        mount -t tmpfs run "$ROOT/run"
        for folder in proc dev sys; do mount --rbind "/$folder" "$ROOT/$folder"; done
        cp "$BINARY" "$ROOT/run/program"
        cp -r "$DOCUMENTS/viscripts" "$ROOT/run/"
        printf %s "$BATCH" > "$ROOT/run/batch.json"
        chmod -R go-w "$ROOT/run/batch.json" "$ROOT/run/viscripts"
        exec chroot "$ROOT" /run/program restore fstab --yes --batch /run/batch.json
    "#;
    let setting = host.setting();
    host.mounted(|top| {
        let mut command = tool("unshare");
        command
            .args(["--mount", "--propagation", "private", "sh", "-c", SCRIPT])
            .env("ROOT", top.path().join(setting.kind.root()))
            .env("BINARY", &setting.tools)
            .env("DOCUMENTS", setting.folder.join("documents"))
            .env("BATCH", sample::batch("{}", sample::ROLLBACK));
        run(&mut command)
    })
}

/// What a passed validation records.
pub fn validated() -> Record {
    Record::Validated {
        passed: 1,
        failed: 0,
        at: None,
        loader_named_root: None,
    }
}

/// What a rehearsal that passed its validation records.
fn rehearsed(host: &Host) -> Result<Vec<Record>> {
    let chain = host.mounted(|top| Ok(chain(&top.within(Path::new("@"))?)?))?;
    let boot = Some("the sweep".into());
    Ok(vec![
        Record::RehearsalBegun { number: 1, boot },
        Record::Rehearsed { chain, root: None },
    ])
}

fn boots_into(host: &Host, plans: &Path, wanted: System) -> Result<()> {
    let system = host.boot(plans)?;
    ensure!(system == wanted, "it booted {system:?}: {}", host.said());
    Ok(())
}

/// Deletes the old system as `rootshift finalize` does once the images are ordinary.
pub fn finalized(host: &Host) -> Result<()> {
    host.mounted(|top| {
        let migration = Migration::open(top)?;
        let mut migration = migration.context("there is no journal")?;
        let new = top.within(Path::new(migration.plan().root_subvolume()))?;
        finalize(&new, top, &mut migration, &mut Progress::hidden())?;
        Ok(())
    })
}

/// Arms; `rootshift arm` makes the images as well.
pub fn armed(host: &Host, origin: &Origin, plans: &Path) -> Result<()> {
    let kind = host.setting().kind;
    host.mounted(|top| {
        sample::arm(top, kind, &origin.plan, plans);
        Ok(())
    })
}

/// Where disks are made and recorded.
struct Studio<'a> {
    setting: &'a Arc<Setting>,
}

impl Studio<'_> {
    fn tape(&self, base: Disk, act: impl FnOnce(&Host) -> Result<()>) -> Result<Tape> {
        let recorder = Recorder::start(self.setting, "recording", base)?;
        let acted = act(recorder.host());
        let tape = recorder.finish(); // nothing stays mounted when it failed
        acted.and(tape)
    }

    /// The new system of this disk loses its init.
    fn without_init(&self, base: Disk) -> Result<Disk> {
        self.after(base, |host| {
            host.mounted(|top| Ok(fs::remove_file(top.path().join("@/usr/sbin/init"))?))
        })
    }

    fn after(&self, base: Disk, act: impl FnOnce(&Host) -> Result<()>) -> Result<Disk> {
        Ok(self.tape(base, act)?.end())
    }

    /// A disk with the sample system on it.
    fn populated(&self) -> Result<Disk> {
        let image = self.setting.folder.join("made.img");
        Disk::empty(SIZE).store(&image)?;
        // Two sweeps at once have two file systems: mkfs.btrfs wants that.
        let uuid = format!("5a1f3c0e-9d2b-4c7e-8f60-{:012x}", std::process::id());
        run(tool("mkfs.btrfs").args(["-q", "-U", &uuid]).arg(&image))?;
        let made = Disk::load(&image)?;
        std::fs::remove_file(image)?;
        let kind = self.setting.kind;
        self.after(made, |host| {
            host.mounted(|top| {
                if kind == Kind::Rootfs {
                    let mut create = tool("btrfs");
                    create.args(["-q", "subvolume", "create"]);
                    run(create.arg(top.path().join(kind.root())))?;
                }
                sample::populate(&top.path().join(kind.root()), kind, &uuid);
                Ok(())
            })
        })
    }

    /// The system, changed by `change`, and its disk.
    fn origin(
        &self,
        name: &str,
        disk: Disk,
        change: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<(Origin, Disk)> {
        let kind = self.setting.kind;
        let documents = self.setting.folder.join("documents");
        sample::copy_documents(&documents);
        let batch = documents.join("batches/flat-to-subvolumes.json");
        let plans = self.setting.folder.join(format!("{name}-plans"));
        let mut origin = None;
        let disk = self.after(disk, |host| {
            host.mounted(|top| {
                change(&top.path().join(kind.root()))?;
                origin = Some(Origin {
                    old: old_manifest(top, kind),
                    boot: sample::manifest(top.path(), &boot_of(kind)),
                    plan: sample::plan(top, kind, &batch, Vec::new(), After::Reboot),
                    plans,
                    new: None,
                });
                Ok(())
            })
        })?;
        Ok((origin.context("the system is described")?, disk))
    }

    fn new_manifest(&self, disk: &Disk) -> Result<Manifest> {
        let host = Host::new(self.setting, "uncut")?;
        host.insert(disk)?;
        host.mounted(|top| Ok(sample::manifest_of_new(top.path())))
    }
}

fn boot_of(kind: Kind) -> String {
    match kind {
        Kind::Flat => "boot".to_owned(),
        Kind::Rootfs => format!("{}/boot", kind.root()),
    }
}

/// Everything in the old system, under whichever name it is.
pub fn old_manifest(top: &Root, kind: Kind) -> Manifest {
    let kept = ".@rootfs.rootshift";
    let name = match kind {
        Kind::Rootfs if top.path().join("@rootfs").is_symlink() => kept,
        kind => kind.root(),
    };
    sample::manifest(top.path(), name)
}

/// `--way`.
pub fn kind_of(way: &str) -> Result<Kind> {
    match way {
        "a" => Ok(Kind::Flat),
        "rootfs" => Ok(Kind::Rootfs),
        other => bail!("--way {other}: there is a (a flat btrfs) and rootfs (its root in @rootfs)"),
    }
}
