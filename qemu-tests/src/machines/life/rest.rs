//! The end of a life: the machine is brought to rest, and must get there.

use std::fs;

use anyhow::Result;

use super::{End, Life};
use crate::machines::act::Act;
use crate::machines::booting;
use crate::machines::honest::SNAPSHOT;
use crate::machines::oracle;
use crate::machines::shell::Ran;
use crate::machines::violation::{Kind, Violation};
use crate::machines::world::System;

/// Boots that `finalize` may ask for.
const ROUNDS: usize = 4;

impl Life<'_> {
    /// Finalizes or rolls back, as the seed says.
    pub(super) fn come_to_rest(&mut self) -> Result<End> {
        let finalizes = self.world.machine.chance("end").below(3) > 0;
        let is_fresh = matches!(
            self.world.machine.life.last(),
            Some(Act::Boot | Act::CutBoot(_))
        );
        if !is_fresh {
            self.boot(None)?;
        }
        let end = match (self.system(), finalizes) {
            (Some(System::New), true) => self.finalize_at_last()?,
            (Some(System::New), false) if self.is_given_up()? => self.finalize_at_last()?,
            (Some(System::New), false) => self.go_back(End::RolledBack)?,
            _ => self.stay()?,
        };
        booting::down(&mut self.world)?;
        booting::check_filesystem(&self.world)?;
        Ok(end)
    }

    fn is_given_up(&self) -> Result<bool> {
        Ok(["finalizing", "finalized"].contains(&self.world.stage()?.as_str()))
    }

    fn finalize_at_last(&mut self) -> Result<End> {
        let mut said = String::new();
        for _ in 0..ROUNDS {
            if self.world.stage()? == "finalized" {
                self.finalized = true;
                break;
            }
            let ran = self.finalize()?;
            said = ran.said();
            if self.finalized {
                break;
            }
            self.boot(None)?;
            if self.system() == Some(System::Old) {
                return self.stay();
            }
        }
        if !self.finalized {
            if self.is_given_up()? {
                let what = format!("finalize began and does not end: {said}");
                return Err(Violation::error(Kind::DeadEnd, what));
            }
            self.world.tell(format!("finalize refuses: {said}"));
            return self.go_back(End::Refused);
        }
        oracle::files(&self.world, System::New)?;
        self.boot(None)?;
        self.nothing_left()?;
        Ok(End::Finalized)
    }

    /// The old system and the trash are gone, and no image holds a plan.
    fn nothing_left(&self) -> Result<()> {
        if self.world.root().join("var/lib/rootshift/armed").exists() {
            let what = "it is finalized, and still armed";
            return Err(Violation::error(Kind::FalsePromise, what));
        }
        let has_eve = oracle::has_eve(&self.world);
        self.world.at_top(|top| {
            for entry in fs::read_dir(top)? {
                let entry = entry?;
                let trash = entry.path().join(".rootshift-trash");
                let is_somebodys = entry.file_name().to_string_lossy().contains(SNAPSHOT);
                if !has_eve && !is_somebodys && fs::symlink_metadata(&trash).is_ok() {
                    let what = format!("it is finalized, and {} is left", trash.display());
                    return Err(Violation::error(Kind::FalsePromise, what));
                }
            }
            Ok(())
        })
    }

    fn go_back(&mut self, end: End) -> Result<End> {
        let ran = self.rollback()?;
        if self.old_is_gone {
            return self.stay_in_the_new(&ran);
        }
        if ran.code != 0 {
            let what = format!(
                "the new system runs in stage {}, and rollback refuses: {}",
                self.world.stage()?,
                ran.said()
            );
            return Err(Violation::error(Kind::DeadEnd, what));
        }
        self.boot(None)?;
        self.stay()?;
        Ok(end)
    }

    /// Nothing goes back to what is not there, and nothing is said to.
    fn stay_in_the_new(&mut self, ran: &Ran) -> Result<End> {
        if ran.code == 0 {
            let what = format!("the old system can't start, and {}", ran.said());
            return Err(Violation::error(Kind::FalsePromise, what));
        }
        self.promised = Some(System::New);
        self.boot(None)?;
        Ok(End::Refused)
    }

    /// The old system runs: the images can be made ordinary, and it still comes up.
    fn stay(&mut self) -> Result<End> {
        let stage = self.world.stage()?;
        if stage != "idle" && stage != "disarmed" {
            let ran = self.world.program(&["disarm"])?;
            if ran.code != 0 {
                let what = format!(
                    "the old system runs in stage {stage}, and disarm refuses: {}",
                    ran.said()
                );
                return Err(Violation::error(Kind::DeadEnd, what));
            }
        }
        self.fresh = false;
        self.promised = Some(System::Old);
        self.boot(None)?;
        if self.world.root().join("var/lib/rootshift/armed").exists() {
            let what = "it is disarmed, and still armed";
            return Err(Violation::error(Kind::FalsePromise, what));
        }
        Ok(if self.moved {
            End::RolledBack
        } else {
            End::OldSystem
        })
    }
}
