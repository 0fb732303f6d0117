//! Where a machine stands, for a person who has only a console: which system is root now, why,
//! what is safe to do, and what to type. Pure: all that was seen is handed in.

mod commands;
mod deletion;
mod stages;
#[cfg(test)]
mod tests;
mod trouble;

use serde::Serialize;

use super::look::Look;
use super::situation;
pub use super::transition::Seen;
use super::transition::{Images, Known, Refusal, Remedy, Situation, answer, wanted};
use super::{Stage, State};
use crate::report::progress::Part;
use commands::{Commands, kept_aside};
pub use deletion::Deletion;
use stages::{Words, called_off, of_stage};

/// The program in the initramfs does not look whether the old system is there, nor into images, and
/// advises nothing; in a running system it hands over to one that does.
const LOOKS: bool = cfg!(feature = "tools");

/// What was seen of a machine.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Plan and journal.
    pub look: &'a Look,
    /// Which system is root.
    pub seen: Seen,
    /// The subvolume that is mounted as root; empty for the top level.
    pub subvolume: &'a str,
    /// The UUID of the root file system, where it is btrfs.
    pub uuid: Option<&'a str>,
    /// The last warning or error of this boot's initramfs.
    pub problem: Option<&'a str>,
    /// Whether the next images hold a plan (`/var/lib/rootshift/armed`).
    pub images_armed: bool,
    /// What the images are that boot next, where the journal asks for a plan in them.
    pub images: Images,
    /// Whether the kernel command line names the root that is mounted; none when it is silent.
    pub same_again: Option<bool>,
    /// The same, by the default subvolume where it is silent.
    pub loader_agrees: bool,
    /// Why there is no old system to go back to.
    pub old_problem: Option<&'a str>,
    /// Whether there is a sudo.
    pub sudo: bool,
    /// What there is of what a rollback kept aside, with what is nested in it, deepest first.
    pub kept: &'a [Kept],
    /// How far a deletion of the old system is, where it has said so since the boot.
    pub deleted: Option<Part>,
}

/// A subvolume that a rollback kept aside, and what is to be undone before it can be deleted.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// From the top level.
    pub path: String,
    /// It is immutable or append-only.
    pub is_locked: bool,
    /// It can only be read.
    pub is_read_only: bool,
    /// It is the default subvolume.
    pub is_default: bool,
}

/// What a person may want to type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Act {
    /// What for.
    pub what: String,
    /// The exact commands, one after the other.
    pub commands: Vec<String>,
}

/// Where a machine stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Standing {
    /// Which system is root now, by the mount table.
    pub root: Seen,
    /// The subvolume that is mounted as root; empty for the top level.
    pub root_subvolume: String,
    /// Whether that is the root that the journal names; null when there is no telling.
    pub root_agrees: Option<bool>,
    /// Whether another rootshift is at work.
    pub at_work: bool,
    /// Where it stands, in sentences.
    pub r#where: Vec<String>,
    /// Why.
    pub why: Vec<String>,
    /// What is safe to do now.
    pub safe: Vec<String>,
    /// What is not.
    pub not_safe: Vec<String>,
    /// What to type next.
    pub next: Vec<Act>,
    /// The deletion of the old system, from its beginning to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion: Option<Deletion>,
}

/// What `rootshift status --json` prints. Without a journal that can be used its keys are missing,
/// and `stage` is `idle` or `unknown`.
#[cfg(feature = "schema")]
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct StatusDocument {
    /// What the journal says.
    #[serde(flatten)]
    pub state: Option<State>,
    /// What a person is told.
    #[serde(flatten)]
    pub standing: Standing,
}

impl Standing {
    /// Follows from what was seen.
    #[must_use]
    pub fn of(facts: &Facts) -> Self {
        let look = facts.look;
        let mut standing = Self {
            root: facts.seen,
            root_subvolume: facts.subvolume.to_owned(),
            root_agrees: None,
            at_work: look.held,
            r#where: vec![facts.root_in_words()],
            why: Vec::new(),
            safe: Vec::new(),
            not_safe: Vec::new(),
            next: Vec::new(),
            deletion: None,
        };
        let commands = Commands { sudo: facts.sudo };
        let deletes = look.state.as_ref().map(|state| state.stage) == Some(Stage::Finalizing);
        if deletes {
            standing.deletion = Some(Deletion::of(facts.deleted, look.held));
            standing
                .why
                .push(deletion::in_words(facts.deleted, look.held));
        } else if look.held {
            standing.at_work(&commands);
        }
        match (&look.trouble, &look.state) {
            (Some(trouble), _) => trouble::tell(&mut standing, facts, trouble, &commands),
            (None, Some(state)) => standing.of_state(facts, state, &commands),
            (None, None) => standing.idle(facts, &commands),
        }
        standing.last_words(facts, &commands);
        standing
    }

