//! A second disk, with a btrfs of its own that is mounted at /ml.

use std::fs;
use std::path::{Path, PathBuf};

use rootshift::tree::manifest::Manifest;

use super::{Disk, Kind, attach, manifest, repository, run, write};

impl Disk {
    /// The sample system with a second file system at /ml, and a layout for both.
    pub fn with_two_filesystems(kind: Kind) -> Self {
        let mut disk = Self::with_system_of(kind);
        let other = Self::format(200);
        other.mounted(populate_other);
        let line = format!("UUID={} /ml btrfs defaults,nofail 0 2\n", other.uuid);
        disk.in_old(|old| {
            fs::create_dir(old.join("ml")).unwrap();
            let fstab = old.join("etc/fstab");
            let text = fs::read_to_string(&fstab).unwrap() + &line;
            fs::write(fstab, text).unwrap();
        });
        disk.batch = Some(two_filesystems_batch(&disk.folder));
        disk.other = Some(Box::new(other));
        disk
    }

    pub fn other(&self) -> &Self {
        self.other.as_deref().unwrap()
    }

    /// Everything at /ml in the new system.
    pub fn new_other_manifest(&self) -> Manifest {
        self.other().mounted(|top| {
            let mut all = manifest(top, "@ml");
            for (at, subvolume) in [("models", "@models"), ("datasets", "@datasets")] {
                all.graft(Path::new(at), manifest(top, subvolume)).unwrap();
            }
            all
        })
    }

    /// Takes the second disk away; it comes back with [`Disk::attach_other`].
    pub fn detach_other(&self) {
        run("losetup", &["-d", &self.other().device]);
    }

    pub fn attach_other(&mut self) {
        let other = self.other.as_mut().unwrap();
        other.device = attach(&other.image);
    }
}

/// What lies at /ml.
fn populate_other(top: &Path) {
    for number in 0..30 {
        let text = "x".repeat(1000 * number);
        write(top, &format!("models/family/{number}"), &text);
        write(top, &format!("datasets/{number}/data"), &text);
    }
    write(top, "README", "on the second disk\n");
    write(top, "datasets/deep/er/index", "index\n");
    let text = |path: &str| top.join(path).to_str().unwrap().to_owned();
    run(
        "btrfs",
        &["-q", "subvolume", "create", &text("models/cache")],
    );
    write(top, "models/cache/blob", "nested\n");
    run("btrfs", &["-q", "subvolume", "create", &text("scratch")]);
    write(top, "scratch/note", "nested in the main one\n");
    run("chown", &["1000:1000", &text("models")]);
    run("chmod", &["2775", &text("models")]);
    run("chattr", &["+m", &text("datasets")]);
    run(
        "setfattr",
        &["-n", "user.note", "-v", "kept", &text("models/family/3")],
    );
    run("touch", &["-d", "1996-01-02 03:04:05.678", &text("models")]);
}

/// The shipped batch with a layout for /ml, in a folder of its own beside the shipped viScripts.
fn two_filesystems_batch(folder: &Path) -> PathBuf {
    let text = fs::read_to_string(repository().join("batches/flat-to-subvolumes.json")).unwrap();
    let mut batch: serde_json::Value = serde_json::from_str(&text).unwrap();
    let ml = serde_json::json!({
        "mounted_at": "/ml",
        "subvolumes": [
            { "name": "@ml", "mount_point": "/ml" },
            { "name": "@models", "mount_point": "/ml/models", "no_copy_on_write": true },
            { "name": "@datasets", "mount_point": "/ml/datasets", "compression": "zstd" },
        ]
    });
    batch["layout"]["filesystems"]
        .as_array_mut()
        .unwrap()
        .push(ml);
    let folder = folder.join("batch");
    let viscripts = folder.join("viscripts");
    fs::create_dir_all(&viscripts).unwrap();
    for entry in fs::read_dir(repository().join("viscripts")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, viscripts.join(path.file_name().unwrap())).unwrap();
    }
    let file = folder.join("two-filesystems.json");
    fs::write(&file, batch.to_string()).unwrap();
    file
}
