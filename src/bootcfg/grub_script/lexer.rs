//! Words of a GRUB script (grub-core/script/yylex.l).

use std::ops::Range;

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
        text,
        position: 0,
        line: 1,
        unterminated: None,
    };
    let mut tokens = Vec::new();
    while let Some(c) = lexer.peek() {
        match c {
            ' ' | '\t' | '\r' => lexer.bump(c),
            '\n' | ';' | '&' | '|' | '<' | '>' => {
                lexer.bump(c);
                tokens.push(Token::End);
            }
            '{' => {
                tokens.push(Token::Open(lexer.line));
                lexer.bump(c);
            }
            '}' => {
                tokens.push(Token::Close(lexer.line));
                lexer.bump(c);
            }
            '#' => lexer.skip_comment(),
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
    text: &'a str,
    position: usize,
    line: usize,
    unterminated: Option<usize>,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.position..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self, c: char) {
        self.position += c.len_utf8();
        self.line += usize::from(c == '\n');
    }

    fn skip_comment(&mut self) {
        let length = self.rest().find('\n').unwrap_or(self.rest().len());
        self.position += length;
    }

    /// A backslash before the end of a line joins it with the next. GRUB drops `\r` as it reads.
    fn skip_continuation(&mut self) -> bool {
        let rest = self.rest();
        let length = match rest {
            _ if rest.starts_with("\\\n") => 2,
            _ if rest.starts_with("\\\r\n") => 3,
            _ => return false,
        };
        self.position += length;
        self.line += 1;
        true
    }

    fn word(&mut self) -> Word {
        let (start, line) = (self.position, self.line);
        let mut value = String::new();
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' | '\r' | '\n' | ';' | '&' | '|' | '<' | '>' | '{' | '}' => break,
                '\'' => self.single_quoted(&mut value),
                '"' => self.double_quoted(&mut value),
                '$' => self.variable(&mut value),
                '\\' => self.escaped(&mut value),
                _ => {
                    self.bump(c);
                    value.push(c);
                }
            }
        }
        Word {
            span: start..self.position,
            value,
            line,
        }
    }

    fn escaped(&mut self, value: &mut String) {
        if self.skip_continuation() {
            return;
        }
        self.bump('\\');
        if let Some(c) = self.peek() {
            self.bump(c);
            value.push(c);
        }
    }

    fn variable(&mut self, value: &mut String) {
        self.bump('$');
        value.push('$');
        if self.peek() != Some('{') {
            return;
        }
        while let Some(c) = self.peek().filter(|c| *c != '\n') {
            self.bump(c);
            value.push(c);
            if c == '}' {
                break;
            }
        }
    }

    fn single_quoted(&mut self, value: &mut String) {
        let opened = self.line;
        self.bump('\'');
        while let Some(c) = self.peek() {
            self.bump(c);
            if c == '\'' {
                return;
            }
            value.push(c);
        }
        self.unterminated.get_or_insert(opened);
    }

    /// In double quotes a backslash escapes only `$`, `"`, `\` and a newline.
    fn double_quoted(&mut self, value: &mut String) {
        let opened = self.line;
        self.bump('"');
        while let Some(c) = self.peek() {
            if c == '\\' && self.skip_continuation() {
                continue;
            }
            self.bump(c);
            match (c, self.peek()) {
                ('"', _) => return,
                ('\\', Some(next @ ('$' | '"' | '\\'))) => {
                    self.bump(next);
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
