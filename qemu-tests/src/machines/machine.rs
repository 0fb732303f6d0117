//! A machine as a value: a seed, what it has, and what happens to it.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context as _, bail};

use super::act::Act;
use super::features::{ALL, Feature};
use crate::sweep::chance::Chance;

/// A machine and its life.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Decides the details of each feature.
    pub seed: u64,
    /// What it has, in the order in which it gets it.
    pub features: Vec<&'static Feature>,
    /// What happens to it, in this order; then it is brought to rest.
    pub life: Vec<Act>,
}

impl Machine {
    /// One of the machines of a seed.
    pub fn random(seed: u64, index: usize) -> Self {
        let own = seed.wrapping_mul(1_000_003).wrapping_add(index as u64);
        let mut chance = Chance::of(own, "machine");
        // Few features leave more machines ready; many find what comes of them together.
        let density = 1 + chance.below(6);
        let on = |feature: &&Feature, chance: &mut Chance| {
            chance.below(100) < usize::from(feature.weight) * density / 3
        };
        let features = ALL.iter().filter(|one| on(one, &mut chance)).collect();
        let life = life(&mut chance);
        Self {
            seed: own,
            features,
            life,
        }
    }

    /// Whether it has this.
    pub fn has(&self, name: &str) -> bool {
        self.features.iter().any(|feature| feature.name == name)
    }

    /// Decides the details of one thing.
    pub fn chance(&self, name: &str) -> Chance {
        Chance::of(self.seed, name)
    }
}

/// Mostly the way from `check` to a new system, with other things between.
fn life(chance: &mut Chance) -> Vec<Act> {
    let mut life = Vec::new();
    few(&mut life, chance, 3, &BEFORE);
    life.extend([Act::Check, Act::Arm]);
    few(&mut life, chance, 6, &ARMED);
    life.push(boot(chance));
    few(&mut life, chance, 8, &AFTER);
    few(&mut life, chance, 8, &AFTER);
    few(&mut life, chance, 8, &AFTER);
    life
}

/// Now and then nothing, seldom more than two.
fn few(life: &mut Vec<Act>, chance: &mut Chance, rarely: usize, of: &[Act]) {
    for _ in 0..3 {
        if chance.below(8) >= rarely {
            continue;
        }
        match of.get(chance.below(of.len())) {
            Some(Act::Boot) => life.push(boot(chance)),
            Some(Act::Trick(_)) => life.push(Act::Trick(small(chance))),
            Some(Act::Tend(_)) => life.push(Act::Tend(small(chance))),
            Some(Act::CutFinalize(_)) => life.push(Act::CutFinalize(small(chance))),
            Some(act) => life.push(*act),
            None => {}
        }
    }
}

fn boot(chance: &mut Chance) -> Act {
    match chance.below(3) {
        0 => Act::CutBoot(small(chance)),
        _ => Act::Boot,
    }
}

fn small(chance: &mut Chance) -> u8 {
    u8::try_from(chance.below(60)).unwrap_or_default()
}

const BEFORE: [Act; 10] = [
    Act::Work,
    Act::Trick(0),
    Act::Trick(0),
    Act::Status,
    Act::Plan,
    Act::Rollback,
    Act::Finalize,
    Act::Disarm,
    Act::Recover,
    Act::Discard,
];

const ARMED: [Act; 15] = [
    Act::Work,
    Act::Trick(0),
    Act::Trick(0),
    Act::Trick(0),
    Act::Status,
    Act::Check,
    Act::UpdateGrub,
    Act::GrubInstall,
    Act::Kernel,
    Act::BareKernel,
    Act::Recover,
    Act::Arm,
    Act::Finalize,
    Act::Validate,
    Act::Disarm,
];

const AFTER: [Act; 22] = [
    Act::Tend(0),
    Act::Tend(0),
    Act::Boot,
    Act::Boot,
    Act::Boot,
    Act::Work,
    Act::Work,
    Act::Trick(0),
    Act::Trick(0),
    Act::Trick(0),
    Act::Validate,
    Act::UpdateGrub,
    Act::GrubInstall,
    Act::Kernel,
    Act::Rollback,
    Act::Finalize,
    Act::Finalize,
    Act::CutFinalize(0),
    Act::Recover,
    Act::Arm,
    Act::Disarm,
    Act::Status,
];

impl fmt::Display for Machine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let features: Vec<&str> = self.features.iter().map(|one| one.name).collect();
        let life: Vec<String> = self.life.iter().map(Act::to_string).collect();
        let (features, life) = (features.join("+"), life.join(","));
        write!(formatter, "{}:{features}:{life}", self.seed)
    }
}

impl FromStr for Machine {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let [seed, features, life] = parts.as_slice() else {
            bail!("{text}: a machine is written as SEED:FEATURE+FEATURE:ACT,ACT");
        };
        let named = |text: &str, by: char| -> Vec<String> {
            let words = text.split(by).filter(|word| !word.is_empty());
            words.map(str::to_owned).collect()
        };
        let names = named(features, '+');
        for name in &names {
            ALL.iter()
                .find(|known| known.name == name)
                .with_context(|| format!("there is no feature {name}"))?;
        }
        let features = ALL
            .iter()
            .filter(|one| names.iter().any(|name| name == one.name));
        let life = named(life, ',');
        Ok(Self {
            seed: seed.parse().context("the seed is a number")?,
            features: features.collect(),
            life: life
                .iter()
                .map(|word| word.parse())
                .collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Machine;

    #[test]
    fn a_machine_is_read_as_it_is_written() {
        for index in 0..200 {
            let text = Machine::random(7, index).to_string();
            assert_eq!(text.parse::<Machine>().unwrap().to_string(), text);
        }
        for text in ["1:rootfs", "x::", "1:nothing:", "1::nothing"] {
            assert!(text.parse::<Machine>().is_err(), "{text}");
        }
    }
}
