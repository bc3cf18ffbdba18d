"""What a hub remembers, and for how long: the clock is told to it."""

from __future__ import annotations

from hyperws.groups.backplane import Keep
from hyperws.groups.hub_memory import FORGET, GRACE, Memory

ALL = Keep(1000, 1000)


def publish(memory, numbers, keep, now=0.0, topic=b"t"):
    """Keep the messages of these numbers, and return the epoch and the offset of the last one."""
    return [memory.keep(topic, b"%d" % each, keep, "a", each, now) for each in numbers][-1]


def data(past):
    return [each.data for each in past.messages]


def test_the_latest_are_kept():
    memory = Memory(in_use=())
    epoch, offset = publish(memory, range(1, 11), Keep(3, 60))
    past = memory.read(b"t", ALL, 1.0)
    assert (past.epoch, past.end, past.start) == (epoch, offset, offset - 3)
    assert data(past) == [b"8", b"9", b"10"]
    assert [each.age for each in past.messages] == [1.0] * 3
    assert data(memory.read(b"t", Keep(2, 60), 1.0)) == [b"9", b"10"]
    assert memory.read(b"t", Keep(0, 60), 1.0)[1:] == (offset, [])


def test_the_old_are_not_read():
    memory = Memory(in_use=())
    publish(memory, [1], Keep(10, 60), 0.0)
    publish(memory, [2], Keep(10, 60), 50.0)
    assert data(memory.read(b"t", ALL, 59.0)) == [b"1", b"2"]
    past = memory.read(b"t", ALL, 61.0)
    assert (data(past), past.start) == ([b"2"], 1)
    assert data(memory.read(b"t", Keep(10, 5), 56.0)) == []


def test_the_bounds_that_came_last_hold():
    memory = Memory(in_use=())
    publish(memory, range(1, 6), Keep(10, 60))
    publish(memory, [6], Keep(2, 60))
    assert len(memory.read(b"t", ALL, 0.0).messages) == 2
    publish(memory, range(7, 10), Keep(10, 60), 30.0)
    publish(memory, [10], Keep(10, 20), 55.0)
    assert data(memory.read(b"t", ALL, 55.0)) == [b"10"]


def test_a_topic_without_messages_keeps_its_place_for_a_while():
    memory = Memory(in_use=())
    epoch, offset = publish(memory, [1], Keep(10, 60))
    memory.calendar.look(60 + FORGET - 1)
    assert memory.read(b"t", ALL, 60 + FORGET - 1) == (epoch, offset, [])
    memory.calendar.look(60 + FORGET)
    assert memory.read(b"t", ALL, 60 + FORGET).epoch != epoch


def test_a_topic_that_is_in_use_keeps_its_place():
    memory = Memory(in_use={b"t"})
    epoch, offset = publish(memory, [1], Keep(10, 60))
    for now in range(0, 100_000, 1000):
        memory.calendar.look(float(now))
    assert memory.read(b"t", ALL, 100_000.0) == (epoch, offset, [])


def test_a_place_that_was_only_asked_for_is_forgotten_early():
    memory = Memory(in_use=())
    past = memory.read(b"t", Keep(10, 60), 0.0)
    assert memory.read(b"t", Keep(10, 60), 59.0) == past
    memory.calendar.look(60.0)
    assert memory.read(b"t", Keep(10, 60), 60.0).epoch != past.epoch


def test_nothing_is_left_in_the_end():
    memory = Memory(in_use=())
    for each in range(1, 100):
        publish(memory, [each], Keep(10, each), float(each), b"%d" % each)
        memory.write_note(b"%d" % each, "a", b"x", each + 10.0)
    memory.write_note(b"1", "a", b"", 0.0)
    for now in range(0, 10_000, 100):
        memory.calendar.look(float(now))
    assert not memory._topics
    assert not memory._notes
    assert not memory._numbers
    assert len(memory.calendar._entries) == 1   # the look for notes
    assert memory.read_notes(b"5", 0.0) == {}


def test_numbers_count_for_each_origin_and_are_forgotten_late():
    memory = Memory(in_use=())
    keep = Keep(10, 60)
    assert memory.keep(b"t", b"x", keep, "a", 7, 0.0)
    assert memory.keep(b"u", b"x", keep, "a", 7, 0.0) is None
    assert memory.keep(b"t", b"x", keep, "a", 6, 0.0) is None
    assert memory.keep(b"t", b"x", keep, "b", 1, 0.0)
    memory.calendar.look(FORGET - 1)
    assert memory.keep(b"t", b"x", keep, "a", 7, FORGET - 1) is None
    assert memory.keep(b"t", b"x", keep, "a", 8, FORGET - 1)
    memory.calendar.look(FORGET + 1)
    assert memory.keep(b"t", b"x", keep, "a", 8, FORGET + 1) is None


def test_notes_end_when_they_are_to():
    memory = Memory(in_use=())
    memory.write_note(b"t", "a", b"of a", 10.0)
    memory.write_note(b"t", "b", b"of b", 20.0)
    assert memory.read_notes(b"t", 9.0) == {"a": b"of a", "b": b"of b"}
    assert memory.read_notes(b"t", 11.0) == {"b": b"of b"}
    memory.write_note(b"t", "b", b"longer", 30.0)
    memory.calendar.look(25.0)
    assert memory.read_notes(b"t", 25.0) == {"b": b"longer"}
    memory.write_note(b"t", "b", b"", 0.0)
    assert memory.read_notes(b"t", 25.0) == {}


def test_a_process_that_comes_back_soon_keeps_what_it_writes_again():
    memory = Memory(in_use=())
    memory.write_note(b"t", "a", b"x", 100.0)
    memory.write_note(b"u", "a", b"x", 100.0)
    memory.forget_notes("a", 10.0)
    assert memory.read_notes(b"t", 10.0) == {"a": b"x"}
    memory.write_note(b"t", "a", b"again", 100.0)
    assert memory.read_notes(b"t", 10.0 + GRACE) == {"a": b"again"}
    assert memory.read_notes(b"u", 10.0 + GRACE) == {}
