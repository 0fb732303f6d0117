//! What every case gets: the tools, and machines that were armed once for all of them.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, anyhow};

use crate::image::{self, Recipe};
use crate::scenario::{Armed, Context, Wishes, arm_as_wished};

/// The last script of the initramfs leaves what the others told it in /run: how a boot came to its
/// root is seen from that, not from what rootshift says.
const SHOW_OVERRIDE: &str = r#"
cat > /etc/initramfs-tools/scripts/local-bottom/show-override <<'SCRIPT'
#!/bin/sh
[ "$1" = prereqs ] && exit 0
cat /conf/param.conf > /run/told-to-initramfs 2>/dev/null
echo "end of param.conf" >> /run/told-to-initramfs
SCRIPT
chmod 755 /etc/initramfs-tools/scripts/local-bottom/show-override
"#;

/// Once it was tried, what came of it.
type Tried = Arc<Mutex<Option<Result<Arc<Armed>, String>>>>;

/// What every case gets.
#[derive(Debug)]
pub struct Bench {
    /// Tools, image, package.
    pub context: Context,
    /// Armed machines by their recipe: forked by cases, never written to.
    machines: Mutex<Vec<(Recipe, Tried)>>,
}

impl Bench {
    /// With nothing armed yet.
    pub(super) fn new(context: Context) -> Self {
        Self {
            context,
            machines: Mutex::default(),
        }
    }

    /// The machine that most cases fork.
    pub(super) fn armed(&self) -> Result<Arc<Armed>> {
        self.armed_as(Recipe::USUAL)
    }

    /// A machine of this recipe, armed by the first case that asks for it.
    pub(super) fn armed_as(&self, recipe: Recipe) -> Result<Arc<Armed>> {
        let tried = self.tried(recipe);
        let mut tried = tried.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = tried.get_or_insert_with(|| {
            let ended = self.arm(recipe);
            ended.map(Arc::new).map_err(|error| format!("{error:#}"))
        });
        ended.clone().map_err(|error| anyhow!(error))
    }

    fn tried(&self, recipe: Recipe) -> Tried {
        let mut machines = self.machines.lock().unwrap_or_else(PoisonError::into_inner);
        let known = machines.iter().find(|(other, _)| *other == recipe);
        if let Some((_, tried)) = known {
            return Arc::clone(tried);
        }
        let tried = Tried::default();
        machines.push((recipe, Arc::clone(&tried)));
        tried
    }

    fn arm(&self, recipe: Recipe) -> Result<Armed> {
        let context = &self.context;
        let image = image::debian(&context.workspace, &context.tools, recipe)?;
        let name = match recipe {
            Recipe::USUAL => "test-armed".to_owned(),
            other => format!("test-armed-{other}"),
        };
        let wishes = Wishes {
            before: SHOW_OVERRIDE,
            ..Wishes::default()
        };
        arm_as_wished(context, &image, &name, wishes).context("arm the machine that cases fork")
    }
}
