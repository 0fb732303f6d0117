//! What the kernel says about the network, from the files under /proc/net (proc_net(5)).

use std::path::Path;

use super::{Error, Result, Root};

/// State numbers of net/tcp_states.h, in hexadecimal as the files have them. A UDP socket that is
/// bound and not connected has the number of a closed TCP one.
const LISTENING_TCP: &str = "0A";
const LISTENING_UDP: &str = "07";
/// `RTF_UP` of linux/route.h.
const UP: u32 = 1;
/// `RTF_REJECT`: the kernel's own "there is no way" (linux/ipv6_route.h).
const REJECT: u32 = 0x200;

/// Ports that something listens on, IPv4 and IPv6, as `tcp:22` and `udp:68`, in no order.
pub fn listening_ports(root: &Root) -> Result<Vec<String>> {
    let mut ports = Vec::new();
    for (protocol, state) in [("tcp", LISTENING_TCP), ("udp", LISTENING_UDP)] {
        let first = root.read_text(Path::new(&format!("proc/net/{protocol}")))?;
        // A kernel without IPv6 has no such file.
        let second = optional(root, &format!("proc/net/{protocol}6"))?;
        for line in first.lines().chain(second.lines()) {
            if let Some(port) = port(line, state) {
                ports.push(format!("{protocol}:{port}"));
            }
        }
    }
    Ok(ports)
}

fn port(line: &str, wanted: &str) -> Option<u32> {
    let mut fields = line.split_whitespace().skip(1);
    let (_, port) = fields.next()?.rsplit_once(':')?;
    let state = fields.nth(1)?;
    (state == wanted).then(|| u32::from_str_radix(port, 16).ok())?
}

/// Is there a default route, IPv4 or IPv6, through a device other than the loopback?
pub fn has_default_route(root: &Root) -> Result<bool> {
    let four = optional(root, "proc/net/route")?;
    let six = optional(root, "proc/net/ipv6_route")?;
    if four.is_empty() && six.is_empty() {
        return Err(Error::malformed(
            "routing table",
            &root.shown(Path::new("proc/net/route")),
            "the kernel tells none",
        ));
    }
    Ok(four.lines().any(is_default_four) || six.lines().any(is_default_six))
}

/// Iface Destination Gateway Flags RefCnt Use Metric Mask …
fn is_default_four(line: &str) -> bool {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [device, "00000000", _, flags, _, _, _, "00000000", ..] = fields.as_slice() else {
        return false;
    };
    *device != "lo" && leads_somewhere(flags)
}

/// destination prefix source prefix next-hop metric references use flags device
fn is_default_six(line: &str) -> bool {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [to, "00", _, _, _, _, _, _, flags, device] = fields.as_slice() else {
        return false;
    };
    to.bytes().all(|digit| digit == b'0') && *device != "lo" && leads_somewhere(flags)
}

fn leads_somewhere(flags: &str) -> bool {
    u32::from_str_radix(flags, 16).is_ok_and(|flags| flags & (UP | REJECT) == UP)
}

fn optional(root: &Root, path: &str) -> Result<String> {
    match root.read_text(Path::new(path)) {
        Err(error) if error.is_not_found() => Ok(String::new()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Lines as net/ipv4/tcp_ipv4.c and net/ipv6/route.c print them.
    const LISTENS: &str = "   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 \
                           00000000     0        0 1 1 0000000000000000 100 0 0 10 0";
    const CONNECTED: &str = "   1: 0100007F:1F90 0100007F:9C40 01 00000000:00000000 00:00000000 \
                             00000000     0        0 1 1 0000000000000000 100 0 0 10 0";

    fn root_with(files: &[(&str, &str)]) -> (tempfile::TempDir, Root) {
        let folder = tempfile::tempdir().unwrap();
        let net = folder.path().join("proc/net");
        std::fs::create_dir_all(&net).unwrap();
        for (name, text) in files {
            std::fs::write(net.join(name), text).unwrap();
        }
        let root = Root::open(folder.path()).unwrap();
        (folder, root)
    }

    #[test]
    fn only_listening_sockets_count() {
        assert_eq!(port(LISTENS, LISTENING_TCP), Some(22));
        assert_eq!(port(CONNECTED, LISTENING_TCP), None);
        assert_eq!(port("  sl  local_address rem_address   st", "0A"), None);
        let (_folder, root) = root_with(&[("tcp", LISTENS), ("udp", CONNECTED)]);
        assert_eq!(listening_ports(&root).unwrap(), ["tcp:22"]);
        let six = "   0: 00000000000000000000000000000000:0044 \
                   00000000000000000000000000000000:0000 07 0:0 0:0 0 0 0 1";
        let (_folder, root) = root_with(&[("tcp", ""), ("udp", ""), ("udp6", six)]);
        assert_eq!(listening_ports(&root).unwrap(), ["udp:68"]);
    }

    #[test]
    fn a_default_route_leads_out_of_the_machine() {
        let head =
            "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n";
        let four = "eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n";
        let near = "eth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n";
        let zero = "0".repeat(32);
        let six = |flags: &str, device: &str| {
            format!("{zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 {flags} {device}\n")
        };
        for (route, ipv6, expected) in [
            (format!("{head}{four}"), String::new(), true),
            (format!("{head}{near}"), String::new(), false),
            (
                format!("{head}{}", four.replace("eth0", "lo")),
                String::new(),
                false,
            ),
            (head.to_owned(), six("00000003", "eth0"), true),
            (head.to_owned(), six("00200200", "lo"), false),
            (head.to_owned(), six("00000201", "eth0"), false),
        ] {
            let (_folder, root) = root_with(&[("route", &route), ("ipv6_route", &ipv6)]);
            assert_eq!(has_default_route(&root).unwrap(), expected, "{route}{ipv6}");
        }
    }

    #[test]
    fn a_kernel_that_tells_nothing_is_no_missing_route() {
        let (_folder, root) = root_with(&[]);
        assert!(has_default_route(&root).is_err());
        assert!(listening_ports(&root).is_err());
    }
}
