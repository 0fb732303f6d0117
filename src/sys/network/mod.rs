//! Routes and listening ports, as the kernel tells them.

mod listeners;

use std::path::Path;

use rustix::fs::{PROC_SUPER_MAGIC, fstatfs};

use super::{Result, Root};

/// Flags of a route (linux/route.h): usable, and one that only says no.
const UP: u32 = 0x0001;
const REJECT: u32 = 0x0200;

/// IP protocols (linux/in.h) and the states in which their sockets listen (net/tcp_states.h). A
/// UDP socket that is bound and not connected has the number of a closed TCP one.
const LISTENING: [(&str, u8, u32); 2] = [("tcp", 6, 10), ("udp", 17, 7)];

/// Whether packets to anywhere have a way out: a default route of IPv4 or IPv6. `proc` is /proc.
///
/// # Errors
/// When a table is there and can't be read. One that is missing (no such protocol) has no routes.
pub fn has_default_route(proc: &Root) -> Result<bool> {
    let v4 = table(proc, "net/route")?;
    let v6 = table(proc, "net/ipv6_route")?;
    Ok(v4.lines().any(is_default_v4) || v6.lines().any(is_default_v6))
}

fn table(proc: &Root, path: &str) -> Result<String> {
    match proc.read_text(Path::new(path)) {
        Err(error) if error.is_not_found() => Ok(String::new()),
        read => read,
    }
}

/// `Iface Destination Gateway Flags RefCnt Use Metric Mask …`, in hexadecimal (net/ipv4/fib_trie.c).
fn is_default_v4(line: &str) -> bool {
    let fields: Vec<&str> = line.split_whitespace().collect();
    match fields.as_slice() {
        [_, destination, _, flags, _, _, _, mask, ..] => {
            is_zero(destination) && is_zero(mask) && leads_out(flags)
        }
        _ => false,
    }
}

/// `destination length source length gateway metric references uses flags device`, in hexadecimal
/// (net/ipv6/route.c). The kernel's own `::/0` on `lo` only rejects.
fn is_default_v6(line: &str) -> bool {
    let fields: Vec<&str> = line.split_whitespace().collect();
    match fields.as_slice() {
        [destination, length, _, _, _, _, _, _, flags, device] => {
            is_zero(destination) && is_zero(length) && *device != "lo" && leads_out(flags)
        }
        _ => false,
    }
}

fn is_zero(number: &str) -> bool {
    number.bytes().all(|digit| digit == b'0')
}

fn leads_out(flags: &str) -> bool {
    u32::from_str_radix(flags, 16).is_ok_and(|flags| flags & (UP | REJECT) == UP)
}

/// Ports that something listens on, IPv4 and IPv6, as `tcp:22` and `udp:68`, in no order. `proc` is
/// /proc.
///
/// # Errors
/// When a table of IPv4 can't be read; a kernel without IPv6 has none of that.
pub fn listening_ports(proc: &Root) -> Result<Vec<String>> {
    let is_kernels = fstatfs(proc).is_ok_and(|about| about.f_type == PROC_SUPER_MAGIC);
    let mut listening = Vec::new();
    for (protocol, number, state) in LISTENING {
        let mut ports = Vec::new();
        if !is_kernels || listeners::ports(number, state, &mut ports).is_none() {
            ports = ports_in_tables(proc, protocol, state)?;
        }
        for port in ports {
            listening.push(format!("{protocol}:{port}"));
        }
    }
    Ok(listening)
}

fn ports_in_tables(proc: &Root, protocol: &str, state: u32) -> Result<Vec<u32>> {
    let mut text = proc.read_text(Path::new(&format!("net/{protocol}")))?;
    text.push_str(&table(proc, &format!("net/{protocol}6"))?);
    let mut ports = Vec::new();
    for line in text.lines() {
        ports.extend(port(line, state));
    }
    Ok(ports)
}

