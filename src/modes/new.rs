//! `rootshift new`.

use std::path::Path;

use super::{Error, session};
use crate::cli::{Exit, New};
use crate::documents::json;
use crate::engine::templates::Template;
use crate::report::print;
use crate::sys::{Root, clock};

pub(super) fn run(options: &New) -> Result<Exit, Error> {
    let template = Template::named(&options.template)?;
    let survey = session::survey()?;
    let batch = template.fill_in(&survey, clock::unix_seconds(), options.target.as_deref())?;
    let compact =
        json::text(&batch).map_err(|cause| Error::Usage(format!("cannot print JSON: {cause}")))?;
    let text = json::indented(&compact);
    match &options.output {
        None => print::line(String::from_utf8_lossy(&text).trim_end()),
        Some(file) => {
            write(file, &text)?;
            print::line(&format!(
                "Written: {file}. `rootshift plan --batch {file}` says what it would do."
            ));
        }
    }
    Ok(Exit::Success)
}

fn write(file: &str, text: &[u8]) -> Result<(), Error> {
    let path = Path::new(file);
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = Root::open(folder.unwrap_or(Path::new(".")))?;
    let name = Path::new(path.file_name().unwrap_or_default());
    match folder.write_new_file(name, text, 0o644) {
        Err(error) if error.is_already_there() => Err(Error::Usage(format!(
            "{file} is there already and is not overwritten; name another file"
        ))),
        written => Ok(written?),
    }
}
