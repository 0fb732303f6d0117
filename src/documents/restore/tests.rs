use super::{FollowUp, Pattern, Restore};
use crate::documents::batch::RollbackConfiguration;

fn configuration(pairs: &[(&str, &str, &str)]) -> RollbackConfiguration {
    let mut configuration = RollbackConfiguration {
        enabled: true,
        ..RollbackConfiguration::default()
    };
    for (name, pattern, command) in pairs {
        let (locations, commands) = (
            &mut configuration.backup_locations,
            &mut configuration.restore_commands,
        );
        locations.insert((*name).into(), (*pattern).into());
        commands.insert((*name).into(), (*command).into());
    }
    configuration
}

fn restore(pattern: &str, command: &str) -> Result<Restore, String> {
    match configuration(&[("it", pattern, command)]).restores("b.json") {
        Ok(restores) => Ok(restores.into_iter().next().unwrap()),
        Err(problems) => {
            let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
            assert_eq!(texts.len(), 1, "{texts:#?}");
            Err(texts[0].clone())
        }
    }
}

#[test]
fn the_seeds_restores_are_understood() {
    let seed = configuration(&[
        (
            "fstab",
            "/etc/fstab.backup.*",
            "sudo cp {backup} /etc/fstab",
        ),
        (
            "grub",
            "/etc/default/grub.backup.*",
            "sudo cp {backup} /etc/default/grub && sudo update-grub",
        ),
        (
            "initramfs",
            "/etc/initramfs-tools/modules.backup.*",
            "sudo cp {backup} /etc/initramfs-tools/modules && sudo update-initramfs -u",
        ),
    ]);
    let restores = seed.restores("b.json").unwrap();
    let short: Vec<(&str, &str, &[FollowUp])> = restores
        .iter()
        .map(|one| (one.name.as_str(), one.file.as_str(), &one.follow_ups[..]))
        .collect();
    let rebuild = FollowUp::UpdateInitramfs { kernel: None };
    assert_eq!(
        short,
        [
            ("fstab", "/etc/fstab", &[][..]),
            ("grub", "/etc/default/grub", &[FollowUp::UpdateGrub]),
            ("initramfs", "/etc/initramfs-tools/modules", &[rebuild]),
        ]
    );
    assert_eq!(
        restores[2].pattern.with("20231218_143022"),
        "/etc/initramfs-tools/modules.backup.20231218_143022"
    );
}

#[test]
fn every_spelling_of_the_grammar_is_understood() {
    let pattern = "/etc/fstab.*.old";
    for (command, preserve, follow_ups) in [
        ("cp {backup} /etc/fstab", false, ""),
        ("  sudo  cp -a  {backup}  /etc/fstab ", true, ""),
        (
            "cp -p {backup} /etc/fstab && systemctl daemon-reload",
            true,
            "systemctl daemon-reload",
        ),
        (
            "cp {backup} /etc/fstab && sudo update-initramfs -u -k all && update-grub",
            false,
            "update-initramfs -u -k all, update-grub",
        ),
        (
            "cp {backup} /etc/fstab && update-initramfs -u -k 6.1.0-50-cloud-amd64",
            false,
            "update-initramfs -u -k 6.1.0-50-cloud-amd64",
        ),
    ] {
        let parsed = restore(pattern, command).unwrap();
        let said: Vec<String> = parsed.follow_ups.iter().map(ToString::to_string).collect();
        assert_eq!(
            (parsed.preserve, said.join(", ")),
            (preserve, follow_ups.into()),
            "{command}"
        );
    }
}

