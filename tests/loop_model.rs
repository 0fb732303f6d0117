//! The model's walks, sampled, on the real program: after each turn the disk is what the model
//! says, and the command ended as it says. Seeds in `ROOTSHIFT_SEEDS` (`3,17`) are walked instead.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod common;
#[path = "model/machine.rs"]
mod machine;
#[path = "model/world.rs"]
mod world;

use std::fs;
use std::path::Path;

use common::{Disk, IMAGES, Kind, is_thorough};
use machine::{End, Machine, Rules, Turn};
use rootshift::documents::plan::{JOURNAL, PLAN};
use rootshift::engine::Stage;
use rootshift::engine::transition::{Act, Book, Event, answer};
use stateright::Model as _;
use world::{Bit, Log, Luck, Made, System, Tree, Up, World, bits};

const ARMED: &str = "var/lib/rootshift/armed";
const LENGTH: usize = 12;

/// As good as any, and the same on every machine.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

#[test]
fn program_and_model_agree_state_by_state() {
    let seeds: Vec<u64> = match std::env::var("ROOTSHIFT_SEEDS") {
        Ok(text) => text.split(',').map(|seed| seed.parse().unwrap()).collect(),
        Err(_) if is_thorough() => (1..=60).collect(),
        Err(_) => (1..=4).collect(),
    };
    let mut turns = 0;
    for seed in seeds {
        turns += walk(seed);
    }
    println!("{turns} turns");
    assert!(turns > 30, "{turns}");
}

fn walk(seed: u64) -> usize {
    let model = Machine::new(Rules::Table);
    let mut chance = Chance(seed);
    chance.below(7);
    let kind = Kind::ALL[usize::try_from(seed % 2).unwrap()];
    let mut real = Real {
        disk: Disk::with_images(kind),
        said: String::new(),
    };
    let mut world = World::first(kind == Kind::Flat);
    let mut history = Vec::new();
    for _ in 0..LENGTH {
        let Some((turn, next)) = choose(&model, &world, &mut chance) else {
            break;
        };
        history.push(turn);
        real.take(&model, &world, turn);
        real.disk.keep_plan();
        world = next;
        real.assert_is(&world, &format!("seed {seed}: {history:#?}\n{}", real.said));
    }
    history.len()
}

/// A turn that can be driven here; commands and boots more often than accidents.
fn choose(model: &Machine, world: &World, chance: &mut Chance) -> Option<(Turn, World)> {
    let mut turns = Vec::new();
    model.actions(world, &mut turns);
    // What is refused is tried as well.
    let refused = [
        Event::Disarm,
        Event::Rollback,
        Event::Finalize,
        Event::DiscardJournal,
    ];
    if world.is_up() {
        let whole = |event| Turn::Command(event, Luck { good: true }, End::Whole);
        turns.extend(refused.map(whole));
    }
    let mut able: Vec<(Turn, World)> = Vec::new();
    for turn in turns {
        if !can_drive(model, world, turn) {
            continue;
        }
        let next = model.next_state(world, turn).unwrap_or(*world);
        let often = match turn {
            Turn::Boot {
                end: End::Whole, ..
            } => 6,
            Turn::Command(Event::Arm | Event::Validate, _, End::Whole) => 6,
            Turn::Command(_, _, End::Whole) => 2,
            Turn::Command(..) | Turn::Boot { .. } => 1,
            _ => 1,
        };
        able.extend(std::iter::repeat_n((turn, next), often));
    }
    (!able.is_empty()).then(|| able.swap_remove(chance.below(able.len())))
}

