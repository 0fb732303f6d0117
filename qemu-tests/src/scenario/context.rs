//! What every scenario needs: tools, the image, the package, the probe.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::machine::{Accelerator, Disk, Machine, Outcome};
use crate::setup::Tools;
use crate::task::Task;
use crate::workspace::Workspace;
use crate::{image, package, setup};

/// Everything that is built once and shared.
#[derive(Debug)]
pub struct Context {
    /// Where things lie.
    pub workspace: Workspace,
    /// What runs guests.
    pub tools: Tools,
    /// KVM or emulation.
    pub accelerator: Accelerator,
    /// The raw disk of a Debian on flat btrfs; never written to.
    pub image: PathBuf,
    /// The package under test.
    pub deb: PathBuf,
    /// The program that compares trees inside a guest.
    pub probe: PathBuf,
}

impl Context {
    /// Builds or finds all of it.
    pub fn prepare(workspace: Workspace) -> Result<Self> {
        let tools = setup::prepare(&workspace)?;
        Self::with_tools(workspace, tools)
    }

    /// The same once the machine has what it needs: the image is built beside the programs.
    pub fn with_tools(workspace: Workspace, tools: Tools) -> Result<Self> {
        let (programs, image) = std::thread::scope(|scope| {
            let image = scope.spawn(|| image::flat_btrfs(&workspace, &tools));
            let programs = programs(&workspace);
            let image = image
                .join()
                .unwrap_or_else(|_| bail!("building the image panicked"));
            (programs, image)
        });
        let (deb, probe) = programs?;
        let image = image?;
        let accelerator = Accelerator::choose(&workspace, &tools)?;
        Ok(Self {
            workspace,
            tools,
            accelerator,
            image,
            deb,
            probe,
        })
    }

    /// A machine of this name on this disk.
    pub fn machine(&self, name: &str, disk: &Disk) -> Machine {
        Machine::new(name, disk.clone(), self.accelerator)
    }

    /// A file in the machine's directory.
    pub fn place(&self, machine: &str, file: &str) -> Result<PathBuf> {
        Ok(self.workspace.machine(machine)?.join(file))
    }

    /// Runs the machine with a task.
    pub fn run(&self, mut machine: Machine, task: &Task) -> Result<Outcome> {
        let home = self.workspace.machine(&machine.name)?;
        machine.task = Some(task.write(&home)?);
        self.power_on(&machine)
    }

    /// Runs the machine as it is.
    pub fn power_on(&self, machine: &Machine) -> Result<Outcome> {
        machine.run(&self.workspace, &self.tools.qemu)
    }
}

/// The package and the guest's probe.
fn programs(workspace: &Workspace) -> Result<(PathBuf, PathBuf)> {
    let deb = package::deb(workspace).context("build the package")?;
    let probe = package::guest_probe(workspace).context("build the guest's probe")?;
    Ok((deb, probe))
}
