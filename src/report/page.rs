//! A page for a console: sections with a label at the left, wrapped to 80 columns. Lines that are
//! to be copied stay whole.

use super::print;

const WIDTH: usize = 80;
/// Columns of the labels.
const INDENT: usize = 7;

/// Prints paragraphs beside a label; nothing when there are none.
pub fn section(label: &str, paragraphs: &[String]) {
    let mut label = label;
    for line in paragraphs.iter().flat_map(|text| wrapped(text, INDENT)) {
        print::line(&format!("{label:INDENT$}{line}"));
        label = "";
    }
}

/// Prints lines that are to be copied, one by one, under the paragraph they belong to.
pub fn to_copy(lines: &[String]) {
    for line in lines {
        print::line(&format!("{:INDENT$}  {line}", ""));
    }
}

/// The text in lines that leave room for the indent. A word that is too long stays whole.
fn wrapped(text: &str, indent: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            let used = line.chars().count() + 1 + word.chars().count();
            if !line.is_empty() && used > WIDTH - indent {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn lines_are_as_long_as_fits_and_no_word_is_broken() {
        let words = "four ".repeat(40);
        let lines = wrapped(&words, 7);
        // 14 words of four letters and 13 blanks are 69 columns, one more word would be 74 of 73.
        assert!(lines[0].len() == 69 && lines.len() == 3, "{lines:?}");
        let long = "x".repeat(100);
        let lines = wrapped(&format!("a {long} b"), 7);
        assert_eq!(lines, ["a", &long, "b"]);
        assert_eq!(wrapped("one\n two", 7), ["one", "two"]);
        assert_eq!(wrapped("é".repeat(73).as_str(), 7).len(), 1);
    }
}
