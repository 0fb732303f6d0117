use std::path::Path;

use super::Template;
use crate::documents::lint::{Source, lint};
use crate::documents::{Batch, json};
use crate::engine::survey::Survey;
use crate::sys::Root;
use crate::sys::mount::parse_mountinfo;

const NOW: i64 = 1_702_909_822;
const ROOT: &str = "1 0 0:1 / / rw - btrfs /dev/vda2 rw\n";
const ROOTFS: &str = "1 0 0:1 /@rootfs / rw - btrfs /dev/vda2 rw\n";

/// A machine with these files (directories end in a slash) and mounts.
fn machine(files: &[&str], fstab: &str, mounts: &str) -> (tempfile::TempDir, Survey) {
    let folder = tempfile::tempdir().unwrap();
    let system = Root::open(folder.path()).unwrap();
    let text = |path: &str| if path == "etc/fstab" { fstab } else { "" }.to_owned();
    for path in files.iter().chain(&["etc/fstab", "home/", "var/log/"]) {
        let directory = match path.strip_suffix('/') {
            Some(directory) => Path::new(directory),
            None => Path::new(path).parent().unwrap(),
        };
        system.create_directories(directory, 0o755).unwrap();
        if !path.ends_with('/') {
            let content = text(path);
            system
                .write_new_file(Path::new(path), content.as_bytes(), 0o755)
                .unwrap();
        }
    }
    let mounts = parse_mountinfo(mounts);
    let root = mounts
        .iter()
        .find(|mount| mount.mount_point == Path::new("/"));
    let old_root = root.unwrap().root.to_string_lossy();
    let old_root = old_root.trim_matches('/').to_owned();
    let survey = Survey {
        system,
        mounts,
        top: None,
        old_root,
        identity: None,
        others: std::sync::Arc::default(),
    };
    (folder, survey)
}

/// What the template makes of the machine, seen to read back and to be clean beside its viScripts.
fn filled_in(template: &str, survey: &Survey) -> Batch {
    let batch = Template::named(template)
        .unwrap()
        .fill_in(survey, NOW, None);
    let batch = batch.unwrap();
    let text = json::indented(&json::text(&batch).unwrap());
    assert_eq!(Batch::parse("new.json", &text).unwrap(), batch);
    let mut sources = vec![Source {
        file: "new.json".into(),
        text: String::from_utf8(text).unwrap(),
    }];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("viscripts");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        sources.push(Source {
            file: path.file_name().unwrap().to_str().unwrap().to_owned(),
            text: std::fs::read_to_string(path).unwrap(),
        });
    }
    assert_eq!(lint(&sources), []);
    batch
}

/// `mounted_at: name mount_point` of each subvolume.
fn layout(batch: &Batch) -> Vec<String> {
    let mut all = Vec::new();
    for filesystem in &batch.layout.filesystems {
        for one in &filesystem.subvolumes {
            all.push(format!(
                "{}: {} {}",
                filesystem.mounted_at, one.name, one.mount_point
            ));
        }
    }
    all
}

fn refusal(template: &str, survey: &Survey) -> String {
    let template = Template::named(template).unwrap();
    template.fill_in(survey, NOW, None).unwrap_err().to_string()
}

#[test]
fn directories_that_exist_and_make_sense_are_split_off() {
    let files = [
        "srv/www/index.html",
        "var/lib/docker/",
        "var/lib/mysql/ibdata1",
        "opt/x",
    ];
    let (_folder, survey) = machine(&files, "", ROOT);
    let batch = filled_in("flat-to-subvolumes", &survey);
    assert_eq!(
        layout(&batch),
        [
            "/: @ /",
            "/: @home /home",
            "/: @var_log /var/log",
            "/: @srv /srv",
            "/: @mysql /var/lib/mysql",
        ],
        "an empty /var/lib/docker is none, and /opt belongs to the packages"
    );
    assert_eq!(batch.created_date, "2023-12-18");
    let subvolumes = &batch.layout.filesystems[0].subvolumes;
    assert!(subvolumes.iter().all(|one| one.comment.is_some()));
    assert!(batch.phases.iter().all(|phase| phase.comment.is_some()));
}

#[test]
fn mount_points_of_other_file_systems_are_left_alone() {
    let mounts = format!(
        "{ROOT}2 1 8:1 / /home rw - ext4 /dev/vdb1 rw\n3 1 8:2 / /var rw - xfs /dev/vdc rw\n\
         4 1 0:9 / /proc rw - proc proc rw\n"
    );
    let (_folder, survey) = machine(&["srv/x"], "", &mounts);
    let batch = filled_in("flat-to-subvolumes", &survey);
    assert_eq!(layout(&batch), ["/: @ /", "/: @srv /srv"]);
    let about = batch.layout.filesystems[0].comment.as_deref().unwrap();
    assert!(about.starts_with("/dev/vda2, "), "{about}");
    assert!(
        about.ends_with("Not part of it: /home (ext4), /var (xfs)."),
        "{about}"
    );
}

