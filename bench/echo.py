"""Compares WebSocket echo servers: messages per second, and above all server CPU time per message.

    python bench/echo.py [--connections 1000 --in-flight 1,16 --size 32 --seconds 3 --rounds 5 --servers a,b]
    python bench/echo.py --churn 20000 [--connections 64 --reset-percent 50]
"""

import argparse
from functools import partial

from comparison import Load, add_arguments, compare, peers_in, run_load, whole_numbers

PEERS = peers_in("echo")
REFERENCES = {"bare_echo": "x bare C", "picows_echo": "x picows"}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, default=1000, help="open at once (default %(default)s)")
    parser.add_argument("--in-flight", type=whole_numbers, default=[1, 16], help="per connection (1,16)")
    parser.add_argument("--size", type=int, default=32, help="bytes per message (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=3, help="measured per round (default %(default)s)")
    parser.add_argument("--churn", type=int, metavar="M", help="measure M connects instead of messages")
    parser.add_argument("--reset-percent", type=int, default=0, help="churn: how many end by RST (0)")
    add_arguments(parser, PEERS)
    return parser.parse_args()


def loads(arguments: argparse.Namespace) -> dict[str, Load]:
    """What to run, by title."""
    measure = partial(run_load, "load.c", connections=arguments.connections, size=arguments.size)
    if arguments.churn:
        churn = {"churn": arguments.churn, "reset_percent": arguments.reset_percent}
        title = "{churn} connects, {connections} at a time, {reset_percent} % ended by RST"
        return {title.format(connections=arguments.connections, **churn): partial(measure, **churn)}
    return {
        f"{arguments.connections} connections x {in_flight} in flight, {arguments.size} bytes": partial(
            measure, in_flight=in_flight, seconds=arguments.seconds
        )
        for in_flight in arguments.in_flight
    }


def main() -> None:
    arguments = parse_arguments()
    unit = "connection" if arguments.churn else "message"
    compare(PEERS, arguments, loads(arguments), unit, REFERENCES)


if __name__ == "__main__":
    main()
