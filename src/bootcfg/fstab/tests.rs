use super::*;
use crate::bootcfg::Error;
use proptest::prelude::*;

const UUID: &str = "0f3a6c52-5a8e-4f0b-9a57-3f1de6b2c001";

fn mount<'a>(mount_point: &'a str, subvolume: &'a str) -> SubvolumeMount<'a> {
    SubvolumeMount {
        mount_point,
        subvolume,
        options: &[],
    }
}

fn layout() -> Vec<SubvolumeMount<'static>> {
    vec![
        mount("/", "@"),
        mount("/home", "@home"),
        mount("/var/log", "@var_log"),
    ]
}

fn aliases() -> Vec<String> {
    [
        "PARTUUID=77AA-02",
        "LABEL=sys disk",
        "/dev/vda2",
        "/dev/mapper/vg-root",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn edited(text: &str) -> Result<String, Error> {
    to_subvolumes(&Fstab::parse(text), UUID, &aliases(), &layout())
}

/// `{U}` stands for the UUID.
fn filled(text: &str) -> String {
    text.replace("{U}", UUID)
}

#[test]
fn entries_are_what_libmount_accepts() {
    // Held against `findmnt --tab-file` of util-linux 2.38.1.
    let text = "A\nB /b\nC /c ext4\nD /d ext4 defaults 0\nE /e ext4 ro 0 1 7\nF /f ext4 ro 0 1 # c\n\
                G /g ext4 ro x 1\nH /h ext4 ro # c\nI /i ext4 ro 0 x\n  # c\nLABEL=\"a b\" /j ext4 ro 0 0\n\
                \n\t\nS\u{b}/s ext4 x 0 0\nT /t ext4 ro -1 +2\nU /u ext4 ro 0x1 01";
    let fstab = Fstab::parse(text);
    let sources: Vec<&str> = fstab.entries().map(|entry| entry.source.as_str()).collect();
    assert_eq!(sources, ["C", "D", "E", "F", "S\u{b}/s", "T"]);
    let dropped: Vec<usize> = fstab
        .malformed()
        .into_iter()
        .map(|(line, _)| line)
        .collect();
    assert_eq!(dropped, [1, 2, 7, 8, 9, 11, 16]);
    assert_eq!(fstab.entry_for("/t").and_then(|entry| entry.pass), Some(2));
}

#[test]
fn fields_are_decoded() {
    let text = "LABEL=\"a\\040b\"\t/my\\040disk\\134x\\x41 btrfs a,\"b,c\",,d 0 0\r\n";
    let fstab = Fstab::parse(text);
    let entry = fstab.entry_for("/my disk\\x\\x41").unwrap();
    assert_eq!(entry.source, "LABEL=\"a b\"");
    assert_eq!(entry.options, ["a", "\"b,c\"", "d"]);
    assert_eq!((entry.dump.as_deref(), entry.pass), (Some("0"), Some(0)));
}

#[test]
fn the_first_entry_for_a_mount_point_counts() {
    let fstab = Fstab::parse("A /x ext4 ro 0 0\nB //x/ ext4 ro 0 0\n");
    assert_eq!(
        fstab.entry_for("/x/").map(|entry| entry.source.as_str()),
        Some("A")
    );
}

/// Old and new text; what the new text is was written down from the facts page, not from a run.
const EDITS: &[(&str, &str, &str)] = &[
    (
        "flat btrfs as Debian's installer writes it",
        "# / was on /dev/vda2 during installation\n\
         UUID={U} /               btrfs   defaults        0       0\n\
         # /boot/efi was on /dev/vda1\n\
         UUID=12AB-34CD  /boot/efi       vfat    umask=0077      0       1\n\
         UUID=bbbb none            swap    sw              0       0\n\
         /dev/sr0        /media/cdrom0   udf,iso9660 user,noauto     0       0\n",
        "# / was on /dev/vda2 during installation\n\
         UUID={U} /               btrfs   defaults,subvol=@ 0       0\n\
         UUID={U} /home           btrfs   defaults,subvol=@home 0       0\n\
         UUID={U} /var/log        btrfs   defaults,subvol=@var_log 0       0\n\
         # /boot/efi was on /dev/vda1\n\
         UUID=12AB-34CD  /boot/efi       vfat    umask=0077      0       1\n\
         UUID=bbbb none            swap    sw              0       0\n\
         /dev/sr0        /media/cdrom0   udf,iso9660 user,noauto     0       0\n",
    ),
    (
        "ext4: type, ext-only options and pass change",
        "UUID={U} / ext4 errors=remount-ro,noatime,data=ordered 0 1\n",
        "UUID={U} / btrfs noatime,subvol=@ 0 0\n\
         UUID={U} /home btrfs noatime,subvol=@home 0 0\n\
         UUID={U} /var/log btrfs noatime,subvol=@var_log 0 0\n",
    ),
    (
        "nothing left of the options",
        "UUID={U} / ext4 errors=remount-ro 0 1\n",
        "UUID={U} / btrfs defaults,subvol=@ 0 0\n\
         UUID={U} /home btrfs defaults,subvol=@home 0 0\n\
         UUID={U} /var/log btrfs defaults,subvol=@var_log 0 0\n",
    ),
    (
        "@rootfs, subvolid, tabs, CRLF and a foreign spelling of the source",
        "PARTUUID=77aa-02\t/\tbtrfs\tssd,subvolid=256,subvol=@rootfs,x-systemd.growfs\t0\t0\r\n\
         tmpfs\t/tmp\ttmpfs\tnosuid\t0\t0\r\n",
        "UUID={U}\t/\tbtrfs\tssd,subvol=@,x-systemd.growfs\t0\t0\r\n\
         UUID={U}\t/home\tbtrfs\tssd,subvol=@home\t0\t0\r\n\
         UUID={U}\t/var/log\tbtrfs\tssd,subvol=@var_log\t0\t0\r\n\
         tmpfs\t/tmp\ttmpfs\tnosuid\t0\t0\r\n",
    ),
    (
        "no final newline, four fields, a by-uuid name that stays, escaped label elsewhere",
        "LABEL=other\\040disk /data ext4 noauto,nofail\n\
         /dev/disk/by-uuid/{U} / btrfs compress=zstd:3",
        "LABEL=other\\040disk /data ext4 noauto,nofail\n\
         /dev/disk/by-uuid/{U} / btrfs compress=zstd:3,subvol=@\n\
         UUID={U} /home btrfs compress=zstd:3,subvol=@home 0 0\n\
         UUID={U} /var/log btrfs compress=zstd:3,subvol=@var_log 0 0\n",
    ),
    (
        "three fields, a quoted label with an escape",
        "LABEL=\"sys\\040disk\" / auto\n",
        "UUID={U} / btrfs defaults,subvol=@\n\
         UUID={U} /home btrfs defaults,subvol=@home 0 0\n\
         UUID={U} /var/log btrfs defaults,subvol=@var_log 0 0\n",
    ),
    (
        "an old line of ours for /home is edited in place with its own options",
        "/dev/vda2 / btrfs noatime 0 0\n\
         # keep me\n\
         /dev/vda2  /home/  btrfs  nodev,nofail,subvol=homes  0  2 # by hand\n",
        "UUID={U} / btrfs noatime,subvol=@ 0 0\n\
         UUID={U} /var/log btrfs noatime,subvol=@var_log 0 0\n\
         # keep me\n\
         UUID={U} /home/  btrfs  nodev,nofail,subvol=@home  0  0 # by hand\n",
    ),
    (
        "a line goes after the line of its parent; bind mounts and comments stay",
        "UUID={U} / btrfs defaults 0 0\n\
         UUID=vvvv /var ext4 errors=remount-ro 0 2\n\
         /home/x /srv/x none bind 0 0\n\
         #UUID={U} /home btrfs subvol=old 0 0\n",
        "UUID={U} / btrfs defaults,subvol=@ 0 0\n\
         UUID={U} /home btrfs defaults,subvol=@home 0 0\n\
         UUID=vvvv /var ext4 errors=remount-ro 0 2\n\
         UUID={U} /var/log btrfs defaults,subvol=@var_log 0 0\n\
         /home/x /srv/x none bind 0 0\n\
         #UUID={U} /home btrfs subvol=old 0 0\n",
    ),
    (
        "no line for /: all lines at the end",
        "# UNCONFIGURED FSTAB\nUUID=12AB-34CD /boot/efi vfat defaults 0 0",
        "# UNCONFIGURED FSTAB\nUUID=12AB-34CD /boot/efi vfat defaults 0 0\n\
         UUID={U} / btrfs defaults,subvol=@ 0 0\n\
         UUID={U} /home btrfs defaults,subvol=@home 0 0\n\
         UUID={U} /var/log btrfs defaults,subvol=@var_log 0 0\n",
    ),
    (
        "an empty file",
        "",
        "UUID={U} / btrfs defaults,subvol=@ 0 0\n\
         UUID={U} /home btrfs defaults,subvol=@home 0 0\n\
         UUID={U} /var/log btrfs defaults,subvol=@var_log 0 0\n",
    ),
];

#[test]
fn a_root_line_becomes_subvolume_lines() {
    for (name, old, new) in EDITS {
        assert_eq!(edited(&filled(old)), Ok(filled(new)), "{name}");
        assert_eq!(edited(&filled(new)), Ok(filled(new)), "{name}, again");
    }
}

#[test]
fn extra_options_and_nested_mounts_in_any_order() {
    let extra = ["nodev".to_owned(), "nosuid,noatime".to_owned()];
    let mounts = [
        mount("/", "@"),
        mount("/var/log", "@var_log"),
        SubvolumeMount {
            mount_point: "/var",
            subvolume: "@var",
            options: &extra,
        },
    ];
    let old = Fstab::parse("UUID=u / btrfs noatime 0 0\n");
    let new = "UUID=u / btrfs noatime,subvol=@ 0 0\n\
               UUID=u /var btrfs noatime,subvol=@var,nodev,nosuid 0 0\n\
               UUID=u /var/log btrfs noatime,subvol=@var_log 0 0\n";
    assert_eq!(to_subvolumes(&old, "u", &[], &mounts), Ok(new.to_owned()));
}

#[test]
fn a_mount_point_with_a_blank_is_encoded() {
    let mounts = [mount("/", "@"), mount("/my disk", "my sub\\x")];
    let text = to_subvolumes(&Fstab::parse(""), "u", &[], &mounts).unwrap();
    let expected = "UUID=u /my\\040disk btrfs defaults,subvol=my\\040sub\\134x 0 0";
    assert_eq!(text.lines().nth(1), Some(expected));
    assert!(Fstab::parse(&text).entry_for("/my disk").is_some());
}

#[test]
fn what_cannot_be_edited_safely_is_refused_with_the_line() {
    let cases = [
        (
            "\nUUID=ffff / ext4 defaults 0 1\n",
            "line 2: `/` is mounted from UUID=ffff",
        ),
        (
            "overlay / overlay lowerdir=/x 0 0\n",
            "line 1: `/` is mounted from overlay",
        ),
        (
            "UUID={U} / btrfs a 0 0\nUUID={U} / btrfs b 0 0\n",
            "lines 1 and 2 both mount /",
        ),
        (
            "UUID={U} / btrfs defaults zero 0\n",
            "line 1: the line for / is malformed",
        ),
        ("UUID={U} /\n", "line 1: the line for / is malformed"),
        (
            "UUID={U} / btrfs context=\"a,b 0 0\n",
            "line 1: the line for / is malformed: a quote",
        ),
        (
            "UUID={U} / btrfs a 0 0\nUUID=hhhh /home ext4 defaults 0 2\n",
            "line 2: /home is already mounted from UUID=hhhh",
        ),
        (
            "UUID={U} / btrfs a 0 0\n/data/home /home none bind 0 0\n",
            "line 2: /home is already mounted from /data/home",
        ),
        (
            "UUID={U} / btrfs a 0 0\nA /home/ ext4 a 0 2\nB /home ext4 a 0 2\n",
            "lines 2 and 3 both mount /home",
        ),
    ];
    for (text, expected) in cases {
        let message = edited(&filled(text)).unwrap_err().to_string();
        assert!(message.starts_with(expected), "{text:?}: {message}");
    }
}

#[test]
fn layouts_that_fstab_cannot_hold_are_refused() {
    let contradicting = ["subvolid=7".to_owned()];
    let unquoted = ["context=\"a".to_owned()];
    let cases: &[&[SubvolumeMount<'_>]] = &[
        &[],
        &[mount("/home", "@home"), mount("/", "@")],
        &[mount("/ml", "@ml"), mount("/mlx", "@mlx")],
        &[mount("/", "@"), mount("home", "@home")],
        &[mount("/", "@"), mount("/home", "@a"), mount("/home/", "@b")],
        &[mount("/", "@"), mount("/home", "@a,b")],
        &[mount("/", "/")],
        &[SubvolumeMount {
            mount_point: "/",
            subvolume: "@",
            options: &contradicting,
        }],
        &[SubvolumeMount {
            mount_point: "/",
            subvolume: "@",
            options: &unquoted,
        }],
    ];
    for mounts in cases {
        let result = to_subvolumes(&Fstab::parse(""), UUID, &[], mounts);
        assert!(
            matches!(result, Err(Error::Layout { .. })),
            "{mounts:?}: {result:?}"
        );
    }
}

#[test]
fn ten_thousand_lines_take_linear_time() {
    let mut text = filled("UUID={U} / btrfs defaults 0 0\n");
    for number in 0..10_000 {
        text.push_str(&format!("UUID=x /mnt/disk{number} ext4 defaults 0 2\n"));
    }
    let started = std::time::Instant::now();
    let new = edited(&text).unwrap();
    assert_eq!(new.lines().count(), 10_003);
    // Milliseconds in fact; a quadratic pass would take far more than this even on a slow machine.
    assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
}

/// Text that looks like an fstab often enough to reach the edits.
fn fstab_like() -> impl Strategy<Value = String> {
    let pieces = vec![
        "UUID=u",
        "LABEL=\"a b\"",
        "/dev/vda2",
        "/",
        "/home",
        "/var",
        "none",
        "btrfs",
        "ext4",
        "defaults",
        "subvol=@x,subvolid=9",
        "errors=remount-ro",
        "\\040",
        "0",
        "1",
        "#",
        " ",
        " ",
        " ",
        "  ",
        "\t",
        "\n",
        "\n",
        "\r\n",
        "ü",
        "\u{0}",
    ];
    proptest::collection::vec(proptest::sample::select(pieces), 0..60).prop_map(|p| p.concat())
}

proptest! {
    #[test]
    fn any_text_round_trips(text in any::<String>(), like in fstab_like()) {
        prop_assert_eq!(Fstab::parse(&text).to_string(), text);
        prop_assert_eq!(Fstab::parse(&like).to_string(), like);
    }

    #[test]
    fn an_edit_is_idempotent_and_keeps_other_lines(text in fstab_like()) {
        let aliases = ["/dev/vda2".to_owned()];
        let old = Fstab::parse(&text);
        if let Ok(new) = to_subvolumes(&old, "u", &aliases, &layout()) {
            let parsed = Fstab::parse(&new);
            prop_assert_eq!(to_subvolumes(&parsed, "u", &aliases, &layout()), Ok(new.clone()));
            let root = parsed.entry_for("/").unwrap();
            prop_assert!(root.options.contains(&"subvol=@".to_owned()));
            prop_assert!(!new.contains("subvolid=") || text.matches("subvolid=").count() > 0);
            let edited = ["/", "/home", "/var/log"].map(str::to_owned);
            let kept = old.entries().filter(|e| !edited.contains(&line::normal_path(&e.mount_point)));
            for entry in kept {
                let line = text.lines().nth(entry.line - 1).unwrap();
                prop_assert!(new.lines().any(|other| other == line), "{line:?} is gone");
            }
        }
    }
}
