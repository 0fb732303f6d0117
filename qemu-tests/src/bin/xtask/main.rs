//! `cargo xtask`: the project's own commands.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use argh::FromArgs;
use qemu_tests::machine::{Accelerator, Machine};
use qemu_tests::workspace::Workspace;
use qemu_tests::{image, machine, setup, task};

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
    Image(Image),
    Boot(Boot),
}

/// install what a fresh Debian machine lacks
#[derive(FromArgs)]
#[argh(subcommand, name = "setup")]
struct Setup {}

/// build the Debian disk image and print its path
#[derive(FromArgs)]
#[argh(subcommand, name = "image")]
struct Image {}

/// boot the Debian image once, run a shell command in it and print what it said
#[derive(FromArgs)]
#[argh(subcommand, name = "boot")]
struct Boot {
    /// what to run in the guest
    #[argh(positional)]
    script: Vec<String>,
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
    let start = Instant::now();
    let tools = setup::prepare(&workspace)?;
    match command {
        Command::Setup(_) => {
            println!(
                "setup: ready, {} ({:.2} s)",
                tools.qemu.version,
                start.elapsed().as_secs_f64()
            );
        }
        Command::Image(_) => println!("{}", image::flat_btrfs(&workspace, &tools)?.display()),
        Command::Boot(boot) => {
            let accelerator = Accelerator::choose(&workspace, &tools)?;
            let home = workspace.machine("boot")?;
            let image = image::flat_btrfs(&workspace, &tools)?;
            let disk = machine::fork(&tools.qemu, &image, &home.join("disk.qcow2"))?;
            let mut machine = Machine::new("boot", disk, accelerator);
            let script = task::Task::new(boot.script.join(" "));
            machine.task = Some(script.write(&home)?);
            let outcome = machine.run(&workspace, &tools.qemu)?;
            for task in &outcome.tasks {
                print!("{}", task.output);
            }
            println!(
                "{} after {:.1} s",
                outcome.end,
                outcome.elapsed.as_secs_f64()
            );
        }
    }
    Ok(())
}
