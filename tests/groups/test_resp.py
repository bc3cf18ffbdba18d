"""The protocol of Redis, cut anywhere."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given, strategies

from hyperws.groups.resp import Refusal, Wire, command

lines = strategies.binary(max_size=8).filter(lambda text: b"\r\n" not in text and text[-1:] != b"\r")
replies = strategies.recursive(
    strategies.one_of(
        strategies.none(),
        strategies.integers(),
        strategies.binary(max_size=20),
        strategies.builds(lambda text: Refusal(text.decode(errors="replace")), lines),
        strategies.sampled_from([b"\r\n", b"$3\r\n", b"message"]),
    ),
    lambda inner: strategies.lists(inner, max_size=4),
)
# what may come over a connection: a message, or a reply
arrivals = strategies.lists(
    strategies.one_of(
        strategies.tuples(strategies.binary(max_size=9), strategies.binary(max_size=40)),
        replies.filter(lambda reply: not isinstance(reply, list) or reply[:1] != [b"message"]),
    ),
    max_size=8,
)


def encode(reply):
    if reply is None:
        return b"$-1\r\n"
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    if isinstance(reply, Refusal):
        return b"-%b\r\n" % str(reply).encode()
    if isinstance(reply, bytes):
        return b"$%d\r\n%b\r\n" % (len(reply), reply)
    if isinstance(reply, tuple):
        return command(b"message", *reply)
    return b"*%d\r\n%b" % (len(reply), b"".join(map(encode, reply)))


def comparable(reply):
    if isinstance(reply, list):
        return [comparable(each) for each in reply]
    return str(reply) if isinstance(reply, Refusal) else reply


class Transport:
    """One to which anything can be written."""

    def __init__(self):
        self.transport = self

    def set_protocol(self, protocol):
        pass

    def write(self, data):
        pass


def wire(publish):
    made = Wire(publish, lambda error: None)
    made.take_over(Transport())
    return made


@given(arrivals, strategies.lists(strategies.integers(0, 400)), strategies.booleans())
def test_replies_and_messages_are_read_wherever_they_are_cut(arrivals, cuts, at_each_byte):
    data = b"".join(map(encode, arrivals))
    if at_each_byte:
        cuts = range(len(data))
    cuts = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})

    async def run():
        messages = []
        reader = wire(lambda *message: messages.append(message))
        expected = [each for each in arrivals if not isinstance(each, tuple)]
        answers = [reader.ask(b"") for _ in expected]
        for begin, end in pairwise(cuts):
            reader.data_received(data[begin:end])
        assert messages == [each for each in arrivals if isinstance(each, tuple)]
        found = [comparable(answer.result()) for answer in answers]
        assert found == [[comparable(each)] for each in expected]

    asyncio.run(run())


@pytest.mark.any_driver
async def test_several_replies_to_one_question():
    reader = wire(None)
    first, second, third = reader.ask(b"", 2), reader.ask(b"", 1), reader.ask(b"", 2)
    reader.data_received(b"+OK\r\n:1\r\n*0\r\n*-1\r\n")
    assert [answer.done() for answer in (first, second, third)] == [True, True, False]
    reader.data_received(b"-ERR no\r\n")
    assert await first == [b"OK", 1]
    assert await second == [[]]
    nothing, error = await third
    assert nothing is None
    assert (type(error), str(error)) == (Refusal, "ERR no")


@pytest.mark.any_driver
async def test_a_question_that_nobody_waits_for_any_more():
    reader = wire(None)
    first, second = reader.ask(b""), reader.ask(b"")
    first.cancel()
    reader.data_received(b":1\r\n:2\r\n")
    assert await second == [2]


@pytest.mark.any_driver
async def test_the_end_of_the_connection():
    ends = []
    reader = Wire(None, ends.append)
    reader.take_over(Transport())
    waiting, forgotten = reader.ask(b""), reader.ask(b"")
    del forgotten
    reader.data_received(b"*2\r\n:1\r\n")
    reader.connection_lost(None)
    with pytest.raises(ConnectionError, match="has ended"):
        await waiting
    with pytest.raises(ConnectionError, match="has ended"):
        reader.ask(b"")
    assert len(ends) == 1
