//! Two recordings side by side.

use anyhow::{Context as _, Result};
use rootshift::tree::compare::{Comparison, Options, compare as compare_trees};
use serde::{Deserialize, Serialize};

use super::Section;
use super::volatile::{is_expected, is_left_out};

/// As many differences as a reader wants to see at once.
const SHOWN: usize = 40;

/// What a comparison found; travels from the guest to the harness as one line of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// One for each section.
    pub sections: Vec<SectionVerdict>,
}

/// One section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SectionVerdict {
    /// Its name.
    pub name: String,
    /// Entries that are equal in everything.
    pub same: usize,
    /// Entries that are not.
    pub different: usize,
    /// The first of those, in words.
    pub shown: Vec<String>,
}

impl Verdict {
    /// True when nothing differs and something was compared in every section.
    pub fn is_clean(&self) -> bool {
        let clean = |section: &SectionVerdict| section.different == 0 && section.same > 0;
        !self.sections.is_empty() && self.sections.iter().all(clean)
    }

    /// Entries that were compared and found equal.
    pub fn same(&self) -> usize {
        self.sections.iter().map(|section| section.same).sum()
    }

    /// Entries that differ.
    pub fn different(&self) -> usize {
        self.sections.iter().map(|section| section.different).sum()
    }
}

/// Compares section by section; both sides must have the same ones.
pub fn compare(old: &[Section], new: &[Section]) -> Result<Verdict> {
    let sections = old.iter().map(|before| {
        let same_name = |after: &&Section| after.name == before.name;
        let after = new.iter().find(same_name);
        let after = after.with_context(|| format!("no section {}", before.name))?;
        Ok(section(before, after))
    });
    Ok(Verdict {
        sections: sections.collect::<Result<_>>()?,
    })
}

fn section(before: &Section, after: &Section) -> SectionVerdict {
    let ignore = |path: &std::path::Path| is_left_out(&before.name, path);
    let options = Options {
        ignore: &ignore,
        ignore_difference: &is_expected,
    };
    let found = compare_trees(&before.manifest, &after.manifest, &options);
    SectionVerdict {
        name: before.name.clone(),
        same: found.same,
        different: found.missing.len() + found.extra.len() + found.changed.len(),
        shown: in_words(&found).take(SHOWN).collect(),
    }
}

fn in_words(found: &Comparison) -> impl Iterator<Item = String> {
    let missing = found.missing.iter().map(|path| format!("missing {path:?}"));
    let extra = found.extra.iter().map(|path| format!("extra {path:?}"));
    let changed = found.changed.iter().map(|(path, differences)| {
        let words: Vec<_> = differences.iter().map(ToString::to_string).collect();
        format!("changed {path:?}: {}", words.join(", "))
    });
    missing.chain(extra).chain(changed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rootshift::sys::Root;
    use rootshift::tree::Manifest;
    use std::path::Path;

    fn sections(folder: &Path) -> Vec<Section> {
        let root = Root::open(folder).unwrap();
        let options = rootshift::tree::manifest::Options::default();
        let manifest = Manifest::of(&root, options).unwrap();
        vec![Section {
            name: "tree".to_owned(),
            manifest,
        }]
    }

    #[test]
    fn a_changed_byte_is_found_and_a_journal_file_is_not() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(
            folder
                .path()
                .join("var/log/journal/5ca1ab1e0ddba11c0ffee0ddba5eba11"),
        )
        .unwrap();
        std::fs::write(folder.path().join("file"), "one").unwrap();
        let before = sections(folder.path());
        assert!(compare(&before, &before).unwrap().is_clean());
        std::fs::write(
            folder
                .path()
                .join("var/log/journal/5ca1ab1e0ddba11c0ffee0ddba5eba11/system.journal"),
            "log",
        )
        .unwrap();
        assert!(
            compare(&before, &sections(folder.path()))
                .unwrap()
                .is_clean()
        );
        std::fs::write(folder.path().join("file"), "two").unwrap();
        let verdict = compare(&before, &sections(folder.path())).unwrap();
        assert!(!verdict.is_clean());
        assert_eq!(verdict.different(), 1);
        assert!(
            verdict.sections[0].shown[0].contains("content"),
            "{verdict:?}"
        );
    }

    #[test]
    fn nothing_compared_is_no_proof() {
        assert!(
            !Verdict {
                sections: Vec::new()
            }
            .is_clean()
        );
    }
}
