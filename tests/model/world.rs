//! A machine as far as the transition table and a boot loader can tell, and what each act does to
//! it. Every act is taken apart into what is durable at once: a cut may come between any two.

use rootshift::engine::Stage;
use rootshift::engine::transition::{Act, Book, Images, Known, Seen, Situation};

/// Boots that may take a migration up, and trials: as few as show what comes after the last one.
const LIMIT: u8 = 1;

/// What the images of one system are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Made {
    /// With the plan.
    Armed,
    /// With the plan of an earlier arming.
    Other,
    Ordinary,
    /// Some with, some without.
    Mixed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tree {
    None,
    /// Beside the old system, before the commit.
    Prepared,
    Whole,
    /// After a rollback.
    Aside,
    /// Half deleted.
    Half,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Log {
    Missing,
    Damaged,
    Foreign,
    Sound {
        stage: Stage,
        armed: bool,
        attempts: u8,
        trials: u8,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum System {
    Old,
    New,
}

/// What is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Up {
    /// The machine is off, or restarts.
    Nothing,
    /// A system, and whether the boot loader by itself named it.
    System(System, bool),
    /// A snapshot from GRUB's menu.
    Another,
    /// No system came up.
    Broken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct World {
    /// Whether the old root is the top level, so that its /boot is what GRUB reads.
    pub flat: bool,
    pub log: Log,
    /// Whose /boot GRUB reads, and which root it names.
    pub path: System,
    /// Whether GRUB by itself boots the new system.
    pub chain: bool,
    pub old_images: Made,
    pub new_images: Made,
    pub old_hook: bool,
    pub new_hook: bool,
    pub old: Tree,
    pub new: Tree,
    pub up: Up,
    pub package: bool,
    /// A file that the plan was made from was changed.
    pub stale: bool,
    /// What was shown of the new system since the commit.
    pub proof: Proof,
    /// Whether the journal was spoilt already: once is enough.
    pub spoilt: bool,
    /// It was said just now that the next boot goes back.
    pub promised: bool,
    /// The first thing that must never happen.
    pub wrong: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Proof {
    None,
    Validated,
    Rehearsed,
}

/// What is durable at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bit {
    Act(Act),
    SomeImages,
    AllImages,
    Attempt,
    Prepare,
    /// With a boot chain that holds by itself, or not.
    Commit(bool),
    Fail,
    Flip,
    RollbackBegun,
    FlipBack,
    KeepAside,
    RolledBack,
    DeleteSome,
    DeleteRest,
    Finalized,
    Verdict(bool),
}

/// Which way things go that nobody decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Luck {
    /// A step, a check, a boot chain: well, or not.
    pub good: bool,
}

pub fn bits(acts: &[Act], luck: Luck) -> Vec<Bit> {
    let mut bits = Vec::new();
    for act in acts {
        match act {
            Act::MakeImages => bits.extend([Bit::SomeImages, Bit::AllImages]),
            Act::Migrate => bits.extend([
                Bit::Attempt,
                Bit::Prepare,
                Bit::Commit(luck.good),
                Bit::Flip,
            ]),
            Act::GiveUp => bits.extend([Bit::Fail, Bit::Act(Act::TakeBack)]),
            Act::CompleteCommit => bits.push(Bit::Flip),
            Act::RollBack => bits.extend([
                Bit::RollbackBegun,
                Bit::FlipBack,
                Bit::KeepAside,
                Bit::RolledBack,
            ]),
            Act::Delete => bits.extend([Bit::DeleteSome, Bit::DeleteRest, Bit::Finalized]),
            Act::RecordVerdict => bits.push(Bit::Verdict(luck.good)),
            Act::AwaitRehearsal => {}
            Act::Freeze
            | Act::Offer
            | Act::Withdraw
            | Act::RecordArmed
            | Act::RecordRearmed
            | Act::RecordDisarmed
            | Act::GiveUpPlan
            | Act::LookOrdinary
            | Act::TakeBack
            | Act::ReturnTo
            | Act::RecordRenewed
            | Act::RequestRollback
            | Act::BeginFinalize
            | Act::PutJournalAside
            | Act::CountTrial
            | Act::BeginRehearsal
            | Act::CallOffRollback
            | Act::FailRehearsal => bits.push(Bit::Act(*act)),
        }
    }
    bits
}

impl World {
    pub fn first(flat: bool) -> Self {
        Self {
            flat,
            log: Log::Missing,
            path: System::Old,
            chain: true,
            old_images: Made::Ordinary,
            new_images: Made::Ordinary,
            old_hook: false,
            new_hook: false,
            old: Tree::Whole,
            new: Tree::None,
            up: Up::System(System::Old, true),
            package: true,
            stale: false,
            proof: Proof::None,
            spoilt: false,
            promised: false,
            wrong: None,
        }
    }

    /// What can't matter any more is as it was at first: fewer states, none of them another one.
    pub fn forget(&mut self) {
        let before = matches!(
            self.stage(),
            Some(Stage::Planned | Stage::Armed | Stage::Preparing)
        );
        self.stale &= before;
        if self.new != Tree::Whole {
            (self.new_images, self.new_hook, self.chain) = (Made::Ordinary, false, true);
            self.proof = Proof::None;
        }
        if self.old == Tree::None {
            (self.old_images, self.old_hook) = (Made::Ordinary, false);
        }
        let on_trial = matches!(
            self.stage(),
            Some(Stage::Committed | Stage::Validated | Stage::Rehearsing | Stage::Rehearsed)
        );
        if let Log::Sound {
            attempts, trials, ..
        } = &mut self.log
        {
            *attempts *= u8::from(before);
            *trials *= u8::from(on_trial);
        }
    }

    pub fn stage(&self) -> Option<Stage> {
        match self.log {
            Log::Sound { stage, .. } => Some(stage),
            Log::Missing | Log::Damaged | Log::Foreign => None,
        }
    }

    pub fn is_up(&self) -> bool {
        matches!(self.up, Up::System(..) | Up::Another)
    }

    /// The images that GRUB loads.
    pub fn loaded(&self) -> Made {
        match self.path {
            System::Old => self.old_images,
            System::New => self.new_images,
        }
    }

    /// The images that update-initramfs makes in the running system. A flat old system's /boot is
    /// the boot path itself.
    fn own_images(&mut self) -> Option<&mut Made> {
        match (self.up, self.flat, self.path) {
            (Up::System(System::New, _), ..) => Some(&mut self.new_images),
            (Up::System(System::Old, _), true, System::New) => Some(&mut self.new_images),
            (Up::System(System::Old, _), ..) => Some(&mut self.old_images),
            (Up::Nothing | Up::Another | Up::Broken, ..) => None,
        }
    }

    fn hook(&mut self) -> Option<&mut bool> {
        match self.up {
            Up::System(System::New, _) => Some(&mut self.new_hook),
            Up::System(System::Old, _) => Some(&mut self.old_hook),
            Up::Nothing | Up::Another | Up::Broken => None,
        }
    }

    fn puts_plan(&mut self) -> bool {
        self.package && self.hook().is_some_and(|hook| *hook)
    }

    /// update-initramfs, over all images or over the first ones.
    pub fn make_images(&mut self, all: bool) {
        let made = match self.puts_plan() {
            true => Made::Armed,
            false => Made::Ordinary,
        };
        if let Some(own) = self.own_images() {
            *own = if all || *own == made {
                made
            } else {
                Made::Mixed
            };
        }
    }

    pub fn situation(&self, looks: bool) -> Situation {
        let images = match self.loaded() {
            _ if !looks => Images::Unknown,
            Made::Armed => Images::Armed,
            Made::Ordinary => Images::Ordinary,
            Made::Mixed | Made::Other => Images::Mixed,
        };
        let (running, loader_agrees) = match self.up {
            Up::Nothing | Up::Broken => (Seen::Initramfs, true),
            Up::Another => (Seen::Another, true),
            Up::System(_, agrees) if self.log == Log::Missing => (Seen::Unknown, agrees),
            Up::System(System::Old, agrees) => (Seen::Old, agrees),
            Up::System(System::New, agrees) => (Seen::New, agrees),
        };
        let offered = match self.up {
            Up::System(System::Old, _) => self.old_hook,
            Up::System(System::New, _) => self.new_hook,
            Up::Nothing | Up::Another | Up::Broken => false,
        };
        Situation {
            book: self.book(),
            images,
            offered,
            running,
            loader_agrees,
            old_is_there: self.old == Tree::Whole,
        }
    }

    fn book(&self) -> Book {
        match self.log {
            Log::Missing => Book::Missing,
            Log::Damaged => Book::Damaged,
            Log::Foreign => Book::Foreign,
            Log::Sound {
                stage,
                armed,
                attempts,
                trials,
            } => Book::Sound(Known {
                stage,
                armed,
                work: self.new == Tree::Prepared,
                boots_left: match stage {
                    Stage::Committed | Stage::Validated | Stage::Rehearsing | Stage::Rehearsed => {
                        trials < LIMIT
                    }
                    _ => attempts < LIMIT,
                },
                takes_back: true,
            }),
        }
    }

    fn set(&mut self, to: Stage) {
        if let Log::Sound { stage, .. } = &mut self.log {
            *stage = to;
        }
    }

    fn set_armed(&mut self, to: bool) {
        if let Log::Sound { armed, .. } = &mut self.log {
            *armed = to;
        }
    }

    /// Does one bit. False: it failed, and the command ends there.
    pub fn apply(&mut self, bit: Bit) -> bool {
        match bit {
            Bit::Act(act) => return self.act(act),
            Bit::SomeImages => self.make_images(false),
            Bit::AllImages => self.make_images(true),
            Bit::Attempt => {
                // The plan has to fit, and nothing may be prepared that the journal does not know.
                let known = self.stage() == Some(Stage::Preparing);
                // An image that was made since is a change until it is seen to hold the plan.
                let fits = !self.stale && self.old_images == Made::Armed;
                let is_free = matches!(self.new, Tree::None | Tree::Aside)
                    || (self.new == Tree::Prepared && known);
                if !fits || !is_free {
                    return false;
                }
                self.set(Stage::Preparing);
                if let Log::Sound { attempts, .. } = &mut self.log {
                    *attempts += 1;
                }
            }
            Bit::Prepare => self.new = Tree::Prepared,
            Bit::Commit(chain) => {
                if let Log::Sound { attempts, .. } = &mut self.log {
                    *attempts = 0;
                }
                self.new = Tree::Whole;
                self.new_images = self.old_images;
                self.new_hook = self.old_hook;
                self.chain = chain;
                self.proof = Proof::None;
                self.set(Stage::Committed);
            }
            Bit::Fail => self.set(Stage::Failed),
            Bit::Flip => {
                if self.new == Tree::Whole {
                    self.path = System::New;
                }
            }
            Bit::RollbackBegun => self.set(Stage::RollingBack),
            Bit::FlipBack => self.path = System::Old,
            Bit::KeepAside => {
                if self.new == Tree::Whole {
                    self.new = Tree::Aside;
                }
            }
            Bit::RolledBack => self.set(Stage::RolledBack),
            Bit::DeleteSome => self.delete(Tree::Half),
            Bit::DeleteRest => self.delete(Tree::None),
            Bit::Finalized => self.set(Stage::Finalized),
            Bit::Verdict(good) => return self.verdict(good),
        }
        true
    }

    fn delete(&mut self, left: Tree) {
        if self.stage() != Some(Stage::Finalizing) {
            self.wrong = Some("the old system is deleted and the journal does not say so");
        }
        if self.up != Up::System(System::New, true) && self.up != Up::System(System::New, false) {
            self.wrong = Some("the old system is deleted from another one than the new one");
        }
        self.old = left;
    }

    /// The checks look at the boot path as well. False: a command that needs it ends.
    fn verdict(&mut self, good: bool) -> bool {
        if !good || self.path != System::New {
            return false;
        }
        let by_itself = self.up == Up::System(System::New, true) && self.chain;
        match self.stage() {
            Some(Stage::Committed) => {
                self.set(Stage::Validated);
                self.proof = self.proof.max(Proof::Validated);
            }
            // Boots begin to rehearse anew.
            Some(Stage::Validated) => {}
            Some(Stage::Rehearsing) if by_itself => {
                self.set(Stage::Rehearsed);
                self.proof = Proof::Rehearsed;
            }
            _ => return false,
        }
        self.set_trials(0);
        true
    }

    fn set_trials(&mut self, to: u8) {
        if let Log::Sound { trials, .. } = &mut self.log {
            *trials = to;
        }
    }

    #[allow(clippy::too_many_lines)] // one arm for each act
    fn act(&mut self, act: Act) -> bool {
        match act {
            Act::Freeze => {
                self.log = Log::Sound {
                    stage: Stage::Planned,
                    armed: false,
                    attempts: 0,
                    trials: 0,
                };
                self.stale = false;
                for images in [&mut self.old_images, &mut self.new_images] {
                    if *images == Made::Armed {
                        *images = Made::Other;
                    }
                }
            }
            Act::Offer | Act::Withdraw => {
                if let Some(hook) = self.hook() {
                    *hook = act == Act::Offer;
                }
            }
            Act::RecordArmed | Act::RecordRearmed => {
                let own = self.own_images().copied();
                if own != Some(Made::Armed) || self.loaded() != Made::Armed {
                    return false;
                }
                self.set_armed(true);
                if act == Act::RecordArmed {
                    self.set(Stage::Armed);
                }
            }
            Act::RecordDisarmed | Act::GiveUpPlan => {
                let own = self.own_images().copied();
                if act == Act::RecordDisarmed && own != Some(Made::Ordinary) {
                    return false;
                }
                self.set_armed(false);
                if matches!(
                    self.stage(),
                    Some(Stage::Planned | Stage::Armed | Stage::Preparing)
                ) {
                    self.set(Stage::Disarmed);
                }
            }
            Act::LookOrdinary => return self.own_images().copied() == Some(Made::Ordinary),
            Act::TakeBack => {
                if self.new == Tree::Prepared {
                    self.new = Tree::None;
                }
            }
            Act::ReturnTo => {
                self.set(Stage::Armed);
                if let Log::Sound { attempts, .. } = &mut self.log {
                    *attempts = 0;
                }
                if self.new == Tree::Prepared {
                    self.new = Tree::None; // to the first checkpoint
                }
            }
            Act::RequestRollback => self.set(Stage::RollbackRequested),
            Act::BeginFinalize => {
                if self.proof < Proof::Rehearsed {
                    self.wrong = Some("the old system is given up without proof of the new one");
                }
                self.set(Stage::Finalizing);
            }
            Act::PutJournalAside => self.log = Log::Missing,
            Act::CountTrial => {
                if let Log::Sound { trials, .. } = &mut self.log {
                    *trials += 1;
                }
            }
            Act::BeginRehearsal => {
                self.set(Stage::Rehearsing);
                if let Log::Sound { trials, .. } = &mut self.log {
                    *trials += 1;
                }
            }
            Act::FailRehearsal => self.set(Stage::Validated),
            Act::CallOffRollback => {
                self.set(Stage::Committed);
                self.set_trials(1);
            }
            Act::RecordRenewed
            | Act::MakeImages
            | Act::Delete
            | Act::RecordVerdict
            | Act::AwaitRehearsal
            | Act::Migrate
            | Act::GiveUp
            | Act::CompleteCommit
            | Act::RollBack => {}
        }
        true
    }
}
