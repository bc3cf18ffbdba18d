"""What a peer is called, and what it counts as."""

import pytest

from hyperws._core.admission import describe_peer, peer_name


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (("192.0.2.1", 80), "192.0.2.1:80"),
        (("2001:db8::1", 80, 0, 0), "[2001:db8::1]:80"),
        (("fe80::1%eth0", 80, 0, 2), "[fe80::1%eth0]:80"),
        ("", "unix"),
        (None, "unix"),
    ],
)
def test_names(address, name):
    _, host, port = describe_peer(address)
    assert peer_name(host, port) == name


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1:2:3", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
    ],
)
def test_what_counts_as_one_peer(one, other, same):
    assert (describe_peer((one, 1))[0] == describe_peer((other, 2))[0]) is same
