//! `cargo xtask`: the project's own commands.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use argh::FromArgs;
use qemu_tests::image::Recipe;
use qemu_tests::machine::{self, Accelerator, Machine};
use qemu_tests::task::Task;
use qemu_tests::testing::{Selection, Tier};
use qemu_tests::workspace::Workspace;
use qemu_tests::{bench, demo, documents, faults, image, machines, package, setup, sweep, testing};

/// The project's own commands.
#[derive(FromArgs)]
struct Arguments {
    #[argh(subcommand)]
    command: Command,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum Command {
    Setup(Setup),
    Demo(Demo),
    Test(Test),
    Package(Package),
    Size(Size),
    Image(Image),
    Boot(Boot),
    Bench(Bench),
    Schema(Schema),
    CutSweep(CutSweep),
    Faults(Faults),
    Machines(Machines),
}

/// install what a fresh Debian machine lacks
#[derive(FromArgs)]
#[argh(subcommand, name = "setup")]
struct Setup {}

/// migrate a real Debian in a virtual machine, cut its power, and prove every file
#[derive(FromArgs)]
#[argh(subcommand, name = "demo")]
struct Demo {}

/// run every test, in tiers; the last line is "N passed, N failed"
#[derive(FromArgs)]
#[argh(subcommand, name = "test")]
struct Test {
    /// only this tier: unit, loop or machine
    #[argh(option)]
    tier: Option<Tier>,
    /// only machine cases whose name contains this, or one of these with commas between
    #[argh(option)]
    case: Option<String>,
    /// every cut at every fault point, and more machine cases (10 minutes more)
    #[argh(switch)]
    thorough: bool,
}

/// build the shipped binary and the Debian package around it
#[derive(FromArgs)]
#[argh(subcommand, name = "package")]
struct Package {}

/// print the size of the shipped binary; fail when it is too large or not static
#[derive(FromArgs)]
#[argh(subcommand, name = "size")]
struct Size {}

/// build the Debian disk image and print its path
#[derive(FromArgs)]
#[argh(subcommand, name = "image")]
struct Image {
    /// which one: trixie, uefi, systemd-boot, rootfs, with commas between
    #[argh(option, default = "Recipe::USUAL")]
    of: Recipe,
}

/// boot a fork of the Debian image, run a shell script in it, print what it said
#[derive(FromArgs)]
#[argh(subcommand, name = "boot")]
struct Boot {
    /// which image: trixie, uefi, systemd-boot, rootfs, with commas between
    #[argh(option, default = "Recipe::USUAL")]
    of: Recipe,
    /// the script
    #[argh(positional)]
    script: Vec<String>,
}

/// time 1,000 checks of mixed kinds in one viScript on this machine
#[derive(FromArgs)]
#[argh(subcommand, name = "bench")]
struct Bench {}

/// write JSON Schemas and docs/reference.md as the program's types say
#[derive(FromArgs)]
#[argh(subcommand, name = "schema")]
struct Schema {
    /// only compare; fail when a committed file differs
    #[argh(switch)]
    check: bool,
}

/// cut the power at every instant of a recorded migration, and prove that the machine boots
#[derive(FromArgs)]
#[argh(subcommand, name = "cut-sweep")]
struct CutSweep {
    /// old system: a (a flat btrfs, the default) or rootfs (its root in @rootfs)
    #[argh(option, default = "String::from(\"a\")")]
    way: String,
    /// how many points, or all (the default)
    #[argh(option, default = "String::from(\"all\")")]
    points: String,
    /// subsets of the writes that were not flushed, at each flush (4)
    #[argh(option, default = "4")]
    reorder: usize,
    /// only torn writes: the last one after each flush, cut at each of its 512-byte sectors
    #[argh(switch)]
    torn: bool,
    /// decides all that is left to chance (1)
    #[argh(option, default = "1")]
    seed: u64,
    /// only this phase: arm, migrate, trial, validate, rollback, give-up-new, give-up-old,
    /// finalize or restore; with --boots arm, migrate, trial, rollback or finalize
    #[argh(option)]
    phase: Option<String>,
    /// only this point, as migrate:57:r2
    #[argh(option)]
    only: Option<String>,
    /// a program with a bug on purpose: skip-sync, flip-early, write-in-place; or all: each of
    /// them has to be found
    #[argh(option)]
    mutant: Option<String>,
    /// this program instead of the shipped one
    #[argh(option)]
    binary: Option<PathBuf>,
    /// instead of all this, cut a real Debian's life at so many sampled flushes, and boot each
    /// disk through GRUB (40 s a point)
    #[argh(option)]
    boots: Option<usize>,
}

/// let the disk fail at each step of a migration, and prove that the machine boots
#[derive(FromArgs)]
#[argh(subcommand, name = "faults")]
struct Faults {
    /// old system: a (a flat btrfs, the default) or rootfs (its root in @rootfs)
    #[argh(option, default = "String::from(\"a\")")]
    way: String,
    /// about how many points, or all (the default)
    #[argh(option, default = "String::from(\"all\")")]
    points: String,
    /// decides which points (1)
    #[argh(option, default = "1")]
    seed: u64,
    /// only this phase: arm, migrate, trial, validate, rollback, give-up-new, give-up-old or
    /// finalize
    #[argh(option)]
    phase: Option<String>,
    /// only this kind: read, reads, write, writes, flush, flushes, gone, data or metadata
    #[argh(option)]
    kind: Option<String>,
    /// only this point, as migrate:writes:57
    #[argh(option)]
    only: Option<String>,
    /// this program instead of the shipped one
    #[argh(option)]
    binary: Option<PathBuf>,
}

/// generate machines, live them to the end beside a hostile user, and judge what is left
#[derive(FromArgs)]
#[argh(subcommand, name = "machines")]
struct Machines {
    /// how many (100)
    #[argh(option, default = "100")]
    points: usize,
    /// decides which (1)
    #[argh(option, default = "1")]
    seed: u64,
    /// only this machine, as 17:rootfs+nested:check,arm,boot
    #[argh(option)]
    only: Option<machines::Machine>,
    /// a program with a bug on purpose: trash-by-name, mounted-is-nested, any-device; or all: each
    /// of them has to be found
    #[argh(option)]
    mutant: Option<String>,
    /// this program instead, built with `--features fault`
    #[argh(option)]
    binary: Option<PathBuf>,
    /// stop at so many failures (all)
    #[argh(option, default = "usize::MAX")]
    stop_after: usize,
    /// print a machine that fails as it is, not made smaller
    #[argh(switch)]
    keep_whole: bool,
    /// tell what each machine does
    #[argh(switch, short = 'v')]
    verbose: bool,
    /// machines at once (one a processor)
    #[argh(option)]
    workers: Option<usize>,
}

fn main() -> ExitCode {
    let arguments: Arguments = argh::from_env();
    match dispatch(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command) -> Result<()> {
    let workspace = Workspace::find()?;
    match command {
        Command::Setup(_) => set_up(&workspace),
        Command::Demo(_) => demo::run(workspace),
        Command::Test(Test {
            tier,
            case,
            thorough,
        }) => {
            let selection = Selection {
                tier,
                case,
                thorough,
            };
            testing::run(workspace, &selection)
        }
        Command::Package(_) => {
            setup::prepare(&workspace)?;
            println!("{}", package::deb(&workspace)?.display());
            Ok(())
        }
        Command::Size(_) => {
            setup::prepare(&workspace)?;
            println!("{} KiB", package::check_size(&workspace)?.div_ceil(1024));
            Ok(())
        }
        Command::Image(Image { of }) => {
            let tools = setup::prepare(&workspace)?;
            println!("{}", image::debian(&workspace, &tools, of)?.display());
            Ok(())
        }
        Command::Bench(_) => bench::run(&workspace),
        Command::Boot(Boot { of, script }) => boot(&workspace, of, &script.join(" ")),
        Command::CutSweep(options) => cut_sweep(&workspace, options),
        Command::Faults(options) => let_fail(&workspace, options),
        Command::Machines(options) => live(&workspace, options),
        Command::Schema(Schema { check: true }) => documents::check(workspace.root()),
        Command::Schema(Schema { check: false }) => documents::write(workspace.root()),
    }
}

fn cut_sweep(workspace: &Workspace, options: CutSweep) -> Result<()> {
    if let Some(boots) = options.boots {
        let selection = sweep::boots::Selection {
            boots,
            seed: options.seed,
            chapter: options.phase.map(|name| name.parse()).transpose()?,
        };
        return sweep::boots::run(workspace, &selection);
    }
    if options.mutant.as_deref() == Some("all") {
        return sweep::find_mutants(workspace);
    }
    let points = number_of_points(&options.points)?;
    let selection = sweep::Selection {
        way: options.way,
        points,
        reorder: options.reorder,
        torn: options.torn,
        seed: options.seed,
        phase: options.phase.map(|phase| phase.parse()).transpose()?,
        only: options.only.map(|point| point.parse()).transpose()?,
        mutant: options.mutant,
        quiet: false,
        binary: options.binary,
    };
    let tally = sweep::run(workspace, &selection)?;
    ensure!(tally.failed() == 0, "{} points failed", tally.failed());
    Ok(())
}

fn number_of_points(text: &str) -> Result<Option<usize>> {
    match text {
        "all" => Ok(None),
        number => Ok(Some(
            number.parse().context("--points takes a number or all")?,
        )),
    }
}

fn let_fail(workspace: &Workspace, options: Faults) -> Result<()> {
    let selection = faults::Selection {
        way: options.way,
        points: number_of_points(&options.points)?,
        seed: options.seed,
        phase: options.phase.map(|phase| phase.parse()).transpose()?,
        kind: options.kind,
        only: options.only.map(|point| point.parse()).transpose()?,
        binary: options.binary,
    };
    let tally = faults::run(workspace, &selection)?;
    ensure!(tally.failed() == 0, "{} points failed", tally.failed());
    Ok(())
}

fn live(workspace: &Workspace, options: Machines) -> Result<()> {
    let all = options.mutant.as_deref() == Some("all");
    let selection = machines::Selection {
        points: options.points,
        seed: options.seed,
        only: options.only,
        mutant: options.mutant,
        binary: options.binary,
        stop_after: options.stop_after,
        keep_whole: options.keep_whole,
        verbose: options.verbose,
        workers: options.workers,
    };
    if all {
        return machines::find_mutants(workspace, &selection);
    }
    let tally = machines::run(workspace, &selection)?;
    ensure!(tally.failed() == 0, "{} machines failed", tally.failed());
    ensure!(tally.passed() > 0, "no machine was lived");
    Ok(())
}

fn set_up(workspace: &Workspace) -> Result<()> {
    let start = Instant::now();
    let tools = setup::prepare(workspace)?;
    println!(
        "setup: ready, {} ({:.2} s)",
        tools.qemu.version,
        start.elapsed().as_secs_f64()
    );
    Ok(())
}

fn boot(workspace: &Workspace, of: Recipe, script: &str) -> Result<()> {
    let tools = setup::prepare(workspace)?;
    let accelerator = Accelerator::choose(workspace, &tools)?;
    let home = workspace.machine("boot")?;
    let image = image::debian(workspace, &tools, of)?;
    let disk = machine::fork(&tools.qemu, &image, &home.join("disk.qcow2"))?;
    let mut machine = Machine::new("boot", disk, accelerator);
    machine.task = Some(Task::new(script).write(&home)?);
    let outcome = machine.run(workspace, &tools.qemu)?;
    outcome
        .tasks
        .iter()
        .for_each(|task| print!("{}", task.output));
    println!(
        "{} after {:.1} s",
        outcome.end,
        outcome.elapsed.as_secs_f64()
    );
    Ok(())
}
