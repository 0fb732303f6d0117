//! What a task printed, in parts: a line `@@ name` begins each.

use anyhow::{Context as _, Result};

use crate::machine::TaskRun;

/// The part of the task's output under `@@ name`, without line breaks at its ends.
pub fn part(task: &TaskRun, name: &str) -> Result<String> {
    let head = format!("@@ {name}");
    let mut lines = task.output.lines().skip_while(|line| *line != head);
    lines
        .next()
        .with_context(|| format!("the guest printed no part \"{name}\""))?;
    let kept: Vec<_> = lines.take_while(|line| !line.starts_with("@@ ")).collect();
    Ok(kept.join("\n").trim_matches('\n').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_ends_where_the_next_begins() {
        let output = "noise\n@@ a\n1\n2\n@@ ab\n3\n".to_owned();
        let task = TaskRun {
            output,
            ..TaskRun::default()
        };
        assert_eq!(part(&task, "a").unwrap(), "1\n2");
        assert_eq!(part(&task, "ab").unwrap(), "3");
        assert!(part(&task, "b").is_err());
    }
}
