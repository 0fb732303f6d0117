//! `rootshift status`: for a person who has only a console, in every state, the initramfs included.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::{Error, image, session};
use crate::bootcfg::cmdline::CommandLine;
use crate::bootchain::chosen_subvolume;
use crate::checks::hibernated_device;
use crate::cli::{Exit, Status};
use crate::documents::Plan;
use crate::engine::home::FrozenPlan;
use crate::engine::initramfs::ARMED;
use crate::engine::look::Look;
use crate::engine::situation;
use crate::engine::standing::{Facts, Kept, Seen, Standing};
use crate::engine::survey::Survey;
use crate::engine::transition::{Images, Known, wanted};
use crate::engine::{self, Stage, others};
use crate::report::progress::noted;
use crate::report::{boot_log, page, print};
use crate::sys::{Root, btrfs, mount, process};

pub(super) fn run(options: &Status) -> Result<Exit, Error> {
    let mut survey = session::survey_without_top()?;
    let mut seen = None;
    let mut device = survey.device().filter(|_| survey.identity.is_some());
    let mut look = Look::default();
    if let Some(frozen) = plan_of_initramfs(&survey)? {
        seen = Some(Seen::Initramfs);
        device = root_device(&survey.system, &frozen.plan)?;
    }
    if let Some(device) = device {
        // Nothing is written, and a disk that became read-only is looked at all the same.
        let mounted = session::mount_top(&mut survey, &device, mount::mount_top_level_read_only);
        look = match (mounted, survey.top.as_ref()) {
            (Ok(()), Some(top)) => Look::at(top),
            (Err(Error::System(cause)), _) => Look::without(cause),
            (Err(other), _) => return Err(other),
            (Ok(()), None) => look,
        };
    }
    let told = Told::of(&survey, look, seen);
    if options.json {
        print::json(&told.as_json()?);
    } else {
        told.print();
    }
    told.end()
}

/// Says where it stands, in another command. Whoever holds the journal lets go of it before.
pub(super) fn show(survey: &Survey) {
    let look = survey.top.as_ref().map_or_else(Look::default, Look::at);
    Told::of(survey, look, None).print();
}

/// Where it stands, with what that follows from.
pub(super) struct Told {
    look: Look,
    standing: Standing,
}

impl Told {
    /// `seen` where it is known already which system is root.
    pub(super) fn of(survey: &Survey, look: Look, seen: Option<Seen>) -> Self {
        let boot = boot_log::of_this_boot(&survey.system, survey.top.as_ref());
        let kept = kept_now(survey, &look);
        let uuid = survey.identity.as_ref().map(|known| known.uuid.as_str());
        let seen = seen.unwrap_or_else(|| seen_now(survey, &look));
        let old_problem = old_problem(survey, &look);
        let standing = Standing::of(&Facts {
            look: &look,
            seen,
            images: images_now(survey, &look, seen),
            subvolume: &survey.old_root,
            uuid,
            problem: boot.as_ref().and_then(boot_log::BootLog::last_problem),
            images_armed: survey.system.exists(Path::new(ARMED)).unwrap_or(false),
            same_again: same_again(survey),
            loader_agrees: survey
                .top
                .as_ref()
                .is_none_or(|top| situation::loader_agrees(survey, top)),
            old_problem: old_problem.as_deref(),
            sudo: matches!(process::find_program(&survey.system, "sudo"), Ok(Some(_))),
            kept: &kept,
            deleted: noted(&survey.system),
        });
        Self { look, standing }
    }

    /// For a person.
    pub(super) fn print(&self) {
        print_page(&self.look, &self.standing);
    }

    /// For a machine.
    pub(super) fn as_json(&self) -> Result<Value, Error> {
        as_json(&self.look, &self.standing)
    }

    /// A journal that can't be used is the command's failure, once all is said.
    pub(super) fn end(self) -> Result<Exit, Error> {
        let contradicts = self.standing.contradicts(&self.look);
        match self.look.trouble {
            Some(trouble) => Err(trouble.into()),
            None if contradicts => Ok(Exit::NotWell),
            None => Ok(Exit::Success),
        }
    }
}

