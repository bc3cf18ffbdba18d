"""Compares WebSocket echo servers: messages per second, and above all server CPU time per message.

    python bench/echo.py [--connections 1000 --in-flight 1,16 --size 32 --seconds 3 --rounds 5 --servers a,b]
    python bench/echo.py --rate 10000 [--connections 1000 --size 32]      open loop: latency at a fixed rate
    python bench/echo.py --churn 20000 [--messages 10 --connections 64 --reset-percent 50]
"""

import argparse
from functools import partial

from comparison import Load, add_arguments, compare, measure_load, peers_in, whole_numbers

PEERS = peers_in("echo")
REFERENCES = {"bare_echo": "x bare C", "picows_echo": "x picows"}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, default=1000, help="open at once (default %(default)s)")
    parser.add_argument("--in-flight", type=whole_numbers, default=[1, 16], help="per connection (1,16)")
    parser.add_argument("--size", type=int, default=32, help="bytes per message (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=3, help="measured per round (default %(default)s)")
    parser.add_argument("--rate", type=float, metavar="R", help="messages/s in all, whatever has come back")
    parser.add_argument("--churn", type=int, metavar="M", help="measure M connections instead of messages")
    parser.add_argument("--messages", type=int, default=1, help="churn: of each connection (%(default)s)")
    parser.add_argument("--reset-percent", type=int, default=0, help="churn: how many end by RST (0)")
    add_arguments(parser, PEERS)
    return parser.parse_args()


def loads(arguments: argparse.Namespace) -> dict[str, Load]:
    """What to run, by title."""
    connections, size, seconds = arguments.connections, arguments.size, arguments.seconds
    measure = partial(measure_load, "load.c", connections=connections, size=size)
    if arguments.churn:
        churn = {name: getattr(arguments, name) for name in ("churn", "messages", "reset_percent")}
        title = "{churn} connections of {messages} messages, {at_a_time} at once, {reset_percent} % reset"
        return {title.format(at_a_time=connections, **churn): partial(measure, **churn)}
    if arguments.rate:
        title = f"{arguments.rate:,.0f} messages/s over {connections} connections, {size} bytes"
        return {title: partial(measure, rate=arguments.rate, seconds=seconds)}
    return {
        f"{connections} connections x {in_flight} in flight, {size} bytes": partial(
            measure, in_flight=in_flight, seconds=seconds
        )
        for in_flight in arguments.in_flight
    }


def main() -> None:
    arguments = parse_arguments()
    unit = "connection" if arguments.churn else "message"
    compare(PEERS, arguments, loads(arguments), unit, REFERENCES)


if __name__ == "__main__":
    main()