#[test]
fn what_the_machine_lacks_is_not_asked_for() {
    let (_folder, survey) = machine(&[], "", ROOT);
    let batch = filled_in("flat-to-subvolumes", &survey);
    let rollback = batch.rollback_configuration.unwrap();
    let names: Vec<&String> = rollback.restore_commands.keys().collect();
    assert_eq!(names, ["fstab"]);
    let has_docker = |batch: &[crate::documents::batch::Phase]| {
        batch.iter().any(|phase| phase.name == "service_validation")
    };
    assert!(!has_docker(&batch.phases));
    let files = ["etc/default/grub", "usr/bin/dockerd"];
    let (_folder, survey) = machine(&files, "", ROOT);
    let batch = filled_in("flat-to-subvolumes", &survey);
    assert!(has_docker(&batch.phases));
    let rollback = batch.rollback_configuration.unwrap();
    assert_eq!(
        rollback.backup_locations["grub"],
        "/etc/default/grub.backup.*"
    );
}

#[test]
fn room_is_asked_for_as_the_images_need_it() {
    let (folder, survey) = machine(&["boot/initrd.img-6.1"], "", ROOT);
    let image = std::fs::File::create(folder.path().join("boot/initrd.img-6.1")).unwrap();
    image.set_len(50 << 20).unwrap();
    let batch = filled_in("flat-to-subvolumes", &survey);
    let asked = batch
        .dependencies
        .system_requirements
        .min_disk_space
        .unwrap();
    assert_eq!(asked.to_string(), "164MiB");
}

#[test]
fn a_template_that_does_not_fit_names_the_one_that_does() {
    let (_folder, flat) = machine(&[], "", ROOT);
    let (_folder, rootfs) = machine(&[], "", ROOTFS);
    assert_eq!(layout(&filled_in("debian-rootfs", &rootfs))[0], "/: @ /");
    assert!(refusal("debian-rootfs", &flat).contains("use --template flat-to-subvolumes"));
    assert!(refusal("flat-to-subvolumes", &rootfs).contains("use --template debian-rootfs"));
    let (_folder, done) = machine(&[], "", &ROOTFS.replace("@rootfs", "@"));
    assert!(refusal("debian-rootfs", &done).contains("@ already"));
    let (_folder, ext4) = machine(&[], "", &ROOT.replace("btrfs", "ext4"));
    assert!(refusal("flat-to-subvolumes", &ext4).contains("the root is ext4, not btrfs"));
    assert!(refusal("ml-workstation", &flat).contains("use --template flat-to-subvolumes"));
    assert!(refusal("ml-workstation", &ext4).contains("use --template ext4-in-place or ext4-to"));
    for template in ["ext4-in-place", "ext4-to-disk"] {
        for (machine, part) in [
            (&flat, "use --template flat-to-subvolumes"),
            (&rootfs, "use --template debian-rootfs"),
            (&done, "nothing is to be done"),
        ] {
            let refused = refusal(template, machine);
            assert!(refused.contains("the root is btrfs already"), "{refused}");
            assert!(refused.contains(part), "{refused}");
        }
    }
    let (_folder, xfs) = machine(&[], "", &ROOT.replace("btrfs", "xfs"));
    assert!(refusal("ext4-in-place", &xfs).contains("the root is xfs: not supported yet"));
    let misnamed = Template::named("debian-rotfs").unwrap_err().to_string();
    assert!(
        misnamed.contains("did you mean debian-rootfs?"),
        "{misnamed}"
    );
    let refused = Template::DebianRootfs.fill_in(&rootfs, NOW, Some("/dev/sdb"));
    let refused = refused.unwrap_err().to_string();
    assert!(
        refused.contains("only ext4-to-disk takes a --target"),
        "{refused}"
    );
}

#[test]
fn models_and_data_sets_get_subvolumes_where_they_lie() {
    let fstab = "UUID=a / btrfs defaults 0 0\nUUID=b /data btrfs defaults 0 0\n\
                 UUID=c /ml btrfs defaults 0 0\n";
    let mounts = format!(
        "{ROOT}2 1 0:2 / /data rw - btrfs /dev/vdb rw\n3 1 0:3 /@ml /ml rw - btrfs /dev/vdc rw\n\
         4 1 0:4 / /media/stick rw - btrfs /dev/sdz rw\n5 1 0:2 / /mnt rw - btrfs /dev/vdb rw\n"
    );
    let files = [
        "models/",
        "srv/Datasets/a",
        "data/datasets/",
        "data/checkpoints/",
        "data/models",
        "data/other/models/",
        "ml/models/",
        "media/stick/models/",
        "mnt/",
    ];
    let (_folder, survey) = machine(&files, fstab, &mounts);
    let batch = filled_in("ml-workstation", &survey);
    assert_eq!(
        layout(&batch),
        [
            "/: @ /",
            "/: @home /home",
            "/: @var_log /var/log",
            "/: @srv /srv",
            "/: @models /models",
            "/: @srv_Datasets /srv/Datasets",
            "/data: @data /data",
            "/data: @checkpoints /data/checkpoints",
            "/data: @datasets /data/datasets",
        ],
        "a file, a stick, and what has a subvolume already are left out"
    );
    let options = |filesystem: usize| {
        let filesystem = &batch.layout.filesystems[filesystem];
        let each = filesystem
            .subvolumes
            .iter()
            .map(|one| one.options.join(","));
        each.collect::<Vec<_>>()
    };
    let wanted = [
        "compress=zstd:3",
        "compress=zstd:3",
        "noatime,compress=zstd:3",
    ];
    assert_eq!(options(1), wanted, "one option for all of a file system");
    assert_eq!(options(0), ["", "", "", "", "noatime", "noatime"]);
}

