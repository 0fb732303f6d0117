//! Configurations that only lead to another one: the stub on the EFI system partition, `load.cfg` in
//! core.img, a forwarder at the old place.

use super::{SearchTarget, search_target};
use crate::bootcfg::grub_script;

/// Where a configuration leads. Variables are not expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// The UUID of the file system it searches for.
    pub search_uuid: Option<String>,
    /// What it sets `prefix` to, as in `($root)/@/boot/grub`.
    pub prefix: Option<String>,
    /// What it goes on with (`configfile`, `source` or `.`), as in `$prefix/grub.cfg`.
    pub configfile: Option<String>,
}

/// Reads the commands outside of menu entries; of several of a kind the last counts.
/// `None` if the text neither sets `prefix` nor names another file.
pub fn forward(text: &str) -> Option<Forward> {
    let mut result = Forward {
        search_uuid: None,
        prefix: None,
        configfile: None,
    };
    for command in &grub_script::parse(text).top {
        if let Some(SearchTarget::Uuid(uuid)) = search_target(command) {
            result.search_uuid = Some(uuid.to_owned());
        }
        let words: Vec<&str> = command.iter().map(|word| word.value.as_str()).collect();
        match words.as_slice() {
            ["configfile" | "source" | ".", path] => result.configfile = Some((*path).to_owned()),
            ["set", value] | [value] => {
                if let Some(prefix) = value.strip_prefix("prefix=") {
                    result.prefix = Some(prefix.to_owned());
                }
            }
            _ => {}
        }
    }
    (result.prefix.is_some() || result.configfile.is_some()).then_some(result)
}
