"""Compares WebSocket servers by what it costs them to publish: server CPU time per delivery.

    python bench/broadcast.py [--connections 1000 --bursts 1,16 --seconds 3 --rounds 5 --servers a,b]

A delivery is one message that one subscriber gets. In a burst, messages are published together.
"""

import argparse
from functools import partial

from comparison import add_arguments, compare, measure_load, peers_in, whole_numbers

PEERS = peers_in("broadcast")
REFERENCES = {
    "bare_broadcast": "x bare C",
    "picows_send": "x picows",
    "websockets_broadcast": "x websockets",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, default=1000, help="subscribers (default %(default)s)")
    parser.add_argument("--bursts", type=whole_numbers, default=[1, 16], help="messages in one go (1,16)")
    parser.add_argument("--seconds", type=float, default=3, help="measured per round (default %(default)s)")
    add_arguments(parser, PEERS)
    arguments = parser.parse_args()
    measure = partial(
        measure_load, "broadcast_load.c", connections=arguments.connections, seconds=arguments.seconds
    )
    loads = {
        f"{arguments.connections} subscribers, bursts of {burst}": partial(measure, burst=burst)
        for burst in arguments.bursts
    }
    compare(PEERS, arguments, loads, "delivery", REFERENCES, latency="skew")


if __name__ == "__main__":
    main()