const FSTAB: &str = "# made by the installer\nUUID=a / ext4 errors=remount-ro,noatime 0 1\n\
                     UUID=b none swap sw 0 0\n/swap.img none swap sw 0 0\n";

/// A machine whose root is an ext4 with these bytes set in its superblock.
fn ext4_machine(bytes: &[(usize, &[u8])], more: &str) -> (tempfile::TempDir, Survey) {
    let mut disk = vec![0; 4096];
    let usual: [(usize, &[u8]); 4] = [
        (0x38, &[0x53, 0xef]),
        (0x18, &[2]),
        (0x60, &[0xc2, 0x02]),
        (0x68, &[0xab; 16]),
    ];
    for (at, bytes) in usual.iter().chain(bytes) {
        disk[1024 + at..1024 + at + bytes.len()].copy_from_slice(bytes);
    }
    let mounts = format!("1 0 8:1 / / rw - ext4 disk rw\n{more}");
    let (folder, mut survey) = machine(&["usr/bin/btrfs-convert", "srv/x"], FSTAB, &mounts);
    let path = folder.path().join("disk");
    std::fs::write(&path, disk).unwrap();
    survey.mounts[0].source = path.to_str().unwrap().to_owned();
    (folder, survey)
}

#[test]
fn an_ext4_root_is_converted_first_and_then_split() {
    let more = "2 1 8:2 / /boot rw - ext4 /dev/vdb1 rw\n";
    let (_folder, survey) = ext4_machine(&[], more);
    let batch = filled_in("ext4-in-place", &survey);
    let wanted = [
        "/: @ /",
        "/: @home /home",
        "/: @var_log /var/log",
        "/: @srv /srv",
    ];
    assert_eq!(layout(&batch), wanted);
    let Some(crate::documents::Origin::Convert {
        comment,
        filesystem,
    }) = &batch.layout.filesystems[0].from
    else {
        panic!("{:?}", batch.layout)
    };
    assert_eq!(filesystem, "UUID=abababab-abab-abab-abab-abababababab");
    let comment = comment.as_deref().unwrap();
    for part in [
        "Line 2 of fstab (UUID=a at /) becomes one of type btrfs, without errors=remount-ro,",
        "Swap on UUID=b stays as it is. Don't hibernate",
        "The swap file /swap.img has to go first",
        "/boot is a file system of its own",
        "btrfs-convert builds a btrfs in what is free: ",
    ] {
        assert!(comment.contains(part), "{comment}");
    }
    let asked = &batch.dependencies.system_requirements;
    assert_eq!(asked.required_filesystems, ["btrfs", "ext4"]);
    assert!(
        asked
            .required_commands
            .contains(&"btrfs-convert".to_owned())
    );
    assert!(asked.min_disk_space.unwrap().0 >= 96 << 20);
    assert_eq!(
        batch.description,
        "The ext4 root becomes @, @home, @var_log, @srv"
    );
}

/// Bits as fs/ext4/ext4.h has them.
#[test]
fn an_ext4_that_can_not_be_converted_is_refused_with_its_reason() {
    for (bytes, part) in [
        ((0x3a, &[2_u8][..]), "the ext4 has errors; run `e2fsck -f`"),
        ((0x18, &[0]), "can't take blocks of 1024 bytes"),
        ((0x18, &[6]), "can't take blocks of 65536 bytes"),
        ((0x60, &[0xc0, 0x02]), "directories without types"),
        ((0x60, &[0xc2, 0x06]), "the feature ea_inode"),
        ((0x60, &[0xc2, 0x82]), "the feature inline_data"),
        ((0x60, &[0xc2, 0x02, 1]), "the feature encrypt"),
        ((0x60, &[0xc2, 0x02, 2]), "the feature casefold"),
        ((0x64, &[0, 0x02]), "the feature bigalloc"),
        ((0x64, &[0, 0x20]), "the feature project"),
        ((0x64, &[0, 0x80]), "the feature verity"),
    ] {
        let (_folder, survey) = ext4_machine(&[bytes], "");
        let refused = refusal("ext4-in-place", &survey);
        assert!(refused.contains(part), "{refused}");
        assert!(refused.ends_with("Nothing was written"), "{refused}");
        assert_eq!(refused.lines().count(), 1, "{refused}");
    }
    let (folder, survey) = ext4_machine(&[], "");
    std::fs::remove_file(folder.path().join("usr/bin/btrfs-convert")).unwrap();
    let refused = refusal("ext4-in-place", &survey);
    assert!(
        refused.contains("btrfs-convert is not installed; `apt"),
        "{refused}"
    );
}
