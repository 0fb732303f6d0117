//! GRUB's script language, as far as menus need it: words with quotes, commands, and the blocks of
//! menu entries and submenus. Every word knows its bytes, so that an edit can leave the rest alone.

mod lexer;

pub(super) use lexer::Word;
use lexer::{Lexed, Token};

/// Words up to the end of a command. Shell keywords in front (`if`, `then`, …) are taken off.
pub(super) type Command = Vec<Word>;

/// How a menu item can be named by `default`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MenuLabel {
    /// The place in its own menu, from 0. Items inside `if` are counted as if all were shown.
    pub index: usize,
    /// The title, unquoted.
    pub title: String,
    /// What `--id` or `$menuentry_id_option` gives.
    pub id: Option<String>,
}

/// A `menuentry` with its commands.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub label: MenuLabel,
    /// The submenus it is in, outermost first.
    pub submenus: Vec<MenuLabel>,
    /// The line of its `menuentry`, from 1.
    pub line: usize,
    pub body: Vec<Command>,
}

/// A whole configuration.
#[derive(Debug, Default)]
pub(super) struct Script {
    /// Commands in no block, in order.
    pub top: Vec<Command>,
    /// Menu entries, also those in submenus, in order.
    pub entries: Vec<Entry>,
    /// Where a quote or a block begins that never ends, or a block ends that never began.
    pub fault: Option<(usize, &'static str)>,
}

/// Parses; what cannot be parsed is left out and named in `fault`. Takes time linear in the text.
pub(super) fn parse(text: &str) -> Script {
    let Lexed {
        tokens,
        unterminated,
    } = lexer::lex(text);
    let mut parser = Parser::default();
    for token in tokens {
        parser.take(token);
    }
    parser.end_command();
    let mut script = parser.script;
    let open = parser
        .blocks
        .last()
        .map(|(line, _)| (*line, "a `{` is never closed"));
    let quote = unterminated.map(|line| (line, "a quote is never closed"));
    script.fault = script.fault.or(quote).or(open);
    script
}

enum Block {
    Submenu {
        label: MenuLabel,
        items: usize,
    },
    Entry(Entry),
    /// A function, or a block in an entry.
    Other,
}

#[derive(Default)]
struct Parser {
    script: Script,
    command: Command,
    blocks: Vec<(usize, Block)>,
    /// Items of the top-level menu so far.
    items: usize,
    /// Open blocks in which `menuentry` makes no item: entries, functions.
    closed_to_items: usize,
    /// Where in `blocks` the open entry is.
    entry: Option<usize>,
}

impl Parser {
    fn take(&mut self, token: Token) {
        match token {
            Token::Word(word) => self.command.push(word),
            Token::End => self.end_command(),
            Token::Open(line) => self.open(line),
            Token::Close(line) => self.close(line),
        }
    }

    fn end_command(&mut self) {
        let command = without_keywords(std::mem::take(&mut self.command));
        if command.is_empty() {
            return;
        }
        if self.blocks.is_empty() {
            self.script.top.push(command);
        } else if let Some((_, Block::Entry(entry))) =
            self.entry.and_then(|at| self.blocks.get_mut(at))
        {
            entry.body.push(command);
        }
    }

    fn open(&mut self, line: usize) {
        let header = without_keywords(std::mem::take(&mut self.command));
        let kind = header.first().map_or("", |word| word.value.as_str());
        let block = match kind {
            "menuentry" | "submenu" if self.closed_to_items == 0 => {
                let label = label(&header, self.count_item());
                if kind == "submenu" {
                    Block::Submenu { label, items: 0 }
                } else {
                    self.entry = Some(self.blocks.len());
                    let line = header.first().map_or(line, |word| word.line);
                    Block::Entry(Entry {
                        label,
                        submenus: self.submenus(),
                        line,
                        body: Vec::new(),
                    })
                }
            }
            _ => Block::Other,
        };
        self.closed_to_items += usize::from(!matches!(block, Block::Submenu { .. }));
        self.blocks.push((line, block));
    }

    fn close(&mut self, line: usize) {
        self.end_command();
        match self.blocks.pop() {
            None => {
                self.script
                    .fault
                    .get_or_insert((line, "a `}` closes nothing"));
            }
            Some((_, Block::Submenu { .. })) => {}
            Some((_, Block::Other)) => self.closed_to_items -= 1,
            Some((_, Block::Entry(entry))) => {
                self.closed_to_items -= 1;
                self.entry = None;
                self.script.entries.push(entry);
            }
        }
    }

    /// The index of a new item in the menu that is open.
    fn count_item(&mut self) -> usize {
        let items = match self.blocks.last_mut() {
            Some((_, Block::Submenu { items, .. })) => items,
            _ => &mut self.items,
        };
        *items += 1;
        *items - 1
    }

    fn submenus(&self) -> Vec<MenuLabel> {
        let labels = self.blocks.iter().filter_map(|(_, block)| match block {
            Block::Submenu { label, .. } => Some(label.clone()),
            _ => None,
        });
        labels.collect()
    }
}

fn without_keywords(command: Command) -> Command {
    let keywords = [
        "if", "then", "elif", "else", "fi", "while", "until", "do", "done", "!", "function",
    ];
    let keyword = |word: &Word| keywords.contains(&word.value.as_str());
    command.into_iter().skip_while(keyword).collect()
}

/// The title is the first word that is no option; all options but `--unrestricted` take a value.
fn label(header: &[Word], index: usize) -> MenuLabel {
    let mut label = MenuLabel {
        index,
        title: String::new(),
        id: None,
    };
    let mut titled = false;
    let mut words = header.iter().skip(1).map(|word| word.value.as_str());
    while let Some(word) = words.next() {
        match word {
            "--id" | "$menuentry_id_option" | "${menuentry_id_option}" => {
                label.id = words.next().map(str::to_owned);
            }
            "--unrestricted" => {}
            "--class" | "--users" | "--hotkey" | "--source" => drop(words.next()),
            option if option.starts_with("--id=") => {
                label.id = option.strip_prefix("--id=").map(str::to_owned);
            }
            option if option.starts_with("--") => {}
            title if !titled => {
                titled = true;
                title.clone_into(&mut label.title);
            }
            _ => {}
        }
    }
    label
}
