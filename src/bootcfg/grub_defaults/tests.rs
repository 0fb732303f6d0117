use super::*;
use proptest::prelude::*;

/// Old and new text; `None` if nothing is to change.
const CASES: &[(&str, &str, Option<&str>)] = &[
    (
        "nothing there",
        "GRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX=\"quiet\"\n",
        None,
    ),
    ("an empty file", "", None),
    (
        "a mere choice of a subvolume goes",
        "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet rootflags=subvol=@rootfs splash\" # c\n",
        Some("GRUB_CMDLINE_LINUX_DEFAULT=\"quiet splash\" # c\n"),
    ),
    (
        "more options stay, with the subvolume in front",
        "GRUB_CMDLINE_LINUX='rootflags=compress=zstd,subvolid=256 a=1'",
        Some("GRUB_CMDLINE_LINUX='rootflags=subvol=@,compress=zstd a=1'"),
    ),
    (
        "fit already",
        "GRUB_CMDLINE_LINUX=\"rootflags=subvol=@,ssd\"",
        None,
    ),
    (
        "several become one",
        "GRUB_CMDLINE_LINUX=\"rootflags=ssd rootflags=noatime x\"\r\n",
        Some("GRUB_CMDLINE_LINUX=\"rootflags=subvol=@,ssd,noatime x\"\r\n"),
    ),
    (
        "ext types and ext options go, other types stay",
        "GRUB_CMDLINE_LINUX=\"ro rootfstype=ext4 rootflags=data=journal\"\n\
         GRUB_CMDLINE_LINUX_RECOVERY=\"single rootfstype=btrfs\"\n",
        Some(
            "GRUB_CMDLINE_LINUX=\"ro\"\n\
             GRUB_CMDLINE_LINUX_RECOVERY=\"single rootfstype=btrfs\"\n",
        ),
    ),
    (
        "without quotes, before a comment",
        "GRUB_CMDLINE_LINUX=rootflags=subvol=@rootfs # c\nX=1",
        Some("GRUB_CMDLINE_LINUX= # c\nX=1"),
    ),
    (
        "export, if, several on a line, no final newline",
        "if true; then export GRUB_CMDLINE_LINUX=\"rootflags=subvol=x\"; GRUB_CMDLINE_LINUX_DEFAULT='a rootfstype=ext3'; fi",
        Some("if true; then export GRUB_CMDLINE_LINUX=\"\"; GRUB_CMDLINE_LINUX_DEFAULT='a'; fi"),
    ),
    (
        "a variable beside it, as cloud images append",
        "GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX rootflags=subvol=a ${x}\"\n",
        Some("GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX ${x}\"\n"),
    ),
    (
        "a value over several lines",
        "GRUB_CMDLINE_LINUX=\"a\n  rootflags=ssd \\\n  b\"\n",
        Some("GRUB_CMDLINE_LINUX=\"a\n  rootflags=subvol=@,ssd \\\n  b\"\n"),
    ),
    (
        "comments",
        "#GRUB_CMDLINE_LINUX=\"rootflags=x\"\n # it's rootflags=\n",
        None,
    ),
    (
        "other variables",
        "GRUB_OTHER=\"rootflags=subvol=x\"\n",
        None,
    ),
    (
        "another argument",
        "GRUB_CMDLINE_LINUX=\"xrootflags=1 a=rootflags=2\"\n",
        None,
    ),
    (
        "a command that has nothing to do with it",
        "GRUB_CMDLINE_LINUX=\"$(uname -r | sed 's/a/b/')\"\n",
        None,
    ),
    (
        "an open quote without the options",
        "GRUB_DISTRIBUTOR='Debian\nGRUB_TIMEOUT=5\n",
        None,
    ),
];

#[test]
fn assignments_in_many_shapes() {
    for (name, old, new) in CASES {
        assert_eq!(
            set_subvolume(old, "@"),
            Ok(new.map(str::to_owned)),
            "{name}"
        );
        if let Some(new) = new {
            assert_eq!(set_subvolume(new, "@"), Ok(None), "{name}, again");
        }
    }
}

