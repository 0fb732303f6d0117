//! Batches, viScripts, plans, and JSON as such.

use std::fmt;

use rootshift::documents::check::Size;
use rootshift::documents::lint::{Source, lint as look};
use rootshift::documents::restore::Restore;
use rootshift::documents::{self, Batch, Plan, ViScript, json as writer, parse};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::assert_one_line;

type Parse<T> = fn(&str, &[u8]) -> Result<T, documents::Error>;

/// Parsed, written and parsed again it is the same; refused, a place in the text is named.
fn read<T: Serialize + PartialEq + fmt::Debug>(parse: Parse<T>, data: &[u8]) -> Option<T> {
    let value = match parse("d.json", data) {
        Ok(value) => value,
        Err(error) => {
            assert_placed(&error.to_string(), data);
            return None;
        }
    };
    let text = writer::text(&value).unwrap();
    if text.len() <= parse::SIZE_LIMIT {
        let again = parse("d.json", &text).unwrap();
        assert_eq!(value, again);
        assert_eq!(text, writer::text(&again).unwrap());
    }
    Some(value)
}

fn assert_placed(message: &str, data: &[u8]) {
    assert_one_line(message);
    let mut parts = message.splitn(4, ':');
    assert_eq!(parts.next(), Some("d.json"), "{message}");
    let mut number = || parts.next().and_then(|part| part.parse::<usize>().ok());
    let (line, column) = (number().expect(message), number().expect(message));
    let lines: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    assert!((1..=lines.len()).contains(&line), "{message}");
    assert!(
        (1..=lines[line - 1].len() + 1).contains(&column),
        "{message}"
    );
}

/// Nothing in it does anything to a terminal, or ends a path early.
fn assert_plain(value: &Value) {
    let plain = |text: &str| {
        let refused = |c: char| writer::is_control(c) && !matches!(c, '\n' | '\t');
        assert!(!text.contains(refused), "{text:?}");
    };
    match value {
        Value::String(text) => plain(text),
        Value::Array(items) => items.iter().for_each(assert_plain),
        Value::Object(fields) => {
            fields.keys().for_each(|key| plain(key));
            fields.values().for_each(assert_plain);
        }
        _ => {}
    }
}

pub fn batch(data: &[u8]) {
    let Some(batch) = read(Batch::parse, data) else {
        return;
    };
    assert_plain(&writer::tree(&batch).unwrap());
    assert!(!batch.phases.is_empty());
    for name in batch.phases.iter().flat_map(|phase| &phase.viscripts) {
        assert!(!name.contains(['/', '\0', '\n', '\u{1b}']) && name != "..");
    }
}

pub fn viscript(data: &[u8]) {
    if let Some(script) = read(ViScript::parse, data) {
        assert!(!script.steps.is_empty() || !script.checks.is_empty());
        assert_plain(&writer::tree(&script).unwrap());
        let names = script.checks.iter().map(|check| &check.name);
        let mut names = names.chain(script.steps.iter().map(|step| &step.name));
        assert!(!names.any(|name| name.contains('\n')));
    }
}

pub fn plan(data: &[u8]) {
    let Some(plan) = read(Plan::parse, data) else {
        return;
    };
    let after = plan
        .steps()
        .iter()
        .position(|step| step.action.runs_after_commit());
    let first = after.unwrap_or(plan.steps().len());
    assert!(
        plan.steps()[first..]
            .iter()
            .all(|step| step.action.runs_after_commit())
    );
    let _ = (plan.root_subvolume(), plan.subvolumes());
}

/// Several documents, with a line of dashes between them.
pub fn lint(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let texts = text.split("\n---\n").enumerate();
    let sources: Vec<Source> = texts
        .map(|(index, text)| Source {
            file: format!("{index}.json"),
            text: text.to_owned(),
        })
        .collect();
    for problem in look(&sources) {
        assert_one_line(&problem.what);
        assert!(!problem.help.is_empty());
        let source = sources.iter().find(|source| source.file == problem.file);
        let lines = source
            .expect("a problem of no document")
            .text
            .split('\n')
            .count();
        let place = problem.place.as_ref().expect("no place");
        assert!(
            (1..=lines).contains(&place.line) && place.column >= 1,
            "{problem:?}"
        );
        assert!(problem.render().contains(&problem.what));
    }
}

