//! Words of a POSIX shell script, each character with the bytes it was written as.

use std::ops::Range;

use crate::bootcfg::cursor::Cursor;

/// A word: everything up to an unquoted blank or operator.
#[derive(Debug)]
pub(super) struct Word {
    pub span: Range<usize>,
    /// From 1.
    pub line: usize,
    /// Whether a quote or substitution in it never ends.
    pub unterminated: bool,
    units: Vec<Unit>,
}

/// A character, or a substitution that only a shell can compute.
#[derive(Debug)]
struct Unit {
    span: Range<usize>,
    /// None for a substitution.
    character: Option<char>,
}

impl Unit {
    fn is_plain_blank(&self) -> bool {
        self.span.len() == 1 && matches!(self.character, Some(' ' | '\t' | '\n' | '\r'))
    }
}

/// What the kernel will see as one argument.
#[derive(Debug)]
pub(super) struct Token {
    pub span: Range<usize>,
    /// Without quotes; substitutions left out.
    pub text: String,
    /// Whether a substitution is part of it.
    pub computed: bool,
}

impl Word {
    /// The arguments in the word from a byte on. An escaped blank does not end one: nothing next
    /// to it could be cut out without the backslash changing its meaning.
    pub(super) fn tokens(&self, start: usize) -> Vec<Token> {
        let units: Vec<&Unit> = self.from(start).collect();
        let blank = |unit: &&Unit| unit.is_plain_blank();
        let parts = units.split(blank).filter_map(|part| {
            let (first, last) = (part.first()?, part.last()?);
            Some(Token {
                span: first.span.start..last.span.end,
                text: part.iter().filter_map(|unit| unit.character).collect(),
                computed: part.iter().any(|unit| unit.character.is_none()),
            })
        });
        parts.collect()
    }

    /// The bytes of the text of its substitutions.
    pub(super) fn computed<'t>(&'t self, text: &'t str) -> impl Iterator<Item = &'t str> {
        let computed = self.units.iter().filter(|unit| unit.character.is_none());
        computed.filter_map(|unit| text.get(unit.span.clone()))
    }

    /// The bytes from the first character to the last, from a byte on, without outer quotes.
    pub(super) fn content(&self, start: usize) -> Range<usize> {
        let first = self
            .from(start)
            .next()
            .map_or(start, |unit| unit.span.start);
        first..self.from(start).last().map_or(first, |unit| unit.span.end)
    }

    fn from(&self, start: usize) -> impl Iterator<Item = &Unit> {
        self.units
            .iter()
            .filter(move |unit| unit.span.start >= start)
    }
}

/// The words of a script, in time linear in its length. Comments are left out.
pub(super) fn words(text: &str) -> Vec<Word> {
    let mut scanner = Scanner {
        at: Cursor::new(text),
        unterminated: false,
    };
    let mut words = Vec::new();
    while let Some(c) = scanner.at.peek() {
        match c {
            '#' => scanner.at.skip_comment(),
            _ if is_operator(c) => scanner.at.bump(c),
            _ => words.push(scanner.word()),
        }
    }
    words
}

fn is_operator(c: char) -> bool {
    matches!(
        c,
        ' ' | '\t' | '\r' | '\n' | ';' | '&' | '|' | '(' | ')' | '<' | '>'
    )
}

struct Scanner<'a> {
    at: Cursor<'a>,
    unterminated: bool,
}

impl<'a> Scanner<'a> {
    fn word(&mut self) -> Word {
        let (start, line) = (self.at.position, self.at.line);
        let mut units = Vec::new();
        while let Some(c) = self.at.peek().filter(|c| !is_operator(*c)) {
            match c {
                '\'' => self.single_quoted(&mut units),
                '"' => self.double_quoted(&mut units),
                '\\' => self.escaped(&mut units, |_| true),
                '$' | '`' => self.substitution(&mut units),
                _ => self.character(c, &mut units),
            }
        }
        Word {
            span: start..self.at.position,
            line,
            unterminated: self.unterminated,
            units,
        }
    }

    fn character(&mut self, c: char, units: &mut Vec<Unit>) {
        let start = self.at.position;
        self.at.bump(c);
        units.push(Unit {
            span: start..self.at.position,
            character: Some(c),
        });
    }

    /// A backslash and what it makes literal; before a newline it joins the lines.
    fn escaped(&mut self, units: &mut Vec<Unit>, escapes: fn(char) -> bool) {
        let start = self.at.position;
        self.at.bump('\\');
        match self.at.peek() {
            Some('\n') => self.at.bump('\n'),
            Some(c) if escapes(c) => {
                self.at.bump(c);
                units.push(Unit {
                    span: start..self.at.position,
                    character: Some(c),
                });
            }
            _ => units.push(Unit {
                span: start..self.at.position,
                character: Some('\\'),
            }),
        }
    }

    fn single_quoted(&mut self, units: &mut Vec<Unit>) {
        self.at.bump('\'');
        while let Some(c) = self.at.peek() {
            if c == '\'' {
                return self.at.bump(c);
            }
            self.character(c, units);
        }
        self.unterminated = true;
    }

    fn double_quoted(&mut self, units: &mut Vec<Unit>) {
        self.at.bump('"');
        while let Some(c) = self.at.peek() {
            match c {
                '"' => return self.at.bump(c),
                '\\' => self.escaped(units, |c| matches!(c, '$' | '`' | '"' | '\\')),
                '$' | '`' => self.substitution(units),
                _ => self.character(c, units),
            }
        }
        self.unterminated = true;
    }

    /// `$name`, `${…}`, `$(…)` or backquotes, as one unit. Quotes inside are not looked at: enough
    /// to find the end of what people write here.
    fn substitution(&mut self, units: &mut Vec<Unit>) {
        let start = self.at.position;
        let rest = self.at.rest();
        let length = match rest {
            _ if rest.starts_with("$(") => closing_parenthesis(rest),
            _ if rest.starts_with("${") => rest.find('}').map(|at| at + 1),
            _ if rest.starts_with('`') => rest.match_indices('`').nth(1).map(|(at, _)| at + 1),
            _ => Some(1 + rest.chars().skip(1).take_while(|c| is_name(*c)).count()),
        };
        self.unterminated |= length.is_none();
        let part = rest.get(..length.unwrap_or(rest.len())).unwrap_or(rest);
        let (bytes, lines) = (part.len(), part.matches('\n').count());
        self.at.position += bytes;
        self.at.line += lines;
        units.push(Unit {
            span: start..self.at.position,
            character: None,
        });
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// How long `$(…)` is.
fn closing_parenthesis(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth == 1 => return Some(at + 1),
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}