#[test]
fn what_a_shell_would_do_is_refused_with_the_word_and_what_is_allowed() {
    for (command, word) in [
        ("", "\"\" is no command"),
        ("&&", "\"\" is no command"),
        ("update-grub", "\"update-grub\" can't come first"),
        ("sudo", "\"\" is no command"),
        ("sudo sudo cp {backup} /etc/fstab", "\"sudo\" can't"),
        ("rm -rf /", "\"rm\" can't come first"),
        ("cp -r {backup} /etc/fstab", "\"-r\""),
        ("cp {backups} /etc/fstab", "\"{backups}\""),
        ("cp /etc/shadow /etc/fstab", "\"/etc/shadow\""),
        ("cp {backup}", "lacks the file"),
        ("cp {backup} /etc/fstab /etc/x", "\"/etc/x\" is too much"),
        ("cp {backup} /etc/fstab; reboot", "\"/etc/fstab;\""),
        ("cp {backup} /etc/fstab | tee /x", "\"|\" is too much"),
        ("cp {backup} /etc/$(id)", "\"/etc/$(id)\""),
        ("cp {backup} /etc/`id`", "\"/etc/`id`\""),
        ("cp {backup} \"/etc/fstab\"", "\"\"/etc/fstab\"\""),
        ("cp {backup} '/etc/fstab'", "\"'/etc/fstab'\""),
        ("cp {backup} /etc/../etc/fstab", "`.` or `..`"),
        ("cp {backup} etc/fstab", "it is not absolute"),
        ("cp {backup} /etc/fsta\0b", "no shell would leave alone"),
        (
            "cp {backup} /etc/fstab\n&& id",
            "no shell would leave alone",
        ),
        (
            "cp {backup} /etc/fstab && reboot",
            "\"reboot\" is not known",
        ),
        ("cp {backup} /etc/fstab &&", "\"&&\" has no command"),
        ("cp {backup} /etc/fstab && && update-grub", "\"&&\" has no"),
        ("cp {backup} /etc/fstab && update-grub -o x", "\"-o\""),
        ("cp {backup} /etc/fstab && systemctl reboot", "\"reboot\""),
        ("cp {backup} /etc/fstab && update-initramfs -d", "\"-d\""),
        (
            "cp {backup} /etc/fstab && update-initramfs -u -k $x",
            "\"$x\"",
        ),
        (
            "cp {backup} /etc/fstab && update-initramfs -u -k -x",
            "\"-x\"",
        ),
        (
            "cp {backup} /etc/fstab && cp {backup} /etc/x",
            "\"cp\" is there already",
        ),
        ("cp {backup} /etc/fstab || true", "\"||\""),
    ] {
        let refused = restore("/etc/fstab.backup.*", command).unwrap_err();
        assert!(
            refused.starts_with("b.json: rollback_configuration.restore_commands.it: "),
            "{refused}"
        );
        assert!(refused.contains(word), "{command}: {refused}");
        assert!(
            refused.contains("update-initramfs -u [-k all|VERSION]"),
            "{refused}"
        );
    }
}

#[test]
fn a_pattern_is_one_star_in_the_last_part() {
    for (pattern, why) in [
        ("", "not absolute"),
        ("fstab.*", "not absolute"),
        ("/etc/fstab.backup", "no * in its last part"),
        ("/etc/*/fstab", "no * in its last part"),
        ("/etc/fstab.*.*", "second *"),
        ("/etc/*", "nothing stands before the *"),
        ("/etc/../fstab.*", "`..`"),
        ("/etc/", "is empty"),
        ("/etc/fs tab.*", "no shell would leave alone"),
        (
            "/srv/fstab.*",
            "lies beside it: write \"/etc/fstab.backup.*\"",
        ),
        ("/etc/fst*", "means /etc/fstab itself"),
    ] {
        let refused = restore(pattern, "cp {backup} /etc/fstab").unwrap_err();
        assert!(refused.contains("backup_locations.it: "), "{refused}");
        assert!(refused.contains(why), "{pattern}: {refused}");
    }
}

#[test]
fn a_name_in_one_list_alone_is_named() {
    let mut one = configuration(&[("fstab", "/etc/fstab.*", "cp {backup} /etc/fstab")]);
    one.restore_commands.clear();
    one.restore_commands.insert("grub".into(), "cp".into());
    let said: Vec<String> = one
        .restores("b.json")
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        said,
        [
            "b.json: rollback_configuration.backup_locations.fstab: restore_commands has no \
             \"fstab\" to put it back with",
            "b.json: rollback_configuration.restore_commands.grub: backup_locations has no \
             \"grub\" to take it from",
        ]
    );
}

#[test]
fn names_of_backups_are_told_from_others() {
    let pattern = Pattern {
        directory: "/etc".into(),
        before: "fstab.backup.".into(),
        after: ".old".into(),
    };
    assert!(pattern.matches("fstab.backup.1.old"));
    for other in [
        "fstab.backup..old",
        "fstab.backup.old",
        "fstab",
        "xfstab.backup.1.old",
    ] {
        assert!(!pattern.matches(other), "{other}");
    }
}

proptest::proptest! {
    #[test]
    fn no_command_makes_it_panic_and_what_is_understood_is_harmless(text in "[a-z{}/&;|$` -]{0,60}") {
        if let Ok(restore) = restore("/etc/x.*", &text) {
            proptest::prop_assert!(!restore.file.contains([';', '|', '$', '`', ' ', '&']));
        }
    }
}