fn can_drive(model: &Machine, world: &World, turn: Turn) -> bool {
    match turn {
        Turn::Command(Event::Renew | Event::ReturnTo | Event::Emergency, ..)
        | Turn::Command(Event::Run { .. } | Event::Boot { .. }, ..)
        | Turn::BootSnapshot
        | Turn::ForceRemove
        | Turn::Install
        | Turn::PutJournalBack => false,
        Turn::Command(event, luck, end) => {
            // The package stays: only the question is asked.
            let leaves = event == Event::RemovePackage;
            // The test's command line is always that of the root that runs.
            let named = event != Event::DiscardJournal || world.situation(true).loader_agrees;
            luck.good
                && !leaves
                && named
                && (end == End::Whole || stop(model, world, event, end).is_some())
        }
        // The program's limits are higher than the model's.
        Turn::Boot { .. } if is_at_a_limit(world) => false,
        Turn::Boot { luck, end, armed } => {
            luck.good && (end == End::Whole || (armed && boot_stop(world, end).is_some()))
        }
        // What the loader reads was looked at in the rehearsal, and is no part of the model.
        Turn::InstallKernel | Turn::UpdateInitramfs => {
            world.is_up() && world.stage() != Some(Stage::Rehearsed)
        }
        Turn::DeleteOldSystem => model.next_state(world, turn).is_some(),
        Turn::ChangeFstab => world.old == Tree::Whole && world.stage() == Some(Stage::Armed),
        Turn::DamageJournal | Turn::LosePlan | Turn::LoseJournal => world.log != Log::Missing,
    }
}

fn is_at_a_limit(world: &World) -> bool {
    let counted = matches!(
        world.stage(),
        Some(
            Stage::Armed
                | Stage::Preparing
                | Stage::Committed
                | Stage::Validated
                | Stage::Rehearsed
        )
    );
    let left = match world.situation(true).book {
        Book::Sound(known) => known.boots_left,
        Book::Missing | Book::Damaged | Book::Foreign | Book::OtherVersion => true,
    };
    counted && !left
}

/// How a command is stopped there.
enum Stop {
    /// It stands still at a fault point, and is killed.
    At(&'static str),
    /// update-initramfs fails after the first image.
    Images,
}

fn stop(model: &Machine, world: &World, event: Event, end: End) -> Option<Stop> {
    let End::Cut(at) = end else { return None };
    // Without a journal there are no points to stop at.
    if event != Event::Arm && !matches!(world.log, Log::Sound { .. }) {
        return None;
    }
    let acts = model.answer(world, event).ok()?;
    let all = bits(&acts, Luck { good: true });
    let before = all.get(at.checked_sub(1)?)?;
    match before {
        Bit::Act(Act::Freeze) => Some(Stop::At("plan-frozen")),
        Bit::Act(Act::Offer) => Some(Stop::At("plan-offered")),
        Bit::Act(Act::Withdraw) => Some(Stop::At("plan-withdrawn")),
        Bit::AllImages => Some(Stop::At("images-made")),
        Bit::Act(Act::RecordDisarmed | Act::RecordArmed | Act::RecordRearmed) => {
            Some(Stop::At("images-recorded"))
        }
        Bit::Act(Act::BeginFinalize) => Some(Stop::At("finalize-begun")),
        // Arming takes it back at once; which ones of some are made is not the model's.
        Bit::SomeImages if event != Event::Arm && world.loaded() != Made::Mixed => {
            Some(Stop::Images)
        }
        _ => None,
    }
}

fn boot_stop(world: &World, end: End) -> Option<&'static str> {
    let End::Cut(at) = end else { return None };
    let now = world.situation(true);
    let event = Event::Boot {
        loader_names_new: world.path == System::New,
    };
    let acts = answer(&now, event).ok()?;
    let all = bits(&acts, Luck { good: true });
    let fits = !world.stale && world.loaded() == Made::Armed;
    match all.get(at.checked_sub(1)?)? {
        Bit::Attempt if fits => Some("attempt-recorded"),
        Bit::Prepare if fits => Some("before-commit"),
        Bit::Commit(_) if fits => Some("committed"),
        Bit::RollbackBegun => Some("rollback-begun"),
        _ => None,
    }
}

struct Real {
    disk: Disk,
    said: String,
}

