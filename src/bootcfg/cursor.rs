//! A place in a text that is read character by character.

/// Where a reader is.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    /// In bytes.
    pub(super) position: usize,
    /// From 1.
    pub(super) line: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            position: 0,
            line: 1,
        }
    }

    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.position..).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Steps over this character, which is the next one.
    pub(super) fn bump(&mut self, c: char) {
        self.position += c.len_utf8();
        self.line += usize::from(c == '\n');
    }

    /// To the end of the line, not over it.
    pub(super) fn skip_comment(&mut self) {
        self.position += self.rest().find('\n').unwrap_or(self.rest().len());
    }
}
