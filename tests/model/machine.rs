//! Turns: what a person, a boot, another program or an accident may do next.

use rootshift::engine::Stage;
use rootshift::engine::transition::{Act, Answer, Event, Images, Named, Remedy, answer, named};
use stateright::{Model, Property};

use super::world::{Bit, Log, Luck, Made, Proof, System, Tree, Up, World, bits};

/// By which rules commands act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// The program's.
    Table,
    /// A bug on purpose: `rollback` takes the images for what the journal says they are, and
    /// `recover` does not look for images without a plan.
    RollbackWithoutLooking,
    /// A bug on purpose: a validated system is enough for `finalize`.
    FinalizeWithoutRehearsal,
}

#[derive(Debug, Clone)]
pub struct Machine {
    rules: Rules,
}

/// Where a command or a boot ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    Whole,
    /// Killed, or the power cut, when so many bits were done.
    Cut(usize),
    /// The next bit fails; what the command does then is done as well.
    Fails(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Turn {
    Command(Event, Luck, End),
    /// With an image that holds a plan, or with one that holds none.
    Boot {
        armed: bool,
        luck: Luck,
        end: End,
    },
    BootSnapshot,
    /// A kernel package puts one more image beside the others.
    InstallKernel,
    UpdateInitramfs,
    ChangeFstab,
    ForceRemove,
    Install,
    DamageJournal,
    LosePlan,
    LoseJournal,
    /// An armed journal of before, without the trees.
    PutJournalBack,
    /// Somebody tidies up: the old system, or what GRUB needs of it.
    DeleteOldSystem,
}

impl Turn {
    /// Whether a person can take it, and nothing disturbs it.
    pub fn is_calm(self) -> bool {
        match self {
            Self::Command(_, _, end) | Self::Boot { end, .. } => end == End::Whole,
            Self::Install => true,
            Self::BootSnapshot
            | Self::InstallKernel
            | Self::UpdateInitramfs
            | Self::ChangeFstab
            | Self::ForceRemove
            | Self::DamageJournal
            | Self::LosePlan
            | Self::LoseJournal
            | Self::PutJournalBack
            | Self::DeleteOldSystem => false,
        }
    }
}

pub const PROVED: &str = "nothing is deleted without proof";
pub const KEPT: &str = "a promise that was made is kept";

const COMMANDS: [Event; 12] = [
    Event::Arm,
    Event::Renew,
    Event::Disarm,
    Event::DiscardJournal,
    Event::RemovePackage,
    Event::Rollback,
    Event::ReturnTo,
    Event::Emergency,
    Event::Finalize,
    Event::Resume,
    Event::Validate,
    Event::Recover,
];

const LUCK: [Luck; 2] = [Luck { good: true }, Luck { good: false }];

/// Which commands look into the images before they ask.
fn looks(event: Event) -> bool {
    match event {
        Event::Arm | Event::Renew | Event::Validate | Event::Run { .. } | Event::Boot { .. } => {
            false
        }
        // With a journal they don't.
        Event::Disarm
        | Event::DiscardJournal
        | Event::RemovePackage
        | Event::Rollback
        | Event::ReturnTo
        | Event::Emergency
        | Event::Finalize
        | Event::Resume
        | Event::Recover => true,
    }
}

impl Machine {
    pub fn new(rules: Rules) -> Self {
        Self { rules }
    }

    pub fn answer(&self, world: &World, event: Event) -> Answer {
        let now = world.situation(looks(event));
        let said = answer(&now, event);
        let stage = world.stage();
        match (self.rules, event, stage) {
            (Rules::RollbackWithoutLooking, Event::Rollback | Event::ReturnTo, Some(stage)) => {
                match stage {
                    Stage::Committed | Stage::Validated | Stage::Rehearsing | Stage::Rehearsed => {
                        Ok(vec![Act::RequestRollback])
                    }
                    Stage::RollbackRequested => Ok(vec![]),
                    _ => said,
                }
            }
            (Rules::FinalizeWithoutRehearsal, Event::Finalize, Some(Stage::Validated)) => {
                let images = [Act::Withdraw, Act::MakeImages, Act::RecordDisarmed];
                Ok([&images[..], &[Act::BeginFinalize, Act::Delete]].concat())
            }
            (Rules::RollbackWithoutLooking, Event::Recover, _) => said.map(|mut acts| {
                if acts.contains(&Act::Offer) {
                    acts.clear();
                }
                acts
            }),
            _ => said,
        }
    }

    fn turn(&self, last: World, turn: Turn) -> Option<World> {
        let mut world = last;
        match turn {
            Turn::Command(event, luck, end) => return self.command(world, event, luck, end),
            Turn::Boot { armed, luck, end } => return self.boot(world, armed, luck, end),
            Turn::BootSnapshot => {
                world.up = Up::Another;
                world.promised = false;
            }
            Turn::InstallKernel => {
                world.make_images(false);
                world.promised &= world.loaded() == Made::Armed;
            }
            Turn::UpdateInitramfs => {
                world.make_images(true);
                world.promised &= world.loaded() == Made::Armed;
            }
            Turn::ChangeFstab => {
                world.stale = matches!(
                    world.stage(),
                    Some(Stage::Planned | Stage::Armed | Stage::Preparing)
                );
            }
            Turn::ForceRemove => world.package = false,
            Turn::Install => world.package = true,
            Turn::DamageJournal | Turn::LosePlan if world.log == Log::Missing => return None,
            Turn::DamageJournal => world.log = Log::Damaged,
            Turn::LosePlan => world.log = Log::Foreign,
            Turn::LoseJournal => world.log = Log::Missing,
            Turn::DeleteOldSystem => delete_old_system(&mut world)?,
            Turn::PutJournalBack => {
                world.log = Log::Sound {
                    stage: Stage::Armed,
                    armed: true,
                    attempts: 0,
                    trials: 0,
                };
                world.proof = Proof::None;
            }
        }
        let lost = [
            Turn::DamageJournal,
            Turn::LosePlan,
            Turn::LoseJournal,
            Turn::PutJournalBack,
        ];
        if lost.contains(&turn) {
            world.promised = false;
            world.spoilt = true;
        }
        Some(world)
    }

    /// The checks of `arm` pass.
    fn is_ready(world: &World, event: Event) -> bool {
        event != Event::Arm
            || (world.up == Up::System(System::Old, true)
                && world.path == System::Old
                && world.old == Tree::Whole
                && matches!(world.new, Tree::None | Tree::Aside))
    }

    fn command(&self, mut world: World, event: Event, luck: Luck, end: End) -> Option<World> {
        let acts = self.answer(&world, event).ok()?;
        let all = bits(&acts, luck);
        let whole = run(&mut world, &all, end, event == Event::Arm)?;
        world.promised = false;
        if whole {
            let back = matches!(
                world.stage(),
                Some(Stage::RollbackRequested | Stage::RollingBack)
            );
            world.promised = event == Event::Rollback && back;
            if event == Event::RemovePackage {
                world.package = false;
            }
        }
        Some(world)
    }

    fn boot(&self, mut world: World, armed: bool, luck: Luck, end: End) -> Option<World> {
        let promised = world.promised;
        let loader_names_new = world.path == System::New && world.chain;
        world.up = Up::Nothing;
        world.promised = false;
        let before = world.stage();
        let mut looks_on = false;
        if armed {
            let now = world.situation(true);
            let event = Event::Boot { loader_names_new };
            let mut acts = answer(&now, event).ok()?;
            // Nothing is begun with another plan than the journal's.
            let other = world.loaded() == Made::Other;
            if other && before.is_some_and(|stage| named(stage) == Named::AsGiven) {
                acts.clear();
            }
            looks_on = acts.contains(&Act::BeginRehearsal);
            let all = bits(&acts, luck);
            if !run(&mut world, &all, end, false)? && end != End::Whole {
                if promised && world.stage() != Some(Stage::RollingBack) {
                    world.promised = true; // a cut: the next one it is
                }
                return Some(world);
            }
        } else if end != End::Whole {
            return None;
        }
        let was_new = before.is_some_and(Stage::new_system_is_root);
        let committed = !was_new && world.stage() == Some(Stage::Committed);
        if committed {
            return Some(world); // it restarts
        }
        let root = match world.stage().filter(|_| armed && !looks_on).map(named) {
            Some(Named::New) if world.new == Tree::Whole => System::New,
            Some(Named::New | Named::Old) => System::Old,
            Some(Named::AsGiven) | None => match loader_names_new {
                true => System::New,
                false => System::Old,
            },
        };
        let loader = match world.path == System::New && world.chain {
            true => System::New,
            false => System::Old,
        };
        let tree = match root {
            System::Old => world.old,
            System::New => world.new,
        };
        world.up = match tree {
            Tree::Whole => Up::System(root, root == loader),
            Tree::None | Tree::Prepared | Tree::Aside | Tree::Half => Up::Broken,
        };
        if promised && root != System::Old {
            world.wrong = Some("it was promised that this boot goes back");
        }
        Some(world)
    }
}

/// As somebody does who has a new system that boots by itself, and needs the room.
fn delete_old_system(world: &mut World) -> Option<()> {
    let is_kept = matches!(
        world.stage(),
        Some(
            Stage::Committed
                | Stage::Validated
                | Stage::Rehearsing
                | Stage::Rehearsed
                | Stage::RollbackRequested
        )
    );
    let runs_new = matches!(world.up, Up::System(System::New, _));
    if !is_kept || !runs_new || world.path != System::New || !world.chain {
        return None;
    }
    world.old = Tree::None;
    (world.promised, world.spoilt) = (false, true);
    Some(())
}

/// Whether it came to its end; `None` where there is nothing to be cut.
fn run(world: &mut World, all: &[Bit], end: End, undoes: bool) -> Option<bool> {
    let stop = match end {
        End::Whole => all.len(),
        End::Cut(at) | End::Fails(at) if at < all.len() => at,
        End::Cut(_) | End::Fails(_) => return None,
    };
    let done = all[..stop].iter().all(|bit| world.apply(*bit));
    let fails = matches!(end, End::Fails(_));
    if undoes && (fails || !done) {
        let undo = [Act::Withdraw, Act::MakeImages, Act::RecordDisarmed];
        let all = bits(&undo, Luck { good: true });
        let _ = all.iter().all(|bit| world.apply(*bit));
        return Some(false);
    }
    if done && fails && all.get(stop) == Some(&Bit::Prepare) {
        let given_up = [Bit::Prepare, Bit::Fail, Bit::Act(Act::TakeBack)];
        let _ = given_up.iter().all(|bit| world.apply(*bit));
        return Some(true); // the boot goes on
    }
    Some(done && end == End::Whole)
}

fn ends(number: usize, may_fail: bool) -> Vec<End> {
    let cuts = (0..number).map(End::Cut);
    let fails = (0..number).filter(|_| may_fail).map(End::Fails);
    std::iter::once(End::Whole)
        .chain(cuts)
        .chain(fails)
        .collect()
}

impl Model for Machine {
    type State = World;
    type Action = Turn;

    fn init_states(&self) -> Vec<World> {
        vec![World::first(true), World::first(false)]
    }

    fn actions(&self, world: &World, turns: &mut Vec<Turn>) {
        let can_run = world.is_up() && world.package;
        for event in COMMANDS.into_iter().filter(|_| can_run) {
            if !Self::is_ready(world, event) {
                continue;
            }
            let Ok(acts) = self.answer(world, event) else {
                continue;
            };
            for luck in LUCK {
                if !luck.good && !acts.contains(&Act::RecordVerdict) {
                    continue;
                }
                let number = bits(&acts, luck).len();
                for end in ends(number, event == Event::Arm) {
                    turns.push(Turn::Command(event, luck, end));
                }
            }
        }
        let kinds: &[bool] = match world.loaded() {
            Made::Armed | Made::Other => &[true],
            Made::Ordinary => &[false],
            Made::Mixed => &[true, false],
        };
        for armed in kinds.iter().copied() {
            for luck in LUCK {
                for end in ends(if armed { 4 } else { 0 }, armed) {
                    turns.push(Turn::Boot { armed, luck, end });
                }
            }
        }
        turns.push(Turn::BootSnapshot);
        if world.is_up() {
            turns.extend([
                Turn::InstallKernel,
                Turn::UpdateInitramfs,
                Turn::ChangeFstab,
            ]);

            if !world.spoilt {
                turns.extend([Turn::DamageJournal, Turn::LosePlan]);
                turns.extend([Turn::LoseJournal, Turn::PutJournalBack]);
                turns.push(Turn::DeleteOldSystem);
            }
            turns.push(match world.package {
                true => Turn::ForceRemove,
                false => Turn::Install,
            });
        }
    }

    fn next_state(&self, last: &World, turn: Turn) -> Option<World> {
        let mut next = self.turn(*last, turn)?;
        next.forget();
        (next != *last).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::<Self>::always("every boot ends in a whole system", |_, world| {
                world.up != Up::Broken
            }),
            Property::<Self>::always(KEPT, |_, world| {
                world.wrong != Some("it was promised that this boot goes back")
            }),
            Property::<Self>::always(PROVED, |_, world| {
                world.wrong.is_none_or(|wrong| !wrong.contains("system is"))
            }),
            Property::<Self>::always("what `status` promises comes", comes),
            Property::<Self>::always("a remedy that is printed is not refused", remedies_work),
            Property::<Self>::sometimes("a migration is finalized", |_, world| {
                world.stage() == Some(Stage::Finalized)
            }),
            Property::<Self>::sometimes("a migration is rolled back", |_, world| {
                world.stage() == Some(Stage::RolledBack)
            }),
        ]
    }
}

