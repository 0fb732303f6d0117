//! Restores: `backup_locations` and `restore_commands` of a batch, parsed into typed acts.
//!
//! What a person would type is read by a small grammar and nothing else: an optional `sudo`, words
//! split at blanks, `&&` between commands. No shell ever sees it.

use std::fmt;

use super::Error;
use super::batch::RollbackConfiguration;

/// How one kind of file is backed up and put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restore {
    /// Its name, as `fstab`.
    pub name: String,
    /// The file, as `/etc/fstab`.
    pub file: String,
    /// Whether the backup's own owner, mode, attributes and times come back too (`cp -a`).
    pub preserve: bool,
    /// What its backups are called.
    pub pattern: Pattern,
    /// What is run once the file is back, in order.
    pub follow_ups: Vec<FollowUp>,
}

/// Names of backups in the file's own directory: `fstab.backup.*`, as text around the star.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// The directory, as `/etc`.
    pub directory: String,
    /// What a name begins with, as `fstab.backup.`.
    pub before: String,
    /// What it ends with; mostly nothing.
    pub after: String,
}

impl Pattern {
    /// The path of the backup with `part` in the place of the star.
    #[must_use]
    pub fn with(&self, part: &str) -> String {
        let Self {
            directory,
            before,
            after,
        } = self;
        format!("{directory}/{before}{part}{after}")
    }

    /// Whether a name in the directory is that of a backup: something stands for the star.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        name.strip_prefix(self.before.as_str())
            .and_then(|rest| rest.strip_suffix(self.after.as_str()))
            .is_some_and(|part| !part.is_empty())
    }
}

/// A program that makes a restored file count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FollowUp {
    /// `update-grub`.
    UpdateGrub,
    /// `update-initramfs -u`, for the newest kernel, or for that of `-k`.
    UpdateInitramfs {
        /// `all`, or a version.
        kernel: Option<String>,
    },
    /// `systemctl daemon-reload`.
    DaemonReload,
}

impl FollowUp {
    /// The program and its arguments.
    #[must_use]
    pub fn arguments(&self) -> (&'static str, Vec<&str>) {
        match self {
            Self::UpdateGrub => ("update-grub", Vec::new()),
            Self::DaemonReload => ("systemctl", vec!["daemon-reload"]),
            Self::UpdateInitramfs { kernel: None } => ("update-initramfs", vec!["-u"]),
            Self::UpdateInitramfs {
                kernel: Some(kernel),
            } => ("update-initramfs", vec!["-u", "-k", kernel]),
        }
    }
}

impl fmt::Display for FollowUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (program, arguments) = self.arguments();
        f.write_str(program)?;
        arguments
            .iter()
            .try_for_each(|argument| write!(f, " {argument}"))
    }
}

/// What may stand in a restore command, for messages.
const ALLOWED: &str = "allowed are `cp [-a|-p] {backup} FILE`, `update-grub`, \
                       `update-initramfs -u [-k all|VERSION]` and `systemctl daemon-reload`, \
                       each with or without `sudo`, with `&&` between them";

impl RollbackConfiguration {
    /// The restores, in the order of their names, whether they are enabled or not.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn restores(&self, file: &str) -> Result<Vec<Restore>, Vec<Error>> {
        let mut restores = Vec::new();
        let mut problems = Vec::new();
        let mut say = |list: &str, name: &str, problem: String| {
            problems.push(Error::Sense {
                file: file.into(),
                at: format!("rollback_configuration.{list}.{name}"),
                problem,
            });
        };
        for (name, pattern) in &self.backup_locations {
            let Some(command) = self.restore_commands.get(name) else {
                let problem = format!("restore_commands has no \"{name}\" to put it back with");
                say("backup_locations", name, problem);
                continue;
            };
            match (parse_pattern(pattern), parse_command(command)) {
                (Err(problem), _) => say("backup_locations", name, problem),
                (_, Err(problem)) => say("restore_commands", name, problem),
                (Ok(pattern), Ok(command)) => match restore(name, pattern, command) {
                    Ok(restore) => restores.push(restore),
                    Err(problem) => say("backup_locations", name, problem),
                },
            }
        }
        let unmatched = |name: &&String| !self.backup_locations.contains_key(*name);
        for name in self.restore_commands.keys().filter(unmatched) {
            let problem = format!("backup_locations has no \"{name}\" to take it from");
            say("restore_commands", name, problem);
        }
        if problems.is_empty() {
            Ok(restores)
        } else {
            Err(problems)
        }
    }
}

/// A backup lies beside its file: there is a directory for it, in the same subvolume.
fn restore(name: &str, pattern: Pattern, command: Command) -> Result<Restore, String> {
    let (directory, own) = command.file.rsplit_once('/').unwrap_or_default();
    if pattern.directory != directory {
        return Err(format!(
            "a backup of {} lies beside it: write \"{directory}/{own}.backup.*\"",
            command.file
        ));
    }
    if pattern.matches(own) {
        return Err(format!("the pattern means {} itself", command.file));
    }
    Ok(Restore {
        name: name.to_owned(),
        file: command.file,
        preserve: command.preserve,
        pattern,
        follow_ups: command.follow_ups,
    })
}