impl Real {
    fn take(&mut self, model: &Machine, world: &World, turn: Turn) {
        match turn {
            Turn::Command(event, _, End::Whole) => self.command(model, world, event),
            Turn::Command(event, _, end) => {
                let stop = stop(model, world, event, end).unwrap();
                self.stopped(event, stop);
            }
            Turn::Boot { armed, end, .. } => self.boot(world, armed, end),
            Turn::InstallKernel => self.update_initramfs(world, 1),
            Turn::UpdateInitramfs => self.update_initramfs(world, 0),
            Turn::ChangeFstab => self.in_running(|root| {
                let text = fs::read_to_string(root.join("etc/fstab")).unwrap();
                fs::write(root.join("etc/fstab"), format!("{text}# changed\n")).unwrap();
            }),
            Turn::DeleteOldSystem => self.disk.delete_old_system(),
            Turn::DamageJournal => self.disk.mounted(|top| {
                let mut bytes = fs::read(top.join(JOURNAL)).unwrap();
                bytes[99] ^= 1;
                fs::write(top.join(JOURNAL), bytes).unwrap();
            }),
            Turn::LosePlan => self.disk.mounted(|top| {
                let mut bytes = fs::read(top.join(PLAN)).unwrap();
                bytes.push(b'\n');
                fs::write(top.join(PLAN), bytes).unwrap();
            }),
            Turn::LoseJournal => self
                .disk
                .mounted(|top| fs::remove_file(top.join(JOURNAL)).unwrap()),
            other => panic!("{other:?} can't be driven"),
        }
    }

    fn command(&mut self, model: &Machine, world: &World, event: Event) {
        let ran = match self.root() == "@" {
            true => {
                let line = self.disk.new_command_line();
                self.disk.run_booted_with(&line, true, &words(event))
            }
            false => self.disk.run_inside(&words(event)),
        };
        self.said = format!("{event:?}: {ran:?}");
        let unusable = match world.log {
            Log::Damaged => Some(3),
            Log::Foreign => Some(1),
            Log::Missing | Log::Sound { .. } => None,
        };
        let wanted = match (model.answer(world, event), unusable) {
            (Ok(acts), _) if acts.contains(&Act::AwaitRehearsal) => 4,
            (Ok(_), Some(code)) if event == Event::Recover => code,
            (Ok(_), _) => 0,
            (Err(_), Some(code)) if event != Event::DiscardJournal => code,
            (Err(_), _) => 4,
        };
        assert_eq!(ran.code, wanted, "{event:?} in {world:#?}: {ran:?}");
    }

    fn stopped(&mut self, event: Event, stop: Stop) {
        match stop {
            Stop::At(point) => {
                self.disk.stop_command_at(&words(event), point);
            }
            Stop::Images => {
                let root = self.root();
                self.disk.stop_images_after(&root, Some(1));
                let ran = self.disk.run_inside(&words(event));
                self.disk.stop_images_after(&root, None);
                assert_ne!(ran.code, 0, "{ran:?}");
            }
        }
    }

    fn root(&self) -> String {
        let root = self.disk.mounted_as.clone();
        root.unwrap_or_else(|| self.disk.kind.root().to_owned())
    }

    fn in_running<T>(&self, work: impl FnOnce(&Path) -> T) -> T {
        let root = self.root();
        self.disk.mounted(|top| work(&top.join(root)))
    }

    fn boot(&mut self, world: &World, armed: bool, end: End) {
        let images = self.disk.images();
        let holds = |text: &String| text.contains("usr/sbin/rootshift");
        let image = images.iter().position(|text| holds(text) == armed);
        let image = image.unwrap_or_else(|| panic!("no such image: {images:#?}"));
        match boot_stop(world, end) {
            Some(point) => assert!(self.disk.cut_start_at(image, point), "{point}"),
            None => {
                self.disk.start_once(image);
            }
        }
    }

    /// From this image on, as the hooks of packages do it.
    fn update_initramfs(&mut self, world: &World, from: usize) {
        let armed = self.in_running(|root| {
            let offered = root.join(ARMED);
            let plan = fs::read_dir(&offered).ok().and_then(|mut names| {
                let name = names.next()?.unwrap().file_name();
                Some(name.into_string().unwrap())
            });
            let mut text = "scripts/local-premount/rootshift\n".to_owned();
            if let Some(plan) = &plan {
                text.push_str(&format!("usr/sbin/rootshift\netc/rootshift/{plan}\n"));
            }
            for image in &IMAGES[from..] {
                fs::write(root.join("boot").join(image), &text).unwrap();
            }
            plan.is_some()
        });
        if armed && matches!(world.log, Log::Sound { .. }) {
            let ran = self.disk.run_inside("arm --renew");
            self.said = format!("renew: {ran:?}");
        }
    }

