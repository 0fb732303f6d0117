//! Every state that commands, boots, failures, cuts and other programs can lead to, by the very
//! table that the program asks: no dead end, no lie, nothing deleted without proof.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

#[path = "model/machine.rs"]
mod machine;
#[path = "model/world.rs"]
mod world;

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use machine::{Machine, Rules, Turn};
use stateright::{Checker as _, Model as _};
use world::World;

/// What must hold in every state.
#[test]
fn every_state_keeps_what_is_promised() {
    let began = Instant::now();
    let model = Machine::new(Rules::Table);
    let properties = model.properties().len();
    let checker = model.checker().threads(2).spawn_bfs().join();
    checker.assert_properties();
    let states = checker.unique_state_count();
    println!(
        "{states} states, {} transitions, {properties} properties, {:?}",
        checker.state_count(),
        began.elapsed()
    );
    assert!(states > 1000, "{states}");
}

/// From every state some commands and boots, with nothing in their way, lead to an end: the old
/// system whole, the new one whole, or idle. (A property of paths: the checker has none of it.)
#[test]
fn no_state_is_a_dead_end() {
    let began = Instant::now();
    let walk = Walk::through(&Machine::new(Rules::Table));
    let ends = walk
        .states
        .iter()
        .filter(|state| machine::is_an_end(state))
        .count();
    assert!(ends > 3, "{ends}");
    if let Some(trapped) = walk.trapped() {
        panic!("no way out:\n{}", walk.path_to(trapped));
    }
    println!(
        "{} states, {ends} ends, {:?}",
        walk.states.len(),
        began.elapsed()
    );
}

/// Row 8 of issue S, planted: the model has to find what was found by hand.
#[test]
fn the_old_rule_for_a_rollback_is_found_out() {
    let model = Machine::new(Rules::RollbackWithoutLooking);
    let checker = model.clone().checker().spawn_bfs().join();
    assert!(checker.discovery(machine::KEPT).is_some());
    let walk = Walk::through(&model);
    let lied = |state: &World| state.wrong.is_some();
    let lie = walk
        .states
        .iter()
        .position(lied)
        .expect("no promise was broken");
    println!("a promise that is not kept:\n{}", walk.path_to(lie));
    let trapped = walk.trapped().expect("the dead end was not found");
    println!("a dead end:\n{}", walk.path_to(trapped));
}

/// Row 4, planted: an image that names the root hides a boot chain that does not.
#[test]
fn a_finalize_without_a_rehearsal_is_found_out() {
    let model = Machine::new(Rules::FinalizeWithoutRehearsal);
    let checker = model.clone().checker().spawn_bfs().join();
    assert!(checker.discovery(machine::PROVED).is_some());
    let walk = Walk::through(&model);
    let broken = |state: &World| state.up == world::Up::Broken;
    let broken = walk.states.iter().position(broken).expect("nothing broke");
    println!("a machine that does not boot:\n{}", walk.path_to(broken));
}

/// All states, in the order of their distance, and how each was reached.
struct Walk {
    states: Vec<World>,
    from: Vec<Option<(usize, Turn)>>,
    /// By turns that a person can take and nothing disturbs, backwards.
    back: Vec<Vec<usize>>,
}

impl Walk {
    fn through(model: &Machine) -> Self {
        let mut walk = Self {
            states: Vec::new(),
            from: Vec::new(),
            back: Vec::new(),
        };
        let mut known: HashMap<World, usize> = HashMap::new();
        let mut queue = VecDeque::new();
        for state in model.init_states() {
            walk.take(&mut known, &mut queue, state, None);
        }
        while let Some(at) = queue.pop_front() {
            let state = walk.states[at];
            let mut turns = Vec::new();
            model.actions(&state, &mut turns);
            for turn in turns {
                let calm = turn.is_calm();
                let Some(next) = model.next_state(&state, turn) else {
                    continue;
                };
                let next = match known.get(&next) {
                    Some(next) => *next,
                    None => walk.take(&mut known, &mut queue, next, Some((at, turn))),
                };
                if calm {
                    walk.back[next].push(at);
                }
            }
        }
        walk
    }

    fn take(
        &mut self,
        known: &mut HashMap<World, usize>,
        queue: &mut VecDeque<usize>,
        state: World,
        from: Option<(usize, Turn)>,
    ) -> usize {
        let number = self.states.len();
        known.insert(state, number);
        queue.push_back(number);
        self.states.push(state);
        self.from.push(from);
        self.back.push(Vec::new());
        number
    }

    /// The first state from which no end can be reached.
    fn trapped(&self) -> Option<usize> {
        let mut free: Vec<bool> = self.states.iter().map(machine::is_an_end).collect();
        let mut queue: VecDeque<usize> = (0..free.len()).filter(|at| free[*at]).collect();
        while let Some(at) = queue.pop_front() {
            for before in &self.back[at] {
                if !free[*before] {
                    free[*before] = true;
                    queue.push_back(*before);
                }
            }
        }
        free.iter().position(|free| !free)
    }

    fn path_to(&self, mut at: usize) -> String {
        let mut lines = vec![format!("  at last {:#?}", self.states[at])];
        while let Some((before, turn)) = self.from[at] {
            let state = self.states[before];
            lines.push(format!("  {:?} {:?} -> {turn:?}", state.log, state.up));
            at = before;
        }
        lines.reverse();
        lines.join("\n")
    }
}
