//! Each act, with what it must come to.

use anyhow::{Context as _, Result};

use super::Life;
use crate::machines::booting;
use crate::machines::honest;
use crate::machines::hostile;
use crate::machines::oracle;
use crate::machines::shell::{self, Ran};
use crate::machines::violation::{Kind, Violation};
use crate::machines::world::{System, install_kernel};
use rootshift::fault::{FINALIZE_POINTS, POINTS};

/// Passages through a fault point that are tried.
const PASSAGES: usize = 4;

impl Life<'_> {
    /// Looks. Whether there is a blocker.
    pub(super) fn check(&mut self) -> Result<bool> {
        let before = oracle::listing(&self.world)?;
        let ran = self.world.program_with_batch(&["check"])?;
        oracle::same(&before, &oracle::listing(&self.world)?, "check")?;
        self.ready = ran.code == 0 && ran.stdout.contains("Ready.");
        if ran.code == 3 {
            let what = format!("check can't look: {}", ran.said());
            return Err(Violation::error(Kind::Crashed, what));
        }
        Ok(!self.moved && self.system() == Some(System::Old) && !self.ready)
    }

    pub(super) fn arm(&mut self) -> Result<()> {
        let stage = self.world.stage()?;
        let begins = ["idle", "failed", "disarmed", "rolled-back"].contains(&stage.as_str());
        let before = oracle::listing(&self.world)?;
        let ran = self.world.program_with_batch(&["arm", "--yes"])?;
        if ran.code == 0 {
            self.fresh = self.system() == Some(System::Old);
            self.promised = None;
            return oracle::own_places(&self.world);
        }
        if !begins || ran.code != 3 {
            oracle::same(
                &before,
                &oracle::listing(&self.world)?,
                "an arm that refused",
            )?;
        }
        if begins && self.ready && self.system() == Some(System::Old) && stage == "idle" {
            let what = format!(
                "check said Ready, and arm ended with {}: {}",
                ran.code,
                ran.said()
            );
            return Err(Violation::error(Kind::NotCommitted, what));
        }
        Ok(())
    }

    pub(super) fn disarm(&mut self) -> Result<()> {
        let ran = self.world.program(&["disarm"])?;
        if ran.code == 0 {
            self.fresh = false;
            self.promised = self.system();
        }
        Ok(())
    }

    pub(super) fn discard(&mut self) -> Result<()> {
        let ran = self.world.program(&["disarm", "--discard-journal"])?;
        if ran.code == 0 {
            self.fresh = false;
        }
        Ok(())
    }

    pub(super) fn rollback(&mut self) -> Result<Ran> {
        let ran = self.world.program(&["rollback", "--yes"])?;
        if ran.code == 0 {
            self.fresh = false;
            self.promised = Some(System::Old);
        }
        Ok(ran)
    }

    pub(super) fn finalize(&mut self) -> Result<Ran> {
        hostile::begin_to_swap(&self.world)?;
        let mut ran = self.world.program(&["finalize", "--yes"])?;
        for place in places_to_unmount(&ran) {
            // As it is told to, literally.
            let words = ["/run/tools/busybox", "umount", &place];
            let done = Ran::of(shell::inside(&self.world.root(), &words).output()?);
            self.world.tell(format!("umount {place} -> {}", done.code));
            ran = self.world.program(&["finalize", "--yes"])?;
        }
        if ran.line().contains("`chattr -ia`") {
            honest::unlock(&self.world)?;
            ran = self.world.program(&["finalize", "--yes"])?;
        }
        self.world.bench.end_children();
        if ran.code == 0 && ran.line().contains("Finalized") {
            self.finalized = true;
            self.promised = Some(System::New);
        }
        Ok(ran)
    }

    /// Cuts the deletion off, and starts the machine again.
    pub(super) fn cut_finalize(&mut self, number: u8) -> Result<()> {
        let point = point(FINALIZE_POINTS, number);
        // The first one may ask for a rehearsal.
        for _ in 0..2 {
            if self.system() != Some(System::New) {
                break;
            }
            let words = ["/run/tools/program", "finalize", "--yes"];
            let mut command = shell::inside(&self.world.root(), &words);
            match booting::cut_off(&self.world, &mut command, &point)? {
                None => {
                    self.world.up = None;
                    break;
                }
                Some(_) if self.world.stage()? == "finalized" => {
                    self.finalized = true;
                    break;
                }
                Some(_) => self.boot(None)?,
            }
        }
        self.promised = None;
        self.boot(None)
    }

    pub(super) fn update_grub(&mut self) -> Result<()> {
        self.stale();
        honest::update_grub(&self.world)
    }

    pub(super) fn kernel(&mut self, with_hook: bool) -> Result<()> {
        self.kernels += 1;
        install_kernel(&self.world, self.kernels)?;
        self.ready = false;
        if with_hook && self.world.root().join("var/lib/rootshift/armed").exists() {
            let ran = self.world.program(&["arm", "--renew"])?;
            self.fresh = self.fresh && ran.code == 0;
        } else {
            self.fresh = false;
        }
        Ok(())
    }

    pub(super) fn work(&mut self) -> Result<()> {
        self.works += 1;
        honest::work(&self.world, self.works)
    }

    pub(super) fn tend(&mut self, number: u8) -> Result<()> {
        self.stale();
        if honest::tend(&self.world, number)? {
            self.old_is_gone = true;
            self.promised = None; // such a promise is called off
        }
        Ok(())
    }

    pub(super) fn trick(&mut self, number: u8) -> Result<()> {
        self.stale();
        hostile::trick(&self.world, number)
    }

    /// What was said or armed before may not hold any more.
    fn stale(&mut self) {
        self.ready = false;
        self.fresh = false;
    }

    /// Starts it, and looks at what has come up.
    pub(super) fn boot(&mut self, cut: Option<u8>) -> Result<()> {
        let cut = cut.map(|number| point(POINTS, number));
        let before = self.system();
        let system = booting::boot(&mut self.world, cut.as_deref())?;
        if before == Some(System::Old) && system == System::New {
            oracle::keep_for_new(&mut self.world)?;
            self.moved = true;
        }
        self.as_promised(system)?;
        let fresh = std::mem::take(&mut self.fresh);
        if fresh && system == System::Old {
            let why = self.world.program(&["status"])?;
            let what = format!(
                "nothing changed since Ready and arm, and it did not move: {}",
                why.line()
            );
            return Err(Violation::error(Kind::NotCommitted, what));
        }
        oracle::files(&self.world, system)?;
        oracle::table(&mut self.world)?;
        oracle::on_demand(&self.world)?;
        if system == System::New && before != Some(System::New) {
            oracle::own_places(&self.world)?;
        }
        let validated = booting::validate_as_unit(&self.world)?;
        match validated {
            Some(ran) if fresh && ran.code != 0 => {
                let what = format!("it moved, and does not pass its validation: {}", ran.said());
                Err(Violation::error(Kind::NotCommitted, what))
            }
            _ => Ok(()),
        }
    }

    fn as_promised(&mut self, system: System) -> Result<()> {
        let promised = self.promised.take();
        if promised.is_none_or(|promised| promised == system) {
            return Ok(());
        }
        let what = format!("{promised:?} was promised for this boot, and it is {system:?}");
        Err(Violation::error(Kind::FalsePromise, what))
    }
}

fn point(points: &[&str], number: u8) -> String {
    let number = usize::from(number);
    let name = points
        .get(number % points.len())
        .copied()
        .unwrap_or("committed");
    format!("{name}:{}", 1 + number / points.len() % PASSAGES)
}

/// What a refusal says to unmount.
fn places_to_unmount(ran: &Ran) -> Vec<String> {
    let line = ran.line();
    let named = line.split("umount ").skip(1).filter_map(|rest| {
        let word = rest
            .split([' ', '`', ';', ','])
            .next()
            .context("a word")
            .ok()?;
        word.starts_with('/').then(|| word.to_owned())
    });
    named.take(3).collect()
}