fn print_page(look: &Look, standing: &Standing) {
    if let Some(state) = &look.state {
        print::line(&state.batch_id);
    }
    page::section("Where", &standing.r#where);
    if let Some(frozen) = look.plan.as_ref().filter(|_| look.state.is_some()) {
        let layout = session::layout_in_words(&frozen.plan.layout);
        page::section("", &[format!("Layout: {layout}.")]);
    }
    page::section("Why", &standing.why);
    page::section("Safe", &standing.safe);
    page::section("Don't", &standing.not_safe);
    let mut label = "Next";
    for act in &standing.next {
        page::section(label, std::slice::from_ref(&act.what));
        page::to_copy(&act.commands);
        label = "";
    }
}

/// The journal's state as it always was, and beside it what a person is told.
fn as_json(look: &Look, standing: &Standing) -> Result<Value, Error> {
    let mut all = match &look.state {
        Some(state) if look.trouble.is_none() => session::json(state)?,
        _ => Value::Object(Map::new()),
    };
    let told = session::json(standing)?;
    if let (Value::Object(all), Value::Object(told)) = (&mut all, told) {
        if !all.contains_key("stage") {
            let stage = if look.trouble.is_some() {
                "unknown"
            } else {
                "idle"
            };
            all.insert("stage".into(), stage.into());
        }
        all.extend(told);
    }
    Ok(all)
}

/// Held against the plan: names alone say nothing.
fn seen_now(survey: &Survey, look: &Look) -> Seen {
    let Some(plan) = look.plan.as_ref().map(|frozen| &*frozen.plan) else {
        return Seen::Unknown;
    };
    match &survey.top {
        _ if look.state.is_none() && look.trouble.is_none() => Seen::Unknown,
        Some(top) => situation::running(survey, top, plan),
        None => Seen::Unknown,
    }
}

/// Looking into images takes seconds each: only where the journal asks for a plan in them.
fn images_now(survey: &Survey, look: &Look, seen: Seen) -> Images {
    let looks = cfg!(feature = "tools") && seen != Seen::Initramfs;
    match (&survey.top, &look.state, &look.plan) {
        (Some(top), Some(state), Some(frozen)) if looks => {
            let known = Known::of(state, Some(&frozen.plan));
            if wanted(&known) == Some(Images::Armed) {
                let (digest, known) =
                    (Some(frozen.digest.as_str()), situation::known_images(state));
                let along = Some((top, &*frozen.plan));
                return situation::images(&survey.system, along, digest, known);
            }
            Images::Unknown
        }
        _ => Images::Unknown,
    }
}

/// Why there is no old system to go back to, where a boot or a command might.
fn old_problem(survey: &Survey, look: &Look) -> Option<String> {
    let (top, state, frozen) = (&survey.top, &look.state, &look.plan);
    let (top, state, frozen) = (top.as_ref()?, state.as_ref()?, frozen.as_ref()?);
    let stage = state.stage;
    let may_go_back = cfg!(feature = "tools")
        && stage.new_system_is_root()
        && !matches!(stage, Stage::Finalizing | Stage::Finalized);
    may_go_back.then(|| situation::old_problem(top, &frozen.plan, state))?
}

/// What a rollback kept aside and is still there, with what is nested in it, deepest first.
fn kept_now(survey: &Survey, look: &Look) -> Vec<Kept> {
    let (Some(top), Some(state)) = (&survey.top, &look.state) else {
        return Vec::new();
    };
    if state.kept.is_empty() || !cfg!(feature = "tools") {
        return Vec::new();
    }
    let all = btrfs::list_subvolumes(top).unwrap_or_default().into_iter();
    let ours = |path: &PathBuf| state.kept.iter().any(|kept| path.starts_with(kept));
    let paths = all.map(|subvolume| subvolume.path).filter(ours).rev();
    let default = btrfs::default_subvolume(top).ok();
    paths
        .map(|path| {
            let info = btrfs::subvolume_info(top, &path).ok();
            Kept {
                is_locked: top.require_unlocked(&path).is_err(),
                is_read_only: info.as_ref().is_some_and(|info| info.read_only),
                is_default: default.is_some() && default == info.map(|info| info.id),
                path: path.to_string_lossy().into_owned(),
            }
        })
        .collect()
}

/// Whether GRUB would have this root mounted, going by what it said this time.
fn same_again(survey: &Survey) -> Option<bool> {
    let text = survey.system.read_text(Path::new("proc/cmdline")).ok()?;
    let line = CommandLine::parse(&text);
    let named = chosen_subvolume(line.value("rootflags")?)?;
    Some(named == survey.old_root)
}

/// The plan of the image that this runs in; none in a system that is up.
fn plan_of_initramfs(survey: &Survey) -> Result<Option<FrozenPlan>, Error> {
    if survey.identity.is_some() {
        return Ok(None);
    }
    let plans = image::plans(Path::new("/etc/rootshift"))?.into_iter();
    Ok(plans.filter_map(Result::ok).next())
}

/// Where the plan's root file system is. Nothing is mounted that a sleeping kernel believes to own.
fn root_device(system: &Root, plan: &Plan) -> Result<Option<PathBuf>, Error> {
    if let Some(swap) = hibernated_device(system).map_err(engine::Error::from)? {
        return Err(Error::Hibernated { device: swap });
    }
    Ok(others::find(system, &plan.filesystem.uuid)?)
}
