//! Words of a GRUB script (grub-core/script/yylex.l).

use std::ops::Range;

use crate::bootcfg::cursor::Cursor;

/// A word with its quotes resolved. Variables stay as written: `$root`, `${root}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    pub span: Range<usize>,
    pub value: String,
    /// From 1.
    pub line: usize,
}

#[derive(Debug)]
pub(super) enum Token {
    Word(Word),
    /// A newline, a semicolon or another operator.
    End,
    Open(usize),
    Close(usize),
}

#[derive(Debug)]
pub(super) struct Lexed {
    pub tokens: Vec<Token>,
    /// The line of a quote that never ends.
    pub unterminated: Option<usize>,
}

/// Takes a script apart, in time linear in its length.
pub(super) fn lex(text: &str) -> Lexed {
    let mut lexer = Lexer {
        at: Cursor::new(text),
        unterminated: None,
    };
    let mut tokens = Vec::new();
    while let Some(c) = lexer.at.peek() {
        match c {
            ' ' | '\t' | '\r' => lexer.at.bump(c),
            '\n' | ';' | '&' | '|' | '<' | '>' => {
                lexer.at.bump(c);
                tokens.push(Token::End);
            }
            '{' => {
                tokens.push(Token::Open(lexer.at.line));
                lexer.at.bump(c);
            }
            '}' => {
                tokens.push(Token::Close(lexer.at.line));
                lexer.at.bump(c);
            }
            '#' => lexer.at.skip_comment(),
            _ => {
                if !lexer.skip_continuation() {
                    tokens.push(Token::Word(lexer.word()));
                }
            }
        }
    }
    Lexed {
        tokens,
        unterminated: lexer.unterminated,
    }
}

struct Lexer<'a> {
    at: Cursor<'a>,
    unterminated: Option<usize>,
}

impl Lexer<'_> {
    /// A backslash before the end of a line joins it with the next. GRUB drops `\r` as it reads.
    fn skip_continuation(&mut self) -> bool {
        let rest = self.at.rest();
        let length = match rest {
            _ if rest.starts_with("\\\n") => 2,
            _ if rest.starts_with("\\\r\n") => 3,
            _ => return false,
        };
        self.at.position += length;
        self.at.line += 1;
        true
    }

    fn word(&mut self) -> Word {
        let (start, line) = (self.at.position, self.at.line);
        let mut value = String::new();
        while let Some(c) = self.at.peek() {
            match c {
                ' ' | '\t' | '\r' | '\n' | ';' | '&' | '|' | '<' | '>' | '{' | '}' => break,
                '\'' => self.single_quoted(&mut value),
                '"' => self.double_quoted(&mut value),
                '$' => self.variable(&mut value),
                '\\' => self.escaped(&mut value),
                _ => {
                    self.at.bump(c);
                    value.push(c);
                }
            }
        }
        Word {
            span: start..self.at.position,
            value,
            line,
        }
    }

    fn escaped(&mut self, value: &mut String) {
        if self.skip_continuation() {
            return;
        }
        self.at.bump('\\');
        if let Some(c) = self.at.peek() {
            self.at.bump(c);
            value.push(c);
        }
    }

    fn variable(&mut self, value: &mut String) {
        self.at.bump('$');
        value.push('$');
        if self.at.peek() != Some('{') {
            return;
        }
        while let Some(c) = self.at.peek().filter(|c| *c != '\n') {
            self.at.bump(c);
            value.push(c);
            if c == '}' {
                break;
            }
        }
    }

    fn single_quoted(&mut self, value: &mut String) {
        let opened = self.at.line;
        self.at.bump('\'');
        while let Some(c) = self.at.peek() {
            self.at.bump(c);
            if c == '\'' {
                return;
            }
            value.push(c);
        }
        self.unterminated.get_or_insert(opened);
    }

    /// In double quotes a backslash escapes only `$`, `"`, `\` and a newline.
    fn double_quoted(&mut self, value: &mut String) {
        let opened = self.at.line;
        self.at.bump('"');
        while let Some(c) = self.at.peek() {
            if c == '\\' && self.skip_continuation() {
                continue;
            }
            self.at.bump(c);
            match (c, self.at.peek()) {
                ('"', _) => return,
                ('\\', Some(next @ ('$' | '"' | '\\'))) => {
                    self.at.bump(next);
                    value.push(next);
                }
                _ => value.push(c),
            }
        }
        self.unterminated.get_or_insert(opened);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let words = lex(text)
            .tokens
            .into_iter()
            .filter_map(|token| match token {
                Token::Word(word) => Some(word.value),
                _ => None,
            });
        words.collect()
    }

    #[test]
    fn quotes_escapes_and_continuations() {
        assert_eq!(
            words(r#"a 'b  c'd "e \" \x" f\ g"#),
            ["a", "b  cd", r#"e " \x"#, "f g"]
        );
        assert_eq!(
            words("linux /x \\\n  ro\\\r\n quiet"),
            ["linux", "/x", "ro", "quiet"]
        );
        let joined = lex("linux /x \\\r\n quiet \\\n ro");
        assert!(
            joined
                .tokens
                .iter()
                .all(|token| matches!(token, Token::Word(_)))
        );
        assert_eq!(words("a#b # c 'd\ne"), ["a#b", "e"]);
        assert_eq!(words("${a}{b}$c;d"), ["${a}", "b", "$c", "d"]);
        assert_eq!(words("($root)/x"), ["($root)/x"]);
    }

    #[test]
    fn lines_and_open_quotes_are_told() {
        let lexed = lex("a\n'b\nc' d\n \"e\n");
        let lines: Vec<usize> = lexed
            .tokens
            .iter()
            .filter_map(|token| match token {
                Token::Word(word) => Some(word.line),
                _ => None,
            })
            .collect();
        assert_eq!(lines, [1, 2, 3, 4]);
        assert_eq!(lexed.unterminated, Some(4));
    }
}