    fn assert_is(&self, world: &World, at: &str) {
        let at = &format!("{at}\n{world:#?}");
        if let Log::Sound { stage, armed, .. } = world.log {
            let state = self.disk.state();
            assert_eq!((state.stage, state.armed), (stage, armed), "{at}");
        }
        let there = self.disk.mounted(|top| top.join(JOURNAL).exists());
        assert_eq!(there, world.log != Log::Missing, "{at}");
        // Beside another plan it can't be told whose an image's is.
        let any = |made| match (made, world.log) {
            (Made::Other, Log::Foreign) => Made::Armed,
            (made, _) => made,
        };
        let images = self.disk.images();
        assert_eq!(any(self.loaded()), any(world.loaded()), "{at}\n{images:#?}");
        let loader = match world.path {
            System::Old => self.disk.kind.root(),
            System::New => "@",
        };
        assert_eq!(self.disk.loader_root(), loader, "{at}");
        if let Up::System(system, _) = world.up {
            let root = match system {
                System::Old => self.old_root(world),
                System::New => "@".to_owned(),
            };
            assert_eq!(self.root(), root, "{at}");
        }
        let (old, new) = self.disk.mounted(|top| {
            let old = self.disk.kind.root();
            let old = top.join(old).join("etc/fstab").exists();
            (old, top.join("@/etc/fstab").exists())
        });
        // What is prepared takes its place just before the commit.
        if world.new != Tree::Prepared {
            assert_eq!(new, world.new == Tree::Whole, "{at}: the new system");
        }
        if self.disk.kind == Kind::Flat {
            assert_eq!(old, world.old == Tree::Whole, "{at}: the old system");
        }
    }

    /// Under which name the old root is mounted: while the boot path leads to the new one, aside.
    fn old_root(&self, world: &World) -> String {
        match (self.disk.kind, world.path) {
            (Kind::Rootfs, System::New) => ".@rootfs.rootshift".into(),
            (kind, _) => kind.root().into(),
        }
    }

    fn loaded(&self) -> Made {
        let digest = self.disk.mounted(|top| {
            let plan = fs::read(top.join(PLAN)).ok()?;
            Some(rootshift::documents::plan::digest(&plan))
        });
        let name = digest.map(|digest| format!("plan-{digest}"));
        let images = self.disk.images();
        let holds = |text: &&String| text.contains("usr/sbin/rootshift");
        let ours = |text: &&String| name.as_ref().is_some_and(|name| text.contains(name));
        let with = images.iter().filter(holds).count();
        match (with, images.iter().filter(ours).count()) {
            (0, _) => Made::Ordinary,
            (2, 2) => Made::Armed,
            (2, 0) => Made::Other,
            _ => Made::Mixed,
        }
    }
}

fn words(event: Event) -> String {
    let command = event.command().trim_start_matches("rootshift ");
    match event {
        Event::Resume | Event::Renew | Event::Validate => command.to_owned(),
        _ => format!("{command} --yes"),
    }
}

/// Something to tell a broken harness from a broken program.
#[test]
fn a_whole_life_is_walked() {
    let model = Machine::new(Rules::Table);
    let good = Luck { good: true };
    let boot = |armed| Turn::Boot {
        armed,
        luck: good,
        end: End::Whole,
    };
    let command = |event| Turn::Command(event, good, End::Whole);
    for kind in Kind::ALL {
        let mut real = Real {
            disk: Disk::with_images(kind),
            said: String::new(),
        };
        let mut world = World::first(kind == Kind::Flat);
        let life = [
            command(Event::Arm),
            boot(true),
            boot(true),
            command(Event::Rollback),
            boot(true),
            command(Event::Disarm),
            command(Event::Arm),
            boot(true),
            boot(true),
            command(Event::Validate),
            boot(true),
            command(Event::Validate),
            command(Event::Finalize),
            boot(false),
        ];
        for turn in life {
            real.take(&model, &world, turn);
            world = model.next_state(&world, turn).unwrap_or(world);
            real.assert_is(&world, &format!("{kind:?}: {turn:?}\n{}", real.said));
        }
    }
}