fn parse_pattern(text: &str) -> Result<Pattern, String> {
    let refuse = |why: &str| {
        Err(format!(
            "\"{text}\": {why}; write an absolute path with one * in its last part, as \
             \"/etc/fstab.backup.*\""
        ))
    };
    let Some((directory, name)) = text.rsplit_once('/') else {
        return refuse("it is not absolute");
    };
    if let Some(why) = bad_path(&text.replacen('*', "x", 1)) {
        return refuse(why);
    }
    match name.split_once('*') {
        Some((before, after)) if !before.is_empty() => Ok(Pattern {
            directory: directory.to_owned(),
            before: before.to_owned(),
            after: after.to_owned(),
        }),
        Some(_) => refuse("nothing stands before the *"),
        None => refuse("there is no * in its last part"),
    }
}

/// Why a text is no plain absolute path of a file.
fn bad_path(path: &str) -> Option<&'static str> {
    let Some(inside) = path.strip_prefix('/') else {
        return Some("it is not absolute");
    };
    if path.len() > 1000 {
        return Some("it is too long");
    }
    let plain = |c: char| c.is_alphanumeric() || "@_-.+:,%=/".contains(c);
    if let Some(bad) = path.chars().find(|c| !plain(*c)) {
        return Some(match bad {
            '*' => "there is a second *",
            _ => "it holds a sign that no shell would leave alone",
        });
    }
    let step = |part: &str| part.is_empty() || part == "." || part == "..";
    inside
        .split('/')
        .any(step)
        .then_some("a part of it is empty, `.` or `..`")
}

/// A parsed command line.
struct Command {
    file: String,
    preserve: bool,
    follow_ups: Vec<FollowUp>,
}

fn parse_command(text: &str) -> Result<Command, String> {
    let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
    let mut commands = words.split(|word| *word == "&&");
    let (preserve, file) = parse_copy(commands.next().unwrap_or_default())?;
    let follow_ups = commands.map(parse_follow_up);
    Ok(Command {
        file,
        preserve,
        follow_ups: follow_ups.collect::<Result<_, _>>()?,
    })
}

fn refuse<T>(word: &str, why: &str) -> Result<T, String> {
    Err(format!("\"{word}\" {why}; {ALLOWED}"))
}

fn without_sudo<'a, 'w>(words: &'a [&'w str]) -> &'a [&'w str] {
    words.strip_prefix(&["sudo"]).unwrap_or(words)
}

/// The first command: it says what is put back, and where.
fn parse_copy(words: &[&str]) -> Result<(bool, String), String> {
    let (preserve, rest) = match without_sudo(words) {
        ["cp", "-a" | "-p", rest @ ..] => (true, rest),
        ["cp", rest @ ..] => (false, rest),
        [other, ..] => return refuse(other, "can't come first: `cp` has to"),
        [] => return refuse("", "is no command"),
    };
    match rest {
        ["{backup}", file, more @ ..] => match (bad_path(file), more.first()) {
            (Some(why), _) => refuse(file, &format!("is no file to put back: {why}")),
            (None, Some(more)) => refuse(more, "is too much after `cp {backup} FILE`"),
            (None, None) => Ok((preserve, (*file).to_owned())),
        },
        ["{backup}"] => refuse("cp {backup}", "lacks the file to put back"),
        [other, ..] => refuse(other, "is not known to `cp` here"),
        [] => refuse("cp", "lacks {backup} and the file to put back"),
    }
}

fn parse_follow_up(words: &[&str]) -> Result<FollowUp, String> {
    let version = |word: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._+-~".contains(c);
        !word.starts_with('-') && word.chars().all(plain)
    };
    match without_sudo(words) {
        ["update-grub"] => Ok(FollowUp::UpdateGrub),
        ["systemctl", "daemon-reload"] => Ok(FollowUp::DaemonReload),
        ["update-initramfs", "-u"] => Ok(FollowUp::UpdateInitramfs { kernel: None }),
        ["update-initramfs", "-u", "-k", kernel] if version(kernel) => {
            Ok(FollowUp::UpdateInitramfs {
                kernel: Some((*kernel).to_owned()),
            })
        }
        ["cp", ..] => refuse("cp", "is there already: one file is put back"),
        ["update-grub", other, ..] => refuse(other, "is not known to `update-grub` here"),
        ["systemctl", other, ..] => refuse(other, "is not known to `systemctl` here"),
        ["update-initramfs", rest @ ..] => {
            let other = rest.iter().find(|word| !["-u", "-k"].contains(word));
            let other = other.unwrap_or(&"update-initramfs");
            refuse(other, "is not known to `update-initramfs` here")
        }
        [other, ..] => refuse(other, "is not known"),
        [] => refuse("&&", "has no command after it"),
    }
}

#[cfg(test)]
mod tests;
