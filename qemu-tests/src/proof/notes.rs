//! Sections as bytes on a raw disk: a head line, then for each a line with name and length, then
//! its manifest as text. The rest of the disk is ignored.

use std::io::{Read, Write};

use anyhow::{Context as _, Result, bail, ensure};
use rootshift::tree::Manifest;

use super::Section;

/// Room for the manifests of a small system, in bytes.
pub const NOTES_SIZE: u64 = 64 << 20;
const HEAD: &str = "rootshift-notes 1";

/// Writes the sections; the caller syncs the disk.
pub fn write(sections: &[Section], mut disk: impl Write) -> Result<()> {
    let mut text = format!("{HEAD}\n{}\n", sections.len());
    for section in sections {
        let manifest = section.manifest.to_text();
        text.push_str(&format!("{} {}\n{manifest}", section.name, manifest.len()));
    }
    ensure!(
        u64::try_from(text.len())? <= NOTES_SIZE,
        "the manifests are larger than the disk"
    );
    disk.write_all(text.as_bytes()).context("write the notes")
}

/// Reads what [`write`] wrote.
pub fn read(disk: impl Read) -> Result<Vec<Section>> {
    let mut bytes = Vec::new();
    disk.take(NOTES_SIZE)
        .read_to_end(&mut bytes)
        .context("read the notes")?;
    let mut rest = bytes.as_slice();
    let head = line(&mut rest)?;
    ensure!(
        head == HEAD,
        "the notes disk holds no notes: was `guest-probe record` run?"
    );
    let count: usize = line(&mut rest)?.parse()?;
    (0..count).map(|_| section(&mut rest)).collect()
}

fn section(rest: &mut &[u8]) -> Result<Section> {
    let head = line(rest)?;
    let (name, length) = head
        .split_once(' ')
        .context("a section has a name and a length")?;
    let Some((text, after)) = rest.split_at_checked(length.parse()?) else {
        bail!("the notes end inside the section {name}");
    };
    *rest = after;
    let manifest = Manifest::from_text(std::str::from_utf8(text)?)?;
    Ok(Section {
        name: name.to_owned(),
        manifest,
    })
}

fn line<'a>(rest: &mut &'a [u8]) -> Result<&'a str> {
    let end = rest
        .iter()
        .position(|byte| *byte == b'\n')
        .context("the notes end too early")?;
    let (line, after) = rest.split_at(end);
    *rest = &after[1..];
    Ok(std::str::from_utf8(line)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rootshift::sys::Root;
    use rootshift::tree::manifest::Options;

    #[test]
    fn what_is_written_is_read_again_from_a_larger_disk() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a name"), "content").unwrap();
        let manifest =
            Manifest::of(&Root::open(folder.path()).unwrap(), Options::default()).unwrap();
        let sections = ["tree", "boot"].map(|name| Section {
            name: name.to_owned(),
            manifest: manifest.clone(),
        });
        let mut disk = Vec::new();
        write(&sections, &mut disk).unwrap();
        disk.resize(disk.len() + 1000, 0);
        assert_eq!(read(disk.as_slice()).unwrap(), sections);
    }

    #[test]
    fn an_empty_disk_is_told() {
        let error = read([0_u8; 4096].as_slice()).unwrap_err();
        assert!(error.to_string().contains("too early"), "{error}");
    }
}
