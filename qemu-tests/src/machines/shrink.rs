//! A machine that fails is made smaller while it still fails in the same way.

use super::machine::Machine;
use super::violation::Violation;

/// Lives that are tried at most.
const TRIES: usize = 70;

/// The smallest that was found.
#[derive(Debug)]
pub struct Small {
    pub machine: Machine,
    pub violation: Violation,
    pub tries: usize,
}

/// Leaves out acts and features, in halves first, then one by one.
pub fn shrink(
    machine: &Machine,
    violation: &Violation,
    again: &dyn Fn(&Machine) -> Option<Violation>,
) -> Small {
    let mut small = Small {
        machine: machine.clone(),
        violation: violation.clone(),
        tries: 0,
    };
    for part in [Part::Features, Part::Life, Part::Features, Part::Life] {
        let mut size = part.length(&small.machine).div_ceil(2);
        while size > 0 {
            drop_runs(&mut small, part, size, again);
            size = if size == 1 { 0 } else { size.div_ceil(2) };
        }
    }
    small
}

#[derive(Debug, Clone, Copy)]
enum Part {
    Features,
    Life,
}

impl Part {
    fn length(self, machine: &Machine) -> usize {
        match self {
            Self::Features => machine.features.len(),
            Self::Life => machine.life.len(),
        }
    }

    fn without(self, machine: &Machine, from: usize, count: usize) -> Machine {
        let mut less = machine.clone();
        let to = (from + count).min(self.length(machine));
        match self {
            Self::Features => drop(less.features.drain(from..to)),
            Self::Life => drop(less.life.drain(from..to)),
        }
        less
    }
}

fn drop_runs(
    small: &mut Small,
    part: Part,
    size: usize,
    again: &dyn Fn(&Machine) -> Option<Violation>,
) {
    let mut from = 0;
    while from < part.length(&small.machine) && small.tries < TRIES {
        let less = part.without(&small.machine, from, size);
        small.tries += 1;
        match again(&less) {
            Some(violation) if violation.kind == small.violation.kind => {
                small.machine = less;
                small.violation = violation;
            }
            _ => from += size,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::violation::Kind;
    use super::*;

    #[test]
    fn what_matters_is_left() {
        let machine = (0..).map(|index| Machine::random(3, index));
        let mut machine = machine.filter(|one| one.features.len() > 8 && one.life.len() > 8);
        let machine = machine.next().unwrap();
        let (feature, act) = (machine.features[5].name, machine.life[6]);
        let seen = |kind| Violation {
            kind,
            what: String::new(),
        };
        let again = |tried: &Machine| match tried.has(feature) && tried.life.contains(&act) {
            true => Some(seen(Kind::Files)),
            false => Some(seen(Kind::Fstab)),
        };
        let small = shrink(&machine, &seen(Kind::Files), &again).machine;
        assert_eq!(small.features.len(), 1);
        assert_eq!(small.life, [act]);
    }
}
