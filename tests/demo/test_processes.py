"""Each application in several processes with a broker between them: two workers, and a server beside them.

Clients, and what they check, are those of the applications' own tests.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from hyperws.demo.game.room import PROOF

from . import test_broadcast as broadcast
from . import test_chat as chat
from . import test_dashboard as dashboard
from . import test_game as game
from . import test_mux as mux
from . import test_resilience as resilience
from . import test_trading as trading
from .conftest import STOPS_WITHIN, Demo, running_broker, running_demo
from .yjs_client import Writer

pytestmark = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs Linux to find the workers")

BROKERS = {"redis": ("RedisServer",), "nats": ("NatsServer", "-js")}
KILLED = r"worker \d \(pid {pid}\) was ended by SIGKILL: another one follows in 0\.\d seconds\n"

TIMEOUT = 10  # seconds
Visit = Callable[[Demo], AbstractContextManager[Any]]


class Servers(NamedTuple):
    workers: Demo
    single: Demo


@pytest.fixture(scope="module", params=BROKERS)
def broker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pytest.importorskip(request.param)
    kind, *options = BROKERS[request.param]
    with running_broker(kind, tmp_path_factory.mktemp("broker"), *options) as broker:
        yield broker.url


@pytest.fixture(scope="module")
def servers(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    options = tmp_path_factory.mktemp("data"), "--backplane", broker
    with running_demo(*options, "--workers", "2") as workers, running_demo(*options) as single:
        yield Servers(workers, single)


@contextmanager
def pick(visit: Visit, demo: Demo, wanted: Callable[[int], bool]) -> Iterator[Any]:
    """A client that is connected to a process that is wanted."""
    for _ in range(100):
        with visit(demo) as client:
            if wanted(worker_of(demo, client)):
                yield client
                return
    raise AssertionError("no connection comes to that process")


def worker_of(demo: Demo, client: Any) -> int:
    return demo.worker_of(client if isinstance(client, ClientConnection) else client.socket)


@contextmanager
def in_two(visit: Visit, demo: Demo, first: int | None = None) -> Iterator[tuple[Any, Any]]:
    """Two clients in two processes, the first one perhaps in a certain one."""
    with pick(visit, demo, lambda worker: first in (None, worker)) as one:
        here = worker_of(demo, one)
        with pick(visit, demo, lambda worker: worker != here) as other:
            yield one, other


@contextmanager
def in_three(visit: Visit, servers: Servers) -> Iterator[list[Any]]:
    with in_two(visit, servers.workers) as (one, other), visit(servers.single) as third:
        yield [one, other, third]


# --- how to visit each application


def guest(room: str) -> Visit:
    return lambda demo: chat.guest(demo, room, "Guest")


def player(room: str) -> Visit:
    return lambda demo: game.client(demo, room)


@contextmanager
def member(demo: Demo) -> Iterator[broadcast.Client]:
    with broadcast.clients_of(demo) as client:
        yield client()


def writer(document: str) -> Visit:
    @contextmanager
    def visit(demo: Demo) -> Iterator[Writer]:
        writer = Writer(demo, document)
        try:
            yield writer
        finally:
            writer.socket.close()  # the last one that it had

    return visit


def reader(demo: Demo) -> AbstractContextManager[trading.Client]:
    return trading.trader(demo, max_queue=None)  # else one who does not read is slow to say goodbye


def echo(demo: Demo) -> ClientConnection:
    return connect(demo.socket("/ws"))


# --- what holds across processes


def test_an_echo_comes_from_either_process(servers: Servers) -> None:
    with in_three(echo, servers) as clients:
        for client in clients:
            assert client.recv(TIMEOUT) == client.request.headers["Sec-WebSocket-Key"]
            for message in ("text", b"bytes"):
                client.send(message)
                assert client.recv(TIMEOUT) == message


def test_guests_read_the_same_in_the_same_order(servers: Servers, room: str) -> None:
    with in_three(guest(room), servers) as guests:
        for each in guests:
            each.until_present(["Guest"] * 3)
        chat.check_order(guests, 4)
        with chat.guest(servers.single, room, "Latecomer") as late:
            late.until_present(["Guest"] * 3 + ["Latecomer"])
        for each in guests:
            assert said(each) == said(late)
            each.until("left")
            each.until_present(["Guest"] * 3)


def said(guest: chat.Guest) -> list[str]:
    return [message["text"] for message in guest.heard if message["type"] == "said"]


def test_what_is_said_is_heard_in_all_processes(servers: Servers) -> None:
    with in_three(mux.client, servers) as clients:
        pids = [each.result("status")["pid"] for each in clients]
        workers = [worker_of(servers.workers, each) for each in clients[:2]]
        assert pids == [*workers, servers.single.process.pid]
        for each in clients:
            for other in clients:
                mux.call(each, other)
        for each in clients:
            each.send(type="chat", content="all of you")
        for each in clients:
            missing = [other.id for other in clients]
            while missing:
                message = each.receive()
                if message.get("content") == "all of you":
                    missing.remove(message["client_id"])


def test_groups_span_processes(servers: Servers, room: str) -> None:
    with in_three(member, servers) as members:
        present: set[str] = set()
        for each in members:
            present.add(each.id)
            listed = {one["client_id"] for one in each.join(room)}
            assert listed <= present
            while listed != present:
                listed.add(each.hear("joined", topic=room)["client_id"])
        for each in members:
            assert each.publish(room, f"from {each.id}") == 1
            for other in members:
                if other is not each:
                    other.hear("broadcast", message=f"from {each.id}")
        members[0].say("unsubscribe", topic=room)
        for each in members[1:]:
            each.hear("left", client_id=members[0].id)
            news = [(heard["type"], heard.get("client_id"), heard.get("message")) for heard in each.heard[1:]]
            assert len(set(news)) == len(news)  # nothing comes twice


def test_players_have_the_same_arena_at_the_same_tick(servers: Servers, room: str) -> None:
    with in_three(player(room), servers) as players:
        for token, each in zip("abc", players, strict=True):
            each.join(token)
        for each in players:
            each.until(lambda _, each=each: all(each.body(other.me) for other in players))
            each.turn()
        last = max(each.copy.state["tick"] for each in players) + 2 * PROOF
        for each in players:
            each.until(lambda _, each=each: each.copy.state["tick"] >= last)
        assert agreed([each.copy.hashes for each in players]) >= 2 * PROOF


def agreed(facts: list[dict[Any, Any]]) -> int:
    """Of how many things all of them know something, which is the same."""
    common = set.intersection(*map(set, facts))
    assert all(each[key] == facts[0][key] for each in facts for key in common)
    return len(common)


def test_traders_have_the_same_book_at_the_same_tick(servers: Servers) -> None:
    with in_three(trading.trader, servers) as traders:
        pids = [each.welcome["process"] for each in traders]
        assert pids[:2] == [worker_of(servers.workers, each) for each in traders[:2]]
        for each in traders:
            each.subscribe("book:OTTER")
            each.follow(1)
        last = max(each.at for each in traders) + 2 * trading.CHECKED
        for each in traders:
            while each.at < last:
                each.follow(1)
        assert agreed([each.sums for each in traders]) > trading.CHECKED


def test_writers_end_up_with_the_same_text(servers: Servers, room: str) -> None:
    with in_three(writer(room), servers) as writers:
        for turn in range(10):
            for number, each in enumerate(writers):
                each.insert(turn * number, f"{number}{turn};")
                each.send()
        everything = sorted(f"{number}{turn};" for number in range(3) for turn in range(10))
        assert sorted(share(writers, writer(room), servers.single)) == sorted("".join(everything))


def test_ticks_are_the_same_and_who_comes_back_elsewhere_misses_none(servers: Servers) -> None:
    with in_three(resilience.visiting, servers) as clients:
        for each in clients:
            each.subscribe()
        last = max(each.hear_ticks(1)[-1] for each in clients) + 2
        for each in clients:
            while each.ticks[-1] < last:
                each.hear()
            assert resilience.in_a_row(each.ticks)
        for each, demo in zip(clients, (servers.single, servers.single, servers.workers), strict=True):
            return_to(demo, each)


def return_to(demo: Demo, client: resilience.Client) -> None:
    """After its connection is lost, or now."""
    client.socket.close()
    with resilience.visiting(demo) as back:
        assert back.subscribe(client.at)["recovered"] is True
        back.hear_ticks(len(back.ticks) + 2)
        assert resilience.in_a_row([*client.ticks, *back.ticks])


def share(writers: list[Writer], visit: Visit, demo: Demo) -> str:
    """The text that all writers have in the end, as one who comes late does."""
    for each in writers:
        each.settle()
    with visit(demo) as late:
        late.settle()
        for each in writers:
            each.wait_for(late.text)
        return str(late.text)


def test_each_process_shows_itself(servers: Servers) -> None:
    with in_two(dashboard.opened, servers.workers) as clients:
        for client in clients:
            points = dashboard.take(dashboard.points_of(client), 30)
            dashboard.assert_gap_free(points)
            assert {point["pid"] for point in points} == {worker_of(servers.workers, client)}


# --- trouble


def test_all_goes_on_when_a_worker_is_killed(broker: str, tmp_path: Path, room: str) -> None:
    """In each application one visitor is at that worker, and another one is not."""
    options = "--workers", "2", "--backplane", broker
    with running_demo(tmp_path, *options, stderr=subprocess.PIPE) as demo, ExitStack() as stack:
        ada, bob = stack.enter_context(in_two(guest(room), demo))
        doomed = worker_of(demo, ada)

        def both(visit: Visit) -> Any:
            return stack.enter_context(in_two(visit, demo, doomed))

        ann, bill = both(player(room))  # Ann's process leads
        ann.join("a", "Ann")
        bill.join("b", "Bill")
        bill.until(lambda _: bill.body(ann.me))
        cut, other = both(writer(room))
        cut.write("stored;")
        trader, watcher = both(reader)
        for each in (trader, watcher):
            each.subscribe("book:KELP")
            each.follow(1)
        counter, counts = both(resilience.visiting)
        for each in (counter, counts):
            each.subscribe()
            each.hear_ticks(2)
        gone, stays = both(member)
        stays.join(room)
        gone.join(room)
        stays.hear("joined", client_id=gone.id)
        ada.say("before")
        assert ada.said(1) == bob.said(1) == ["before"]

        ada.say("at that moment")
        cut.insert(0, "at that moment;")
        cut.send()
        os.kill(doomed, signal.SIGKILL)
        bob.say("meanwhile")
        other.write("meanwhile;")
        log = demo.process.stderr
        assert re.fullmatch(KILLED.format(pid=doomed), log.readline())  # now nobody is let in there any more

        with pytest.raises(ConnectionClosed):
            ada.until("never")
        again = chat.Guest(demo, room, ada.secret)
        with again.socket:
            since = [message["at"] for message in ada.heard if "at" in message][-1]
            assert again.subscribe(since=since)[-1]["recovered"] is True
            again.enter("Guest")
            again.say("after")
            for each in (again, bob):
                while "after" not in said(each):
                    each.receive()
            assert said(ada) + said(again) == said(bob)
            assert {"before", "meanwhile", "after"} <= set(said(bob))

        cut.connect()
        text = share([cut, other], writer(room), demo)
        assert sorted(text.split(";")) == ["", "at that moment", "meanwhile", "stored"]

        watcher.follow(trading.CHECKED)
        with trading.trader(demo) as back:
            back.at, back.sides = trader.at, trader.sides
            assert back.subscribe("book:KELP", since=trader.at) is True
            back.follow(trading.CHECKED)
            assert back.checked >= 1

        tick, epoch = bill.copy.state["tick"], bill.copy.epoch
        bill.until(lambda _: bill.copy.epoch != epoch)
        assert bill.copy.epoch[0] == epoch[0] + 1
        assert bill.copy.state["tick"] >= tick
        with game.client(demo, room) as back:
            back.join("a", "Ann")
            assert back.me == ann.me
            assert set(back.copy.state["snakes"]) == {ann.me, bill.me}
            back.turn()

        return_to(demo, counter)
        assert resilience.in_a_row(counts.hear_ticks(len(counts.ticks) + 2))

        stays.hear("left", client_id=gone.id)
        bob.until_present(["Guest"])

        demo.process.send_signal(signal.SIGTERM)
        assert demo.process.wait(STOPS_WITHIN) == 0
        assert log.read() == ""
