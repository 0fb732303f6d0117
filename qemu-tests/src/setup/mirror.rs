//! The mirror the machine itself uses, read from its apt sources (which are never changed).

use std::path::Path;

/// What Debian recommends when a machine names no mirror.
const DEFAULT: &str = "http://deb.debian.org/debian";

/// The first `debian` archive of this machine's apt sources, else Debian's default.
pub fn debian_mirror() -> String {
    find(Path::new("/etc/apt")).unwrap_or_else(|| DEFAULT.to_owned())
}

/// `VERSION_CODENAME` of `/etc/os-release`, empty when there is none.
pub(super) fn codename() -> String {
    let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    value.unwrap_or_default().trim_matches('"').to_owned()
}

fn find(apt: &Path) -> Option<String> {
    let mut files = vec![apt.join("sources.list")];
    let parts = std::fs::read_dir(apt.join("sources.list.d"))
        .into_iter()
        .flatten()
        .flatten();
    files.extend(parts.map(|entry| entry.path()));
    files.sort();
    files
        .iter()
        .filter_map(|file| std::fs::read_to_string(file).ok())
        .find_map(|text| mirror_in(&text))
}

/// Both forms of sources.list(5): one-line `deb URI …`, and deb822 `URIs: …`.
fn mirror_in(text: &str) -> Option<String> {
    let mut words = text
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("deb ") || line.starts_with("URIs:"))
        .flat_map(str::split_whitespace);
    words
        .find(|word| is_debian_archive(word))
        .map(|word| word.trim_end_matches('/').to_owned())
}

fn is_debian_archive(word: &str) -> bool {
    let web = word.starts_with("http://") || word.starts_with("https://");
    web && word.trim_end_matches('/').ends_with("/debian")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let one_line = "# deb http://old.example/debian x main\ndeb [arch=amd64] https://a.example/debian/ bookworm main\n";
        assert_eq!(mirror_in(one_line).unwrap(), "https://a.example/debian");
        let stanza = "Types: deb\nURIs: http://b.example/debian\nSuites: bookworm\n";
        assert_eq!(mirror_in(stanza).unwrap(), "http://b.example/debian");
    }

    #[test]
    fn other_archives_are_not_taken() {
        assert_eq!(
            mirror_in("deb http://a.example/debian-security bookworm-security main\n"),
            None
        );
        assert_eq!(
            mirror_in("URIs: https://deb.nodesource.com/node_20.x\n"),
            None
        );
    }
}