    /// Whether another system is root than the one that the journal names, while that matters.
    #[must_use]
    pub fn contradicts(&self, look: &Look) -> bool {
        self.root_agrees == Some(false) && look.is_armed()
    }

    fn at_work(&mut self, commands: &Commands) {
        self.why.push(
            "Another rootshift is at work on this disk right now: what is said here may change \
             at any moment. Let it end; killing it is safe too."
                .into(),
        );
        self.next(commands, "See what is at work:", &["pgrep -a rootshift"]);
    }

    fn of_state(&mut self, facts: &Facts, state: &State, commands: &Commands) {
        self.root_agrees = match facts.seen {
            Seen::Old => Some(!state.stage.new_system_is_root()),
            Seen::New => Some(state.stage.new_system_is_root()),
            Seen::Another => Some(false),
            Seen::Initramfs | Seen::Unknown => None,
        };
        let Words {
            stands,
            why,
            safe,
            not_safe,
            next,
        } = match facts.old_problem {
            Some(_) if LOOKS && state.stage == Stage::RollbackRequested => called_off(),
            _ => of_stage(state.stage, state.reason.is_some(), facts.is_able()),
        };
        let gone = facts.old_problem.filter(|_| LOOKS);
        let gone = gone.map(|problem| sentence(&format!("{problem}: no boot goes back to it")));
        let bare = stands.strip_suffix(" The old one is whole.");
        let bare = bare.filter(|_| gone.is_some() || !LOOKS);
        self.r#where.push(bare.unwrap_or(stands).to_owned());
        self.r#where.extend(gone);
        self.details(facts, state);
        match &state.reason {
            Some(reason) => self.why.push(sentence(reason)),
            None => self.why.extend(why.map(str::to_owned)),
        }
        if self.contradicts(facts.look) {
            trouble::tell_contradiction(self, facts, state, commands);
            return;
        }
        self.safe.push(safe.into());
        if let Some(not_safe) = not_safe {
            self.not_safe.push(not_safe.into());
        }
        if facts.seen == Seen::Initramfs || !LOOKS {
            self.next_in_the_initramfs();
            return;
        }
        if state.armed || !matches!(state.stage, Stage::RolledBack) {
            let now = facts.situation();
            for (asks, what, together) in next {
                match asks.map(|event| answer(&now, event)) {
                    None | Some(Ok(_)) => self.next(commands, what, together),
                    Some(Err(refusal)) => self.instead(commands, &refusal),
                }
            }
        }
        let half = state.stage == Stage::Failed && state.has_work();
        if let (true, Some(last)) = (half, state.checkpoints.last()) {
            let back = format!("rootshift rollback --to {}", commands::quoted(last));
            let what = "Or go back to the last checkpoint, and go on from there at the next boot:";
            self.next(commands, what, &[&back]);
        }
        self.next.extend(kept_aside(facts, state, commands));
    }

    /// Numbers and names that go with the stage.
    fn details(&mut self, facts: &Facts, state: &State) {
        let say = &mut self.r#where;
        let plan = facts.look.plan.as_ref().map(|frozen| &frozen.plan);
        // What boots do is another thing where there is nothing to go back to.
        match (
            state.stage,
            plan.filter(|_| !LOOKS || facts.old_problem.is_none()),
        ) {
            (Stage::Committed, Some(plan)) if state.trials == 0 => say.push(format!(
                "It has not been started yet, and has {} boots to pass in.",
                plan.trial_boots
            )),
            (Stage::Committed, Some(plan)) => say.push(format!(
                "This is boot {} of {}; the boot after the last one goes back by itself.",
                state.trials, plan.trial_boots
            )),
            (Stage::Preparing, Some(plan)) => say.push(format!(
                "{} of {} boots took it up; {} of {} steps are done.",
                state.attempts,
                plan.attempts,
                state.done.len(),
                plan.steps().len()
            )),
            (Stage::Failed, _) if state.has_work() => {
                say.push("What was prepared is not taken back yet; it is in nobody's way.".into());
            }
            _ => {}
        }
        list(say, "Open steps:", &state.open);
        list(say, "Failed, and done without:", &state.tolerated);
        let over = [Stage::RolledBack, Stage::Disarmed, Stage::Finalized];
        if !over.contains(&state.stage) {
            list(say, "Checkpoints:", &state.checkpoints);
        }
        list(say, "Kept aside:", &state.kept);
    }

    fn idle(&mut self, facts: &Facts, commands: &Commands) {
        if facts.images_armed {
            self.r#where
                .push("This disk has no journal, and the initramfs images hold a plan.".into());
            self.why.push(
                "`rootshift arm` was cut off, the journal was deleted, or the disk was put back \
                 from an older image of it."
                    .into(),
            );
            self.safe
                .push("Rebooting: without a journal nothing is done.".into());
            let what = "Take the plan out of the images:";
            self.next(commands, what, &["rootshift recover"]);
            return;
        }
        self.r#where.push("Nothing is armed.".into());
        let what = "`rootshift check` looks whether this machine is ready:";
        self.next(commands, what, &["rootshift check"]);
    }