/// Against serde_json and a search for duplicate keys of its own.
pub fn json(data: &[u8]) {
    let plain: Result<Value, _> = serde_json::from_slice(data);
    let strict: Result<Value, _> = parse::document("d.json", data);
    let once = serde_json::from_slice::<KeysOnce>(data).is_ok();
    match strict {
        Ok(value) => {
            assert!(once, "a key that is there twice was let pass");
            assert_eq!(Some(value), plain.ok());
        }
        Err(error) => {
            assert_placed(&error.to_string(), data);
            let whole = data.len() <= parse::SIZE_LIMIT;
            assert!(
                !(plain.is_ok() && once && whole),
                "sound JSON was refused: {error}"
            );
        }
    }
}

/// JSON whose objects have each key once.
struct KeysOnce;

impl<'de> Deserialize<'de> for KeysOnce {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_any(KeysOnce)
    }
}

impl<'de> Visitor<'de> for KeysOnce {
    type Value = Self;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("anything")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<KeysOnce>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self, A::Error> {
        let mut keys = std::collections::HashSet::new();
        while let Some((key, _)) = fields.next_entry::<String, KeysOnce>()? {
            if !keys.insert(key) {
                return Err(serde::de::Error::custom("twice"));
            }
        }
        Ok(self)
    }
}

pub fn size(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match text.parse::<Size>() {
        Ok(size) => assert_eq!(size.to_string().parse(), Ok(size)),
        Err(message) => assert!(message.contains("is no size"), "{message}"),
    }
}

/// A pattern of backups, and after a line break the command that puts one back.
pub fn restore(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (pattern, command) = text.split_once('\n').unwrap_or((text, ""));
    for restore in restores(pattern, command) {
        assert!(
            !restore.file.contains(|c| " *&;|$`<>\\'\"\n".contains(c)),
            "{restore:?}"
        );
        assert!(restore.file.starts_with('/') && !restore.file.contains("/../"));
        let own = restore.file.rsplit('/').next().unwrap();
        assert!(!restore.pattern.matches(own));
        assert_eq!(
            restore.pattern.directory,
            restore.file[..restore.file.len() - own.len() - 1]
        );
        let mut command = format!("cp {{backup}} {}", restore.file);
        if restore.preserve {
            command.insert_str("cp".len(), " -a");
        }
        for follow_up in &restore.follow_ups {
            let (program, arguments) = follow_up.arguments();
            assert!(["update-grub", "update-initramfs", "systemctl"].contains(&program));
            let mut free = arguments
                .iter()
                .skip_while(|argument| **argument != "-k")
                .skip(1);
            assert!(!free.any(|kernel| kernel.starts_with('-') || kernel.contains(['/', ' '])));
            command.push_str(&format!(" && {follow_up}"));
        }
        // Written out in full it means the same.
        assert_eq!(restores(&restore.pattern.with("*"), &command), [restore]);
    }
}

/// What a batch with these two makes of them; nothing when it is refused.
fn restores(pattern: &str, command: &str) -> Vec<Restore> {
    let mut batch: Value = serde_json::from_str(include_str!("../corpus/batch/smallest")).unwrap();
    batch["rollback_configuration"] = serde_json::json!({
        "enabled": true,
        "backup_locations": {"it": pattern},
        "restore_commands": {"it": command},
    });
    let text = writer::text(&batch).unwrap();
    match Batch::parse("d.json", &text) {
        Ok(batch) => batch
            .rollback_configuration
            .unwrap()
            .restores("d.json")
            .unwrap(),
        Err(error) => {
            assert_placed(&error.to_string(), &text);
            Vec::new()
        }
    }
}