/// Both numbers are hexadecimal.
fn port(line: &str, wanted: u32) -> Option<u32> {
    let mut fields = line.split_whitespace().skip(1);
    let (_, port) = fields.next()?.rsplit_once(':')?;
    let state = u32::from_str_radix(fields.nth(1)?, 16).ok()?;
    (state == wanted).then(|| u32::from_str_radix(port, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str =
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";
    /// 192.168.1.0/24 by eth0, as route(8) users know it.
    const LOCAL: &str = "eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n";
    const DEFAULT: &str = "eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n";
    const ZERO: &str = "00000000000000000000000000000000";

    fn answer(v4: Option<&str>, v6: Option<&str>) -> bool {
        let folder = tempfile::tempdir().unwrap();
        let proc = Root::open(folder.path()).unwrap();
        proc.create_directories(Path::new("net"), 0o755).unwrap();
        for (name, text) in [("net/route", v4), ("net/ipv6_route", v6)] {
            if let Some(text) = text {
                proc.write_new_file(Path::new(name), text.as_bytes(), 0o444)
                    .unwrap();
            }
        }
        has_default_route(&proc).unwrap()
    }

    #[test]
    fn a_default_route_of_ipv4_is_one_without_bits_that_is_up() {
        let with = |line: &str| answer(Some(&format!("{HEADER}{LOCAL}{line}")), None);
        assert!(with(DEFAULT));
        assert!(!with(""));
        assert!(!with(&DEFAULT.replace("0003", "0002")), "down");
        assert!(!with(&DEFAULT.replace("0003", "0201")), "rejects");
        let half = DEFAULT.replace("\t00000000\t0\t0\t0", "\t00000080\t0\t0\t0");
        assert!(!with(&half), "0.0.0.0/1 is a half of the world");
    }

    #[test]
    fn a_default_route_of_ipv6_does_not_lead_to_lo() {
        let line = |length: &str, flags: &str, device: &str| {
            let gateway = "fe800000000000000000000000000001";
            let text = format!(
                "{ZERO} {length} {ZERO} 00 {gateway} 00000400 00000002 00000000 {flags} {device:>8}\n"
            );
            answer(None, Some(&text))
        };
        assert!(line("00", "00000003", "eth0"));
        assert!(!line("00", "00200200", "lo"));
        assert!(!line("00", "00200200", "eth0"), "rejects");
        assert!(!line("40", "00000003", "eth0"));
    }

    #[test]
    fn without_tables_there_is_no_route() {
        assert!(!answer(None, None));
        assert!(!answer(Some("x\n\n"), Some("y")));
    }

    // Lines as net/ipv4/tcp_ipv4.c prints them.
    const LISTENS: &str = "   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 \
                           00000000     0        0 1 1 0000000000000000 100 0 0 10 0";
    const CONNECTED: &str = "   1: 0100007F:1F90 0100007F:9C40 01 00000000:00000000 00:00000000 \
                             00000000     0        0 1 1 0000000000000000 100 0 0 10 0";

    fn ports(tables: &[(&str, &str)]) -> Result<Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let proc = Root::open(folder.path()).unwrap();
        proc.create_directories(Path::new("net"), 0o755).unwrap();
        for (name, text) in tables {
            let name = format!("net/{name}");
            proc.write_new_file(Path::new(&name), text.as_bytes(), 0o444)
                .unwrap();
        }
        listening_ports(&proc)
    }

    #[test]
    fn only_listening_sockets_count() {
        assert_eq!(port("  sl  local_address rem_address   st", 10), None);
        let both = format!("{LISTENS}\n{CONNECTED}\n");
        let found = ports(&[("tcp", &both), ("udp", CONNECTED)]).unwrap();
        assert_eq!(found, ["tcp:22"]);
        let six = "   0: 00000000000000000000000000000000:0044 \
                   00000000000000000000000000000000:0000 07 0:0 0:0 0 0 0 1";
        let found = ports(&[("tcp", ""), ("udp", ""), ("udp6", six)]).unwrap();
        assert_eq!(found, ["udp:68"]);
        assert!(ports(&[]).is_err());
    }

    #[test]
    fn the_tables_say_what_the_kernel_answers() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let proc = Root::open(Path::new("/proc")).unwrap();
        assert!(
            ports_in_tables(&proc, "tcp", 10)
                .unwrap()
                .contains(&port.into())
        );
        let name = format!("tcp:{port}");
        assert!(listening_ports(&proc).unwrap().contains(&name));
        drop(listener);
        assert!(!listening_ports(&proc).unwrap().contains(&name));
    }
}
