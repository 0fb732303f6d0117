//! `rootshift restore`.

use serde_json::{Value, json};

use super::{Error, session};
use crate::cli::{Exit, Restore};
use crate::documents::batch::RollbackConfiguration;
use crate::documents::library::Bundle;
use crate::engine::home::Migration;
use crate::engine::restore::{Restorable, follow_up, may_restore, put_back, restorables};
use crate::engine::survey::Survey;
use crate::engine::{self, Stage};
use crate::report::print;

pub(super) fn run(options: &Restore) -> Result<Exit, Error> {
    let survey = session::survey()?;
    let migration = match survey.top.as_ref() {
        Some(top) => Migration::open(top)?,
        None => None,
    };
    let configuration = configuration(&survey, options, migration.as_ref())?;
    let known = restorables(&survey.system, &configuration)?;
    if options.list || options.names.is_empty() {
        list(options, &known);
        return Ok(Exit::Success);
    }
    let chosen = choose(options, &known)?;
    if let Some(migration) = &migration {
        may_now(&survey, migration, &chosen)?;
    }
    let words = chosen.iter().map(Chosen::in_words);
    let words: Vec<String> = words.collect();
    let question = format!("Put back {}?", words.join(", "));
    if !options.yes && !print::confirmed(&question) {
        print::error("nothing was changed");
        return Ok(Exit::NotNow);
    }
    for one in &chosen {
        put_back(&survey.system, &one.of.restore, one.backup)?;
        for program in &one.of.restore.follow_ups {
            follow_up(program)?;
        }
    }
    if options.json {
        let done: Vec<Value> = chosen.iter().map(Chosen::as_json).collect();
        print::json(&json!({ "restored": done }));
    } else {
        print::line(&format!("Put back: {}.", words.join(", ")));
    }
    Ok(Exit::Success)
}

fn not_now<T>(why: String) -> Result<T, Error> {
    Err(engine::Error::NotNow(why).into())
}

/// That of the batch that is named, or of the plan.
fn configuration(
    survey: &Survey,
    options: &Restore,
    migration: Option<&Migration>,
) -> Result<RollbackConfiguration, Error> {
    let found = match &options.batch {
        Some(name) => {
            let batch = Bundle::load(&survey.system, Some(name))?.batch;
            batch.rollback_configuration
        }
        None => {
            let plan = migration.ok_or(Error::NothingArmed)?.plan();
            plan.rollback_configuration.clone()
        }
    };
    match found.filter(|configuration| configuration.enabled) {
        Some(configuration) => Ok(configuration),
        None => not_now("no rollback_configuration is enabled there; name a batch with one".into()),
    }
}

/// A file to put back, and its backup.
struct Chosen<'a> {
    of: &'a Restorable,
    backup: &'a str,
}

impl Chosen<'_> {
    fn in_words(&self) -> String {
        let mut words = format!("{} from {}", self.of.restore.file, self.backup);
        for program in &self.of.restore.follow_ups {
            words.push_str(&format!(", then `{program}`"));
        }
        words
    }

    fn as_json(&self) -> Value {
        let restore = &self.of.restore;
        json!({ "name": restore.name, "file": restore.file, "backup": self.backup })
    }
}

fn choose<'a>(options: &'a Restore, known: &'a [Restorable]) -> Result<Vec<Chosen<'a>>, Error> {
    if options.backup.is_some() && options.names.len() != 1 {
        return Err(Error::Usage("--backup goes with one NAME".into()));
    }
    let mut chosen = Vec::new();
    for name in &options.names {
        let of = known.iter().find(|one| one.restore.name == *name);
        let of = of.ok_or_else(|| {
            let names: Vec<&str> = known.iter().map(|one| one.restore.name.as_str()).collect();
            Error::Usage(format!("restore {name}: there is {}", names.join(", ")))
        })?;
        let backup = choose_backup(of, options.backup.as_deref())?;
        chosen.push(Chosen { of, backup });
    }
    Ok(chosen)
}

/// The newest one, or the one that is named by its path or its last part.
fn choose_backup<'a>(of: &'a Restorable, wanted: Option<&str>) -> Result<&'a str, Error> {
    let is_meant = |path: &&String| match wanted {
        None => true,
        Some(wanted) => *path == wanted || path.ends_with(&format!("/{wanted}")),
    };
    match of.backups.iter().find(is_meant) {
        Some(path) => Ok(path),
        None => not_now(format!(
            "there is no backup {} of {}; `rootshift restore --list` shows those there are",
            wanted.unwrap_or(&of.restore.pattern.with("*")),
            of.restore.file
        )),
    }
}

/// Before the migration a changed file would make the plan stale; after it, it has to fit the root.
fn may_now(survey: &Survey, migration: &Migration, chosen: &[Chosen]) -> Result<(), Error> {
    let (state, plan) = (migration.state(), migration.plan());
    let waiting = [Stage::Planned, Stage::Armed, Stage::Preparing];
    if waiting.contains(&state.stage) {
        return not_now(
            "a migration is armed for this system as it is; run `rootshift disarm` first".into(),
        );
    }
    let context = survey.context(&plan.layout);
    for one in chosen {
        may_restore(&one.of.restore, one.backup, state, plan, &context)?;
    }
    Ok(())
}

fn list(options: &Restore, known: &[Restorable]) {
    if options.json {
        let entry = |one: &Restorable| {
            let restore = &one.restore;
            json!({ "name": restore.name, "file": restore.file, "backups": one.backups })
        };
        let entries: Vec<Value> = known.iter().map(entry).collect();
        print::json(&json!({ "restores": entries }));
        return;
    }
    for one in known {
        print::line(&format!("{}: {}", one.restore.name, one.restore.file));
        if one.backups.is_empty() {
            print::line("  no backup");
        }
        for backup in &one.backups {
            print::line(&format!("  {backup}"));
        }
    }
}