    /// What this boot said, where the journal does not hold it; what holds in the initramfs.
    fn last_words(&mut self, facts: &Facts, commands: &Commands) {
        let Some(problem) = facts.problem else {
            return;
        };
        let trouble = facts.look.trouble.as_ref().map(ToString::to_string);
        let state = facts.look.state.as_ref();
        let reason = state.and_then(|state| state.reason.as_deref());
        let told = [trouble.as_deref(), reason];
        let is_told = |why: &&str| why.contains(problem) || problem.contains(*why);
        if !told.iter().flatten().any(is_told) {
            self.why.push(format!(
                "The last warning of this boot: {}",
                sentence(problem)
            ));
            if state.is_some_and(|state| state.stage == Stage::Armed) {
                let what = "Look what stands in the way:";
                self.next(commands, what, &["rootshift check"]);
            }
        }
        let what = "Read all that this boot said:";
        match facts.seen {
            Seen::Initramfs => self.add(what, vec!["cat /run/initramfs/rootshift.log".into()]),
            _ => self.next(commands, what, &["rootshift log --boot"]),
        }
    }

    fn next_in_the_initramfs(&mut self) {
        self.safe.push(
            "Leaving this shell: the boot goes on, into the root that the journal names, or else \
             into the one that the kernel command line names."
                .into(),
        );
        self.add("Go on with this boot:", vec!["exit".into()]);
        self.add("Or boot again:", vec!["reboot -f".into()]);
    }

    /// What there is to do in place of what would be refused, said once.
    fn instead(&mut self, commands: &Commands, refusal: &Refusal) {
        let command = match refusal.remedy {
            Remedy::Reboot => "reboot",
            Remedy::Command(event) => event.command(),
            Remedy::Nothing | Remedy::Status | Remedy::OtherVersion => return,
        };
        let lines = vec![commands.line(&[command])];
        if !self.next.iter().any(|act| act.commands == lines) {
            let what = sentence(refusal.why);
            self.add(&format!("{}:", what.trim_end_matches('.')), lines);
        }
    }

    fn next(&mut self, commands: &Commands, what: &str, together: &[&str]) {
        self.add(what, vec![commands.line(together)]);
    }

    fn add(&mut self, what: &str, commands: Vec<String>) {
        self.next.push(Act {
            what: what.to_owned(),
            commands,
        });
    }
}

impl Facts<'_> {
    /// As the table asks for it.
    fn situation(&self) -> Situation {
        Situation {
            book: situation::book(self.look),
            images: self.images,
            offered: self.images_armed,
            running: self.seen,
            loader_agrees: self.loader_agrees,
            old_is_there: self.old_problem.is_none(),
        }
    }

    /// Whether the images that boot next are what the journal asks for, as far as it asks for any.
    fn is_able(&self) -> bool {
        let plan = self.look.plan.as_ref().map(|frozen| &*frozen.plan);
        let Some(state) = &self.look.state else {
            return true;
        };
        let asked = wanted(&Known::of(state, plan)) == Some(Images::Armed);
        !asked || !LOOKS || self.seen == Seen::Initramfs || self.images == Images::Armed
    }

    fn root_in_words(&self) -> String {
        let place = match self.subvolume {
            "" => "the top level of the disk".to_owned(),
            name => format!("the subvolume {name}"),
        };
        match self.seen {
            Seen::Old => format!("The old system is root ({place})."),
            Seen::New => format!("The new system is root ({place})."),
            Seen::Another => format!("Neither the old nor the new system is root, but {place}."),
            Seen::Initramfs => "No system is root yet: this is the initramfs.".to_owned(),
            Seen::Unknown if self.uuid.is_none() => {
                "The root file system is not btrfs: this is not a system that was moved.".to_owned()
            }
            Seen::Unknown => format!("Root is {place}."),
        }
    }
}

fn list(say: &mut Vec<String>, what: &str, names: &[String]) {
    if !names.is_empty() {
        say.push(format!("{what} {}.", names.join(", ")));
    }
}

/// With a capital and a full stop.
fn sentence(text: &str) -> String {
    let text = text.trim_end();
    let mut letters = text.chars();
    let Some(first) = letters.next() else {
        return String::new();
    };
    // A path or a quoted name stays as it is.
    let first = first.to_ascii_uppercase();
    let end = if text.ends_with(['.', '!', '?']) {
        ""
    } else {
        "."
    };
    format!("{first}{}{end}", letters.as_str())
}
