//! `finalize` breaks off while it makes the images ordinary; then somebody wants to go back.

use anyhow::{Result, ensure};

use super::rehearsal::{GONE, HOW, is_gone};
use crate::scenario::{Life, part};
use crate::testing::Bench;

/// A hook that fails after the image was written, as one that copies it to a full ESP does.
const BREAK_OFF: &str = r#"
printf '#!/bin/sh\necho "no space left" >&2\nexit 1\n' > /etc/initramfs/post-update.d/zz-copy
chmod 755 /etc/initramfs/post-update.d/zz-copy
echo "@@ finalize"
rootshift finalize --yes 2>&1 && code=0 || code=$?
echo "status $code"
rm /etc/initramfs/post-update.d/zz-copy
echo "@@ image"
for image in /boot/initrd.img-*; do lsinitramfs "$image" | grep 'sbin/rootshift$'; done
echo "@@ between"
rootshift status || true
echo "@@ rollback"
rootshift rollback --yes 2>&1 && code=0 || code=$?
echo "status $code"
echo "@@ after"
rootshift status || true
echo "@@ end"
exit 100
"#;

const FINALIZE: &str = r#"
echo "@@ finalize"
rootshift finalize --yes 2>&1 && code=0 || code=$?
echo "status $code"
echo "@@ end"
exit 100
"#;

/// What `rollback` promised is kept; where it refused, there is another way out.
pub(super) fn then_rolled_back(bench: &Bench) -> Result<()> {
    let armed = bench.armed()?;
    let mut life = Life::new(&bench.context, &armed, "test-broken-off")?;
    life.migrate()?;
    life.boot("trial", "exit 100\n")?;
    let said = life.boot("breaks off", &format!("{HOW}{BREAK_OFF}"))?;
    let finalize = part(&said, "finalize")?;
    ensure!(
        !finalize.ends_with("status 0"),
        "a hook failed, and finalize did not:\n{finalize}"
    );
    ensure!(
        finalize.contains("zz-copy") || finalize.contains("update-initramfs"),
        "it broke off for another reason:\n{finalize}"
    );
    let rollback = part(&said, "rollback")?;
    println!(
        "     after finalize broke off: {}",
        rollback.replace('\n', " | ")
    );
    if rollback.ends_with("status 0") {
        return life.prove_old();
    }
    let said = life.boot("another way out", FINALIZE)?;
    let finalize = part(&said, "finalize")?;
    ensure!(
        finalize.ends_with("status 0"),
        "neither back:\n{rollback}\nnor on:\n{finalize}"
    );
    is_gone(&life.boot("the end", &format!("{HOW}{GONE}"))?)
}
