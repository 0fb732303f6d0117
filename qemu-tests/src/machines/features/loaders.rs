//! Other loaders: their traces, and machines that they boot.

use std::fs;

use anyhow::Result;

use super::Build;

/// systemd's variables begin with four bytes of attributes, and are UTF-16.
fn variable(build: &Build, name: &str, text: &str) -> Result<()> {
    let folder = build.bench.at("sys/firmware/efi/efivars");
    fs::create_dir_all(&folder)?;
    let mut bytes = vec![6, 0, 0, 0];
    bytes.extend(text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes));
    let name = format!("{name}-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f");
    Ok(fs::write(folder.join(name), bytes)?)
}

/// Files of a loader that is not used.
pub fn entries(build: &mut Build) -> Result<()> {
    build.write("boot/loader/loader.conf", "timeout 3\n")?;
    let text = "title Debian\nlinux /vmlinuz\noptions root=/dev/sda2\n";
    build.write("boot/loader/entries/debian.conf", text)
}

/// The machine is booted from an ESP, without GRUB: nobody tells the kernel of a subvolume.
fn direct(build: &mut Build) -> Result<()> {
    fs::create_dir_all(build.root.join("efi"))?;
    let mut line = format!("root=UUID={} ro quiet", build.bench.disk.uuid);
    if !build.subvolume.is_empty() {
        line.push_str(&format!(" rootflags=subvol={}", build.subvolume));
    }
    build.direct = Some(line);
    Ok(())
}

pub fn systemd_boot(build: &mut Build) -> Result<()> {
    variable(build, "LoaderInfo", "systemd-boot 252.39-1~deb12u1")?;
    variable(
        build,
        "LoaderDevicePartUUID",
        "0f0e0d0c-0000-4000-8000-000000000001",
    )?;
    direct(build)
}

pub fn refind(build: &mut Build) -> Result<()> {
    build.write("boot/refind_linux.conf", "\"Boot\" \"ro root=UUID=x\"\n")?;
    variable(build, "LoaderInfo", "rEFInd 0.13.2")?;
    direct(build)
}

/// The kernel is started by the firmware itself.
pub fn stub(build: &mut Build) -> Result<()> {
    fs::create_dir_all(build.bench.at("sys/firmware/efi/efivars"))?;
    variable(build, "StubInfo", "systemd-stub 252.39-1~deb12u1")?;
    direct(build)
}
