//! What no type can say: a check must ask for something, or it would always pass.

use super::{
    CheckSpec, CommandOutput, FileParameters, KernelParameter, MountParameters, Names, Properties,
    ServiceParameters, SpaceParameters, Words,
};

const ALWAYS: &str = "it would always pass";
/// An hour: a check that takes longer is none.
const LONGEST: u32 = 3600;

impl CheckSpec {
    /// What is wrong with its parameters.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        match self {
            Self::Commands(names)
            | Self::KernelFilesystems(names)
            | Self::Processes(names)
            | Self::Users(names)
            | Self::Groups(names)
            | Self::Packages(names) => in_names(names),
            Self::Ports(names) => in_names(names).or_else(|| in_ports(&names.names)),
            Self::Mount(mount) | Self::FstabEntry(mount) => in_mount(mount, false),
            Self::Filesystem(mount) => in_mount(mount, true),
            Self::FreeSpace(space) => in_free_space(space),
            Self::DeviceStatistics(place) => relative("at", place.at.as_deref()?),
            Self::Subvolume(subvolume) => empty("path", &subvolume.path),
            Self::Property(property) => in_property(property),
            Self::File(file) => in_file(file),
            Self::GrubEntry(words) => in_words(words, words.title.is_some()),
            Self::KernelCommandLine(words) | Self::Initramfs(words) => match words.title {
                Some(_) => Some("title: only a menu entry has one".into()),
                None => in_words(words, false),
            },
            Self::Service(service) => in_service(service),
            Self::Socket(socket) => relative("path", &socket.path),
            Self::KernelParameter(parameter) => in_parameter(parameter),
            Self::CommandOutput(command) => in_command(command),
            _ => None,
        }
    }
}

fn in_names(names: &Names) -> Option<String> {
    if names.names.is_empty() {
        return Some(format!("names is empty: {ALWAYS}"));
    }
    let odd = |name: &&String| name.is_empty() || name.contains(char::is_whitespace);
    let odd = names.names.iter().find(odd)?;
    Some(format!("\"{odd}\" is no name"))
}

fn in_ports(names: &[String]) -> Option<String> {
    let odd = names.iter().find(|name| !is_port(name))?;
    Some(format!(
        "\"{odd}\" is no port; write it as \"tcp:22\" or \"udp:68\""
    ))
}

fn is_port(name: &str) -> bool {
    let number = name
        .strip_prefix("tcp:")
        .or_else(|| name.strip_prefix("udp:"));
    number.is_some_and(|number| {
        number
            .parse::<u32>()
            .is_ok_and(|port| port <= 65535 && port.to_string() == number)
    })
}

fn in_mount(mount: &MountParameters, must_ask: bool) -> Option<String> {
    let asks = mount.source.is_some()
        || mount.filesystem.is_some()
        || mount.subvolume.is_some()
        || mount.as_in_layout
        || !mount.options.is_empty();
    if must_ask && !asks {
        return Some(format!("it asks for nothing: {ALWAYS}"));
    }
    relative("at", &mount.at)
}

fn in_free_space(space: &SpaceParameters) -> Option<String> {
    match &space.at {
        None => None,
        Some(_) if space.minimum.is_none() && space.metadata.is_none() => Some(
            "it asks for nothing: write \"minimum\", \"metadata\" or both beside \"at\"".into(),
        ),
        Some(at) => relative("at", at),
    }
}

fn in_property(property: &Properties) -> Option<String> {
    let asks = property.read_only.is_some()
        || property.compression.is_some()
        || property.no_copy_on_write.is_some();
    if !asks {
        return Some(format!("it asks for nothing: {ALWAYS}"));
    }
    empty("path", &property.path)
}

fn in_file(file: &FileParameters) -> Option<String> {
    let asks = file.kind.is_some()
        || file.mode.is_some()
        || file.owner.is_some()
        || file.group.is_some()
        || file.minimum_size.is_some()
        || !file.contains.is_empty()
        || file.target.is_some();
    match file.exists {
        None if !asks => return Some("it asks for nothing: write \"exists\": true".into()),
        Some(false) if asks => return Some("what does not exist has no attributes".into()),
        _ => {}
    }
    if let Some(mode) = &file.mode {
        let octal = (1..=4).contains(&mode.len()) && u32::from_str_radix(mode, 8).is_ok();
        if !octal || mode.starts_with('+') {
            return Some(format!("\"{mode}\" is no mode; write it as \"0644\""));
        }
    }
    empty_text(&file.contains).or_else(|| relative("path", &file.path))
}

fn in_words(words: &Words, asks: bool) -> Option<String> {
    if !asks && words.contains.is_empty() && words.lacks.is_empty() {
        return Some(format!("contains and lacks are empty: {ALWAYS}"));
    }
    empty_text(&words.contains).or_else(|| empty_text(&words.lacks))
}

/// A unit's name goes to systemctl, where a leading `-` would be an option.
fn in_service(service: &ServiceParameters) -> Option<String> {
    let good = service.unit.contains('.') && !service.unit.starts_with(['-', '.']);
    let plain = !service.unit.contains(['/', ' ']);
    (!(good && plain)).then(|| {
        format!(
            "\"{}\" is no unit; write it as \"docker.service\"",
            service.unit
        )
    })
}

fn in_parameter(parameter: &KernelParameter) -> Option<String> {
    let mut parts = parameter.name.split(['/', '.']);
    if parts.any(str::is_empty) {
        return Some(format!(
            "\"{}\" is no parameter; write it as \"vm.swappiness\"",
            parameter.name
        ));
    }
    empty("value", parameter.value.trim())
}

fn in_command(command: &CommandOutput) -> Option<String> {
    if command.argv.first().is_none_or(String::is_empty) {
        return Some("argv names no program".into());
    }
    if command
        .timeout_seconds
        .is_some_and(|seconds| !(1..=LONGEST).contains(&seconds))
    {
        return Some(format!("timeout_seconds: from 1 to {LONGEST}"));
    }
    empty_text(&command.contains).or_else(|| empty_text(&command.lacks))
}

fn empty_text(texts: &[String]) -> Option<String> {
    let empty = texts.iter().any(String::is_empty);
    empty.then(|| "an empty text is in everything".into())
}

fn empty(key: &str, text: &str) -> Option<String> {
    text.is_empty().then(|| format!("{key} is empty"))
}

fn relative(key: &str, path: &str) -> Option<String> {
    (!path.starts_with('/')).then(|| format!("{key}: \"{path}\" is no absolute path"))
}
