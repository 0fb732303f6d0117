//! What docs/tutorial.md tells its readers to save and to type.

#![allow(dead_code, missing_docs, missing_debug_implementations)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::fs;
use std::path::{Path, PathBuf};

/// A fenced block, with the text before it.
pub struct Block {
    pub language: String,
    pub before: String,
    pub text: String,
}

pub fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The blocks in order.
pub fn blocks() -> Vec<Block> {
    let page = fs::read_to_string(repository().join("docs/tutorial.md")).unwrap();
    let mut blocks = Vec::new();
    let parts: Vec<&str> = page.split("```").collect();
    assert_eq!(parts.len() % 2, 1, "a fence is not closed");
    for pair in parts.chunks_exact(2) {
        let (language, text) = pair[1].split_once('\n').unwrap();
        blocks.push(Block {
            language: language.to_owned(),
            before: pair[0].to_owned(),
            text: text.to_owned(),
        });
    }
    blocks
}

/// The documents by file name, in order; one that is saved over an earlier one comes again.
pub fn documents() -> Vec<(String, String)> {
    let mut documents: Vec<(String, String)> = Vec::new();
    for block in blocks()
        .into_iter()
        .filter(|block| block.language == "json")
    {
        let named = block.before.rsplit_once("Save this as `");
        let name = match named.and_then(|(_, rest)| rest.split_once('`')) {
            Some((name, _)) => name.to_owned(),
            None => {
                assert!(
                    block.before.contains("save it over the first"),
                    "which file?"
                );
                documents[0].0.clone()
            }
        };
        documents.push((name, block.text));
    }
    documents
}

/// Saves all of them, later ones over earlier ones.
pub fn save(folder: &Path) {
    for (name, text) in documents() {
        fs::write(folder.join(name), text).unwrap();
    }
}
