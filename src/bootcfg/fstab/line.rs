//! One line of an fstab, taken apart so that it can be put together again byte for byte.

use crate::bootcfg::mount_options;

/// A line: its fields and the blanks before each, then whatever is left, line ending included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Each field as written (not decoded), with the blanks that precede it.
    pub fields: Vec<(String, String)>,
    /// Blanks and line ending after the last field; for comments the whole line.
    pub rest: String,
}

impl Line {
    /// Splits a line, given with its line ending if it has one. Only blanks and tabs separate
    /// fields, and `#` starts a comment only as the first character (libmount, `tab_parse.c`).
    pub(super) fn parse(line: &str) -> Self {
        let body = line.strip_suffix('\n').unwrap_or(line);
        let body = body.strip_suffix('\r').unwrap_or(body);
        let is_blank = |c: char| c == ' ' || c == '\t';
        let mut fields = Vec::new();
        let mut remaining = body;
        if body.trim_start_matches(is_blank).starts_with('#') {
            return Self {
                fields,
                rest: line.to_owned(),
            };
        }
        loop {
            let field = remaining.trim_start_matches(is_blank);
            if field.is_empty() {
                break;
            }
            let (blanks, _) = remaining.split_at(remaining.len() - field.len());
            let end = field.find(is_blank).unwrap_or(field.len());
            let (field, after) = field.split_at(end);
            fields.push((blanks.to_owned(), field.to_owned()));
            remaining = after;
        }
        let ending = line.strip_prefix(body).unwrap_or_default();
        Self {
            fields,
            rest: format!("{remaining}{ending}"),
        }
    }

    /// The field as written, or nothing.
    pub(super) fn field(&self, index: usize) -> Option<&str> {
        self.fields.get(index).map(|(_, field)| field.as_str())
    }

    /// Writes a field; one past the end is appended. Where columns are aligned with spaces the next column stays where it was.
    pub(super) fn set_field(&mut self, index: usize, value: &str) {
        let Some((_, field)) = self.fields.get_mut(index) else {
            self.fields.push((" ".to_owned(), value.to_owned()));
            return;
        };
        if field == value {
            return;
        }
        let width = field.chars().count();
        *field = value.to_owned();
        if let Some((blanks, _)) = self.fields.get_mut(index + 1) {
            *blanks = realigned(blanks, width, value.chars().count());
        }
    }

    /// A new line in the columns of this one.
    pub(super) fn like(&self, values: &[String], ending: &str) -> Self {
        let mut line = Self {
            fields: Vec::new(),
            rest: ending.to_owned(),
        };
        let mut previous = None;
        for (index, value) in values.iter().enumerate() {
            let blanks = match (self.fields.get(index), previous) {
                (Some((blanks, _)), Some((old, new))) => realigned(blanks, old, new),
                (Some((blanks, _)), None) => blanks.clone(),
                (None, _) => " ".to_owned(),
            };
            let old = self.field(index).unwrap_or_default().chars().count();
            previous = Some((old, value.chars().count()));
            line.fields.push((blanks, value.clone()));
        }
        line
    }

    /// `\r\n`, `\n`, or nothing.
    pub(super) fn ending(&self) -> &str {
        let start = self
            .rest
            .trim_end_matches('\n')
            .trim_end_matches('\r')
            .len();
        self.rest.get(start..).unwrap_or_default()
    }

    pub(super) fn write(&self, to: &mut String) {
        for (blanks, field) in &self.fields {
            to.push_str(blanks);
            to.push_str(field);
        }
        to.push_str(&self.rest);
    }
}

/// The blanks between a field and the next column after the field's width changed. A single blank
/// and anything with a tab in it stays; a run of spaces gives or takes, down to one.
fn realigned(blanks: &str, old_width: usize, new_width: usize) -> String {
    if blanks.len() < 2 || blanks.contains('\t') {
        return blanks.to_owned();
    }
    " ".repeat((blanks.len() + old_width).saturating_sub(new_width).max(1))
}

/// Decodes `\040` and its like (three octal digits). Anything else with a backslash stays.
pub(super) fn decode(field: &str) -> String {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, octal(tail)) {
            (b'\\', Some((byte, tail))) => {
                bytes.push(byte);
                rest = tail;
            }
            _ => bytes.push(*first),
        }
    }
    // Escapes can spell bytes that are no UTF-8; such a field stays as written.
    String::from_utf8(bytes).unwrap_or_else(|_| field.to_owned())
}

fn octal(text: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, tail) = text.split_at_checked(3)?;
    let value = digits.iter().try_fold(0_u16, |value, digit| match digit {
        b'0'..=b'7' => Some(value * 8 + u16::from(digit - b'0')),
        _ => None,
    })?;
    Some((u8::try_from(value).ok()?, tail))
}

/// Encodes what libmount decodes: blank, tab, newline, carriage return and backslash; and `#`,
/// which at the start of a line would make it a comment.
pub(super) fn encode(field: &str) -> String {
    let mut result = String::with_capacity(field.len());
    for c in field.chars() {
        match c {
            ' ' | '\t' | '\n' | '\r' | '\\' => result.push_str(&format!("\\{:03o}", u32::from(c))),
            _ => result.push(c),
        }
    }
    if result.starts_with('#') {
        result.replacen('#', "\\043", 1)
    } else {
        result
    }
}

/// The path without doubled and trailing slashes: libmount compares paths so.
pub(super) fn normal_path(path: &str) -> String {
    if !path.starts_with('/') {
        return path.to_owned();
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    format!("/{}", parts.join("/"))
}

/// `LABEL="x"` and `LABEL=x` are the same to libmount, and UUIDs compare without case.
pub(super) fn normal_source(source: &str) -> String {
    let Some((tag, value)) = source.split_once('=') else {
        let by_uuid = source.strip_prefix("/dev/disk/by-uuid/");
        return by_uuid.map_or(source.to_owned(), |id| {
            format!("UUID={}", id.to_ascii_lowercase())
        });
    };
    let quoted = |mark: char| value.strip_prefix(mark).and_then(|v| v.strip_suffix(mark));
    let value = quoted('"').or_else(|| quoted('\'')).unwrap_or(value);
    match tag {
        "UUID" | "PARTUUID" => format!("{tag}={}", value.to_ascii_lowercase()),
        _ => format!("{tag}={value}"),
    }
}

/// The options of a field, decoded.
pub(super) fn options(field: &str) -> Vec<String> {
    mount_options::split(&decode(field))
        .into_iter()
        .map(str::to_owned)
        .collect()
}
