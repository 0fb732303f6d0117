//! A machine's life: what happens to it, and what must hold after each act.

mod acts;
mod rest;

use anyhow::Result;

use super::act::Act;
use super::bench::Bench;
use super::booting;
use super::machine::Machine;
use super::oracle;
use super::violation::{Kind, Violation};
use super::world::{System, World};

/// How a life ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// `check` found a blocker, and nothing was changed.
    Blocked,
    /// The old system stays: it was never armed, or something had changed since.
    OldSystem,
    /// It moved, and went back.
    RolledBack,
    /// It moved, and the old system is gone.
    Finalized,
    /// It moved, `finalize` had its reason not to, and it went back.
    Refused,
}

impl End {
    /// As printed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Blocked => "blocked by check, nothing changed",
            Self::OldSystem => "the old system, whole",
            Self::RolledBack => "moved and rolled back",
            Self::Finalized => "moved and finalized",
            Self::Refused => "moved, not finalized, rolled back",
        }
    }
}

/// What is known of a machine on its way.
#[derive(Debug)]
struct Life<'a> {
    world: World<'a>,
    /// `check` said "Ready", and nothing has happened since that could change that.
    ready: bool,
    /// Armed, and nothing has happened since that could make the plan stale.
    fresh: bool,
    /// Which system a command promised for the next boot.
    promised: Option<System>,
    finalized: bool,
    moved: bool,
    /// Somebody deleted what the old system needs to start.
    old_is_gone: bool,
    kernels: usize,
    works: usize,
}

/// Builds the machine, and lets everything happen.
///
/// # Errors
/// The first violation, with what happened before it.
pub fn live(bench: &Bench, machine: &Machine) -> Result<End> {
    let world = World::build(bench, machine)?;
    let mut life = Life {
        world,
        ready: false,
        fresh: false,
        promised: None,
        finalized: false,
        moved: false,
        old_is_gone: false,
        kernels: 1,
        works: 0,
    };
    let end = life.whole();
    end.map_err(|error| match error.downcast::<Violation>() {
        Ok(violation) => {
            let told = life.world.told.borrow();
            let story = told
                .iter()
                .rev()
                .take(14)
                .rev()
                .cloned()
                .collect::<Vec<_>>();
            let what = format!("{} [story: {}]", violation.what, story.join(" | "));
            Violation::error(violation.kind, what)
        }
        Err(other) => other,
    })
}

impl Life<'_> {
    fn whole(&mut self) -> Result<End> {
        // A machine that does not come up by itself is the harness's own mistake.
        booting::boot(&mut self.world, None)
            .map_err(|error| anyhow::anyhow!("at first: {error:#}"))?;
        oracle::keep(&mut self.world)?;
        oracle::files(&self.world, System::Old)
            .map_err(|error| anyhow::anyhow!("at first: {error:#}"))?;
        if self.world.machine.has("by-template") && !self.by_template()? {
            return Ok(End::Blocked);
        }
        let acts = self.world.machine.life.clone();
        for act in acts {
            self.world.tell(format!("[{act}]"));
            if self.act(act)? {
                return self.blocked();
            }
        }
        self.come_to_rest()
    }

    /// Lets the program itself write the batch. Whether it did.
    fn by_template(&self) -> Result<bool> {
        let template = match self.world.subvolume {
            "" => "flat-to-subvolumes",
            _ => "debian-rootfs",
        };
        let output = "/etc/rootshift-batch.json";
        let ran = self
            .world
            .program(&["new", "--template", template, "--output", output])?;
        Ok(ran.code == 0)
    }

    /// Whether `check` found a blocker, which is the end.
    fn act(&mut self, act: Act) -> Result<bool> {
        match act {
            Act::Check => return self.check(),
            Act::Plan => drop(self.world.program_with_batch(&["plan"])?),
            Act::Status => drop(self.world.program(&["status"])?),
            Act::Arm => self.arm()?,
            Act::Disarm => self.disarm()?,
            Act::Discard => self.discard()?,
            Act::Boot => self.boot(None)?,
            Act::CutBoot(number) => self.boot(Some(number))?,
            Act::Validate => drop(self.world.program(&["validate"])?),
            Act::Rollback => drop(self.rollback()?),
            Act::Finalize => drop(self.finalize()?),
            Act::CutFinalize(number) => self.cut_finalize(number)?,
            Act::Recover => drop(self.world.program(&["recover", "--yes"])?),
            Act::UpdateGrub => self.update_grub()?,
            Act::GrubInstall => super::honest::grub_install(&mut self.world)?,
            Act::Kernel => self.kernel(true)?,
            Act::BareKernel => self.kernel(false)?,
            Act::Work => self.work()?,
            Act::Tend(number) => self.tend(number)?,
            Act::Trick(number) => self.trick(number)?,
        }
        Ok(false)
    }

    fn system(&self) -> Option<System> {
        self.world.up.as_ref().map(|(system, _)| *system)
    }

    /// Nothing may have come of a machine that `check` refused, whatever is tried.
    fn blocked(&mut self) -> Result<End> {
        let before = oracle::listing(&self.world)?;
        let ran = self.world.program_with_batch(&["arm", "--yes"])?;
        if ran.code == 0 {
            let what = "check found a blocker, and arm found none";
            return Err(Violation::error(Kind::FalsePromise, what));
        }
        oracle::same(
            &before,
            &oracle::listing(&self.world)?,
            "an arm that refused",
        )?;
        if self.world.machine.features.is_empty() {
            anyhow::bail!("a plain machine is refused: {}", ran.said());
        }
        booting::down(&mut self.world)?;
        Ok(End::Blocked)
    }
}
