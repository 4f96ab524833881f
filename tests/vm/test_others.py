"""Other engines, other protocols."""

import pytest

from tests.vm.machines import HOST, Pair, eventually

pytestmark = [pytest.mark.vm, pytest.mark.slow, pytest.mark.timeout(900)]

HOST6 = "fd00:56::10"
CLIENT6 = "fd00:56::11"

# The host's own programs are in the container, too: there is no image with Python in it.
UDP = """
for number in 1 2 3; do
    docker run --detach --name dns-$number --hostname dns-$number \
        --volume /usr:/usr:ro --volume /lib:/lib:ro --volume /lib64:/lib64:ro hello /usr/bin/python3 -c '
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("", 5353))
while True:
    server.sendto(socket.gethostname().encode(), server.recvfrom(1000)[1])'
done
"""
IPV6 = """
docker network create --ipv6 --subnet fd00:d0c::/64 six
for number in 1 2 3; do
    docker run --detach --name six-$number --hostname six-$number --network six hello
done
"""
PRIVATE = "ip -oneline -4 address show to 192.168.56.0/24 | awk '{print $2}'"


def test_udp(fresh: Pair) -> None:
    fresh.host.shell(UDP)
    fresh.netshare("attach", "dns", "53/udp", "--to", "5353")
    eventually(lambda: fresh.datagrams(HOST, 53, 60).answers.keys() == {"dns-1", "dns-2", "dns-3"})
    seen = fresh.datagrams(HOST, 53, 60)
    assert not seen.failures
    fresh.host.must("docker", "rm", "--force", "dns-1")
    eventually(lambda: fresh.datagrams(HOST, 53, 60).answering() == {"dns-2", "dns-3"})


def test_ipv6(fresh: Pair) -> None:
    for machine, address in ((fresh.host, HOST6), (fresh.client, CLIENT6)):
        machine.shell(f"ip address replace {address}/64 dev $({PRIVATE}) nodad")
    fresh.host.shell(IPV6)
    fresh.netshare("attach", "six", "86", "--to", "8080")
    assert fresh.count(30, f"http://[{HOST6}]:86/").answering() == {"six-1", "six-2", "six-3"}
    assert fresh.count(30, f"http://{HOST}:86/").answering() == {"six-1", "six-2", "six-3"}
    (seen,) = fresh.count(6, f"http://[{HOST6}]:86/cgi-bin/client").answering()
    assert seen.strip("[]") == CLIENT6


def test_podman_beside_docker(fresh: Pair) -> None:
    fresh.host.shell("docker save hello | podman load --quiet")
    for name in ("pod-1", "pod-2"):
        fresh.host.must("podman", "run", "--detach", "--name", name, "--hostname", name, "hello")
    fresh.netshare("attach", "pod", "81", "--to", "8080")
    assert fresh.count(30, f"http://{HOST}:81/").answering() == {"pod-1", "pod-2"}
    fresh.host.must("podman", "stop", "--time", "5", "pod-1")
    eventually(lambda: fresh.count(20, f"http://{HOST}:81/").answers.keys() == {"pod-2"})
