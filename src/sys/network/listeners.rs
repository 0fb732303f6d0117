//! Ports that something listens on, as the kernel answers over a socket (sock_diag(7)).
//!
//! The tables in /proc/net say the same, but after the sockets that listen the kernel goes through
//! all places that connections could have (net/ipv4/tcp_ipv4.c, `established_get_first`): a
//! hundred times as long, measured with 24 GB of memory, and nobody asked for them.

use std::fs::File;
use std::io::{Read, Write};

use rustix::net::{AddressFamily, SocketFlags, SocketType, netlink, socket_with};

/// linux/sock_diag.h
const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// linux/netlink.h: NLM_F_REQUEST and NLM_F_DUMP, and the type of the last message.
const DUMP: u16 = 0x301;
const DONE: u16 = 3;
/// `nlmsghdr` and `inet_diag_req_v2` (linux/inet_diag.h).
const REQUEST: u32 = 16 + 56;
/// More than the kernel puts into one answer (net/netlink/af_netlink.c, `netlink_dump`).
const ANSWER: usize = 64 << 10;
/// AF_INET, AF_INET6 (linux/socket.h).
const FAMILIES: [u8; 2] = [2, 10];

/// Ports of all sockets of an IP protocol that are in this state (net/tcp_states.h), IPv4 and IPv6;
/// `None` where the kernel does not answer: without the modules for it, or where it may not.
pub(super) fn ports(protocol: u8, state: u32, ports: &mut Vec<u32>) -> Option<()> {
    for family in FAMILIES {
        dump(&request(family, protocol, state), ports)?;
    }
    Some(())
}

fn request(family: u8, protocol: u8, state: u32) -> Vec<u8> {
    [
        &REQUEST.to_ne_bytes()[..],
        &SOCK_DIAG_BY_FAMILY.to_ne_bytes(),
        &DUMP.to_ne_bytes(),
        &[0; 8], // sequence number, sender
        &[family, protocol, 0, 0],
        &(1_u32 << state).to_ne_bytes(),
        &[0; 48], // of all addresses and ports
    ]
    .concat()
}

fn dump(request: &[u8], ports: &mut Vec<u32>) -> Option<()> {
    let (family, kind) = (AddressFamily::NETLINK, SocketType::RAW);
    // The answer is there when the request is sent; if it were not, that would be none.
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, kind, flags, Some(netlink::SOCK_DIAG)).ok()?;
    let mut socket = File::from(socket);
    socket.write_all(request).ok()?;
    let mut answer = vec![0; ANSWER];
    loop {
        let length = socket.read(&mut answer).ok()?;
        if take(answer.get(..length)?, ports)? {
            return Some(());
        }
    }
}

/// Takes the ports out of one answer; whether it was the last. `None` for an error and for what can't
/// be understood.
fn take(mut answer: &[u8], ports: &mut Vec<u32>) -> Option<bool> {
    loop {
        let [a, b, c, d, kind @ ..] = answer.first_chunk::<6>()?;
        let length = usize::try_from(u32::from_ne_bytes([*a, *b, *c, *d])).ok()?;
        match u16::from_ne_bytes(*kind) {
            DONE => return Some(true),
            SOCK_DIAG_BY_FAMILY => {}
            _ => return None,
        }
        // After the header: family, state, timer, retransmissions; then the port, in the order of
        // the network.
        let port = answer.get(..length)?.get(20..)?.first_chunk::<2>()?;
        ports.push(u16::from_be_bytes(*port).into());
        answer = answer.get((length.wrapping_add(3) & !3)..)?;
        if answer.is_empty() {
            return Some(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::{ports, take};

    const TCP: (u8, u32) = (6, 10);
    const UDP: (u8, u32) = (17, 7);

    fn asked((protocol, state): (u8, u32)) -> Vec<u32> {
        let mut found = Vec::new();
        let answered = ports(protocol, state, &mut found);
        answered.expect("this kernel does not answer: `modprobe tcp_diag udp_diag`");
        found
    }

    #[test]
    fn the_kernel_tells_who_listens_and_not_who_is_connected() {
        let four = TcpListener::bind("127.0.0.1:0").unwrap();
        let open = UdpSocket::bind("127.0.0.1:0").unwrap();
        let connected = UdpSocket::bind("127.0.0.1:0").unwrap();
        connected.connect(open.local_addr().unwrap()).unwrap();
        let client = std::net::TcpStream::connect(four.local_addr().unwrap()).unwrap();
        let (tcp, udp) = (asked(TCP), asked(UDP));
        assert!(tcp.contains(&four.local_addr().unwrap().port().into()));
        assert!(!tcp.contains(&client.local_addr().unwrap().port().into()));
        assert!(udp.contains(&open.local_addr().unwrap().port().into()));
        assert!(!udp.contains(&connected.local_addr().unwrap().port().into()));
        if let Ok(six) = TcpListener::bind("[::1]:0") {
            assert!(asked(TCP).contains(&six.local_addr().unwrap().port().into()));
        }
    }

    fn message(kind: u16, content: &[u8]) -> Vec<u8> {
        let length = 16 + u32::try_from(content.len()).unwrap();
        let mut message = length.to_ne_bytes().to_vec();
        message.extend(kind.to_ne_bytes());
        message.resize(16, 0);
        message.extend(content);
        message.resize(message.len().next_multiple_of(4), 0);
        message
    }

    #[test]
    fn what_is_no_whole_answer_is_no_answer() {
        let socket = message(20, &[2, 10, 0, 0, 0x1f, 0x90, 0]);
        let read = |bytes: &[u8]| {
            let mut ports = Vec::new();
            take(bytes, &mut ports).map(|last| (last, ports))
        };
        assert_eq!(read(&socket), Some((false, vec![8080])));
        let both = [socket.clone(), message(3, &[0; 4])].concat();
        assert_eq!(read(&both), Some((true, vec![8080])));
        assert_eq!(read(&message(2, &[0xfe, 0xff, 0xff, 0xff])), None, "ENOENT");
        for cut in 0..socket.len() {
            assert_eq!(read(&socket[..cut]), None, "{cut}");
        }
        assert_eq!(read(&[0; 64]), None);
    }
}
