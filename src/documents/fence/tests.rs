use super::*;
use proptest::prelude::*;

fn staged(text: &str) -> Result<StagedPath, String> {
    StagedPath::try_from(text.to_owned())
}

#[test]
fn what_is_below_the_staging_place_is_taken_apart() {
    let path = staged(".rootshift/new/@/var/lib/machines").unwrap();
    assert_eq!(path.subvolume().name().as_str(), "@");
    assert_eq!(path.inside(), Some(Path::new("var/lib/machines")));
    assert_eq!(path.path(), Path::new(".rootshift/new/@/var/lib/machines"));
    let whole = staged("/.rootshift/new/@home/").unwrap();
    assert_eq!(
        (whole.inside(), whole.subvolume().name().as_str()),
        (None, "@home")
    );
    assert_eq!(String::from(whole), ".rootshift/new/@home");
}

#[test]
fn nothing_else_is_a_staged_path() {
    for text in [
        "",
        ".",
        "/",
        "..",
        "@",
        "home/user/copy",
        ".rootshift",
        ".rootshift/new",
        ".rootshift/new/",
        ".rootshift/new//",
        ".rootshift/newer/@",
        ".rootshift/journal",
        ".rootshift/new/..",
        ".rootshift/new/.",
        ".rootshift/new/../../home",
        ".rootshift/new/@/../../..",
        ".rootshift/new/@/./x",
        ".rootshift/new/@//x",
        ".rootshift/new/@/x/..",
        ".rootshift/./new/@",
        "x/.rootshift/new/@",
        "/..//.rootshift/new/@",
        ".rootshift/new/.hidden",
        ".rootshift/new/a,b",
        ".rootshift/new/a b",
        ".rootshift/new/@/a\0b",
    ] {
        let why = staged(text).expect_err(text);
        assert!(
            why.contains("is not below the staging place"),
            "{text}: {why}"
        );
    }
    let long = format!(".rootshift/new/@/{}", "x".repeat(300));
    assert!(staged(&long).unwrap_err().contains("too long"));
}

#[test]
fn a_path_inside_a_prepared_subvolume_is_not_one() {
    let inside = StagedSubvolume::try_from(".rootshift/new/@/etc".to_owned());
    assert!(
        inside
            .unwrap_err()
            .contains("a path inside a prepared subvolume")
    );
    let whole = StagedSubvolume::try_from(".rootshift/new/@".to_owned()).unwrap();
    assert_eq!(whole.path(), Path::new(".rootshift/new/@"));
}

#[test]
fn the_root_is_a_place_to_read_from_and_none_to_write_at() {
    for text in ["/", ""] {
        assert!(OldPath::try_from(text.to_owned()).unwrap().is_root());
        assert!(InsidePath::try_from(text.to_owned()).is_err(), "{text}");
    }
    for text in ["..", "/home/../etc", "//", "/./x", "/a//b", "."] {
        assert!(OldPath::try_from(text.to_owned()).is_err(), "{text}");
        assert!(InsidePath::try_from(text.to_owned()).is_err(), "{text}");
    }
}

#[test]
fn what_holds_a_directory_is_found_from_its_end() {
    let old = |text: &str| OldPath::try_from(text.to_owned()).unwrap();
    let inside = |text: &str| InsidePath::try_from(text.to_owned()).unwrap();
    for (path, end, rest) in [
        ("/home", "/home", "/"),
        ("/var/log", "/log", "/var"),
        ("/var/log", "/var/log", "/"),
        ("/varlog", "/log", "/varlog"),
    ] {
        assert_eq!(old(path).without(&inside(end)), old(rest), "{path} {end}");
    }
}

#[test]
fn a_name_of_an_entry_is_one_component() {
    for text in ["", ".", "..", "a/b", "/a", "a\0"] {
        assert!(EntryName::try_from(text.to_owned()).is_err(), "{text:?}");
    }
    assert!(EntryName::try_from("@home".to_owned()).is_ok());
}

proptest! {
    /// The one thing that everything else rests on: joined to the top level it stays below it.
    #[test]
    fn no_text_leads_out(text in r"(\.rootshift/new/)?(@|@home|\.\.|\.|/|new|[a-z]{0,3}|\x00){0,9}") {
        if let Ok(path) = staged(&text) {
            let mut parts = path.path();
            prop_assert!(parts.starts_with(STAGING));
            prop_assert!(parts.components().count() > 2);
            let plain = |part| matches!(part, std::path::Component::Normal(_));
            prop_assert!(parts.components().all(plain));
            parts.push("x");
            let written = String::from(path.clone());
            prop_assert_eq!(staged(&written).unwrap(), path);
        }
    }
}