#[test]
fn values_that_only_a_shell_can_tell_are_refused_with_their_line() {
    let values = [
        "\"$(echo rootflags=subvol=x)\"",
        "`echo rootflags=x`",
        "\"${FLAGS:-rootflags=x}\"",
        "\"rootflags=$FLAGS\"",
        "\"${x}rootflags=y\"",
        "\"quiet \"\"roo\"tflags=y",
        "\"\\\"rootflags=a b\\\"\"",
        "rootflags=a\\,b",
        "quiet\\ rootflags=ssd",
        "\"\\ rootflags=subvol=x\"",
        "\"rootflags=a\"\\ rootflags=ssd",
        "\"rootflags=x\nGRUB_TIMEOUT=5\n",
        "\"$(rootflags=x",
    ];
    for value in values {
        let result = set_subvolume(&format!("A=1\n# it's\nGRUB_CMDLINE_LINUX={value}\n"), "@");
        match result {
            Err(Error::OpaqueAssignment {
                line: 3, variable, ..
            }) => {
                assert_eq!(variable, "GRUB_CMDLINE_LINUX");
            }
            other => panic!("{value}: {other:?}"),
        }
    }
}

#[test]
fn a_quote_left_open_before_the_assignment_is_refused() {
    let text = "GRUB_DISTRIBUTOR='Debian\nGRUB_CMDLINE_LINUX=rootflags=x\n";
    let message = set_subvolume(text, "@").unwrap_err().to_string();
    assert!(message.starts_with("line 1: GRUB_DISTRIBUTOR"), "{message}");
}

#[test]
fn a_name_that_a_shell_would_change_is_refused() {
    assert!(matches!(
        set_subvolume("", "$(x)"),
        Err(Error::SubvolumeName { .. })
    ));
}

#[test]
fn ten_thousand_lines_take_linear_time() {
    let text = "GRUB_CMDLINE_LINUX=\"a rootflags=ssd b\" # it's\n".repeat(10_000);
    let started = std::time::Instant::now();
    let new = set_subvolume(&text, "@").unwrap().unwrap();
    assert_eq!(new.matches("rootflags=subvol=@,ssd").count(), 10_000);
    assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
}

fn shell_like() -> impl Strategy<Value = String> {
    let pieces = vec![
        "GRUB_CMDLINE_LINUX=",
        "GRUB_CMDLINE_LINUX_DEFAULT=\"",
        "'",
        "\"",
        " rootflags=subvol=x",
        " rootflags=ssd,errors=continue",
        "rootfstype=ext4",
        " quiet",
        " ",
        "\n",
        "\\",
        "\\\n",
        "$(",
        ")",
        "`",
        "${x}",
        "$",
        "# c",
        ";",
        "ü",
        "\t",
    ];
    proptest::collection::vec(proptest::sample::select(pieces), 0..30).prop_map(|p| p.concat())
}

proptest! {
    #[test]
    fn any_text_is_taken_and_an_edit_is_final(text in any::<String>(), like in shell_like()) {
        for text in [text, like] {
            if let Ok(Some(new)) = set_subvolume(&text, "@") {
                prop_assert_eq!(set_subvolume(&new, "@"), Ok(None), "{:?}", text);
            }
        }
    }
}

/// Found by fuzzing: what is plain in one kind of quotes is not in another.
#[test]
fn values_of_several_quotes_with_signs_of_the_shell_are_not_made_one() {
    for text in [
        "GRUB_CMDLINE_LINUX=\"rootflags=ssd \"'rootflags=\"x\"'\n",
        "GRUB_CMDLINE_LINUX=rootflags=ssd\" rootflags=a;reboot\"\n",
        "GRUB_CMDLINE_LINUX=\"rootflags=ssd \"'rootflags=$(reboot)'\n",
    ] {
        let refused = set_subvolume(text, "@").unwrap_err().to_string();
        assert!(refused.contains("line 1: GRUB_CMDLINE_LINUX"), "{refused}");
    }
    let plain = "GRUB_CMDLINE_LINUX=\"rootflags=ssd \"'rootflags=noatime'\n";
    let new = "GRUB_CMDLINE_LINUX=\"rootflags=subvol=@,ssd,noatime \"''\n";
    assert_eq!(set_subvolume(plain, "@"), Ok(Some(new.to_owned())));
    let one = "GRUB_CMDLINE_LINUX='rootflags=context=\"a,b\"'\n";
    let new = "GRUB_CMDLINE_LINUX='rootflags=subvol=@,context=\"a,b\"'\n";
    assert_eq!(set_subvolume(one, "@"), Ok(Some(new.to_owned())));
}