/// `status` says "the next boot goes back" where the images hold the plan: so does every one; and
/// where there is nothing to go back to, every one calls the rollback off, and says so.
fn comes(model: &Machine, world: &World) -> bool {
    let asked = world.stage() == Some(Stage::RollbackRequested);
    let now = world.situation(true);
    if !asked || !world.is_up() || now.images != Images::Armed {
        return true;
    }
    let next = model.boot(*world, true, Luck { good: true }, End::Whole);
    next.is_some_and(|next| match now.old_is_there {
        true => matches!(next.up, Up::System(System::Old, _)),
        false => {
            matches!(next.up, Up::System(System::New, _)) && next.stage() == Some(Stage::Committed)
        }
    })
}

fn remedies_work(model: &Machine, world: &World) -> bool {
    if !world.is_up() {
        return true;
    }
    COMMANDS
        .iter()
        .all(|event| match model.answer(world, *event) {
            Ok(_) => true,
            Err(refusal) => match refusal.remedy {
                Remedy::Command(remedy) => model.answer(world, remedy).is_ok(),
                Remedy::Nothing => matches!(
                    world.stage(),
                    Some(Stage::Finalized | Stage::RolledBack | Stage::Disarmed)
                ),
                Remedy::Reboot | Remedy::Status | Remedy::OtherVersion => true,
            },
        })
}

/// Nothing is under way, and a whole system runs that the boot loader names by itself.
pub fn is_an_end(world: &World) -> bool {
    let over = match world.log {
        Log::Missing => true,
        Log::Damaged | Log::Foreign => false,
        Log::Sound { stage, armed, .. } => {
            !armed
                && matches!(
                    stage,
                    Stage::Disarmed | Stage::RolledBack | Stage::Finalized
                )
        }
    };
    let whole = match world.up {
        Up::System(System::Old, agrees) => agrees && world.old == Tree::Whole,
        Up::System(System::New, agrees) => agrees && world.new == Tree::Whole,
        Up::Nothing | Up::Another | Up::Broken => false,
    };
    // An image does nothing then, whatever it holds.
    over && whole
}
