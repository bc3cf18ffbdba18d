"""The timing wheel against a dict of deadlines."""

from __future__ import annotations

import ctypes
import time

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from .c_library import build
from .pieces import examples

SLOTS = 2048
NEVER = 2**64 - 1
TIMERS = 12


class Timer(ctypes.Structure):
    _fields_ = (
        ("next", ctypes.c_void_p), ("link", ctypes.c_void_p), ("tick", ctypes.c_uint64),
        ("owner", ctypes.c_void_p),
    )


class Wheel(ctypes.Structure):
    _fields_ = (
        ("slots", ctypes.c_void_p * SLOTS), ("due", ctypes.c_void_p), ("done", ctypes.c_uint64),
        ("count", ctypes.c_size_t),
    )


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    library = build(
        tmp_path_factory.mktemp("wheel"), "wheel",
        "size_t sizes[] = {sizeof(struct hw_timer), sizeof(struct hw_wheel), HW_WHEEL_SLOTS};",
    )
    sizes = (ctypes.c_size_t * 3).in_dll(library, "sizes")
    assert list(sizes) == [ctypes.sizeof(Timer), ctypes.sizeof(Wheel), SLOTS]
    wheel, timer, tick = ctypes.POINTER(Wheel), ctypes.POINTER(Timer), ctypes.c_uint64
    library.hw_wheel_set.argtypes = (wheel, timer, tick)
    library.hw_wheel_drop.argtypes = (wheel, timer)
    library.hw_wheel_next.argtypes = library.hw_wheel_expired.argtypes = (wheel, tick)
    library.hw_wheel_next.restype = tick
    library.hw_wheel_expired.restype = timer
    return library


class Clock:
    """A wheel with timers, and beside it the deadlines as they ought to be."""

    def __init__(self, library, now=0):
        self.library = library
        self.wheel = Wheel()
        self.timers = [Timer(owner=i) for i in range(TIMERS)]
        self.due = {}
        self.now = 0
        self.advance(now)

    def set(self, number, tick):
        self.library.hw_wheel_set(self.wheel, self.timers[number], tick)
        self.due[number] = tick

    def drop(self, number):
        self.library.hw_wheel_drop(self.wheel, self.timers[number])
        self.due.pop(number, None)

    def expired(self):
        """One timer that is due, or None."""
        timer = self.library.hw_wheel_expired(self.wheel, self.now)
        if not timer:
            return None
        number = timer.contents.owner or 0
        assert self.due.pop(number) <= self.now
        return number

    def advance(self, now):
        """Let all expire that is due at `now`, each once and nothing else."""
        self.now = now
        found = []
        while (number := self.expired()) is not None:
            found.append(number)
        self.check()
        assert not [number for number, tick in self.due.items() if tick <= now]
        return sorted(found)

    def check(self):
        following = self.library.hw_wheel_next(self.wheel, self.now)
        assert self.wheel.count == len(self.due)
        assert self.now < following <= min(self.due.values(), default=NEVER)
        assert (following == NEVER) == (not self.due)
        if self.due and min(self.due.values()) < self.now + SLOTS:
            # ticks a whole turn later stand in the same slots, so it may be early, but never idle
            assert following in {self.now + (tick - self.now) % SLOTS for tick in self.due.values()}


@pytest.fixture
def clock(library):
    return Clock(library)


def test_expires_at_its_tick_and_not_before(clock):
    for tick in (1, 2, SLOTS - 1, SLOTS, SLOTS + 1, 5 * SLOTS, 5 * SLOTS + 3):
        clock.set(3, tick)
        assert clock.advance(tick - 1) == []
        assert clock.advance(tick) == [3]


def test_several_in_one_slot(clock):
    for number in range(4):
        clock.set(number, 7 + number * SLOTS)
    clock.set(4, 7)
    assert clock.advance(7) == [0, 4]
    assert clock.advance(7 + 3 * SLOTS) == [1, 2, 3]


def test_moved_and_dropped(clock):
    for number in range(5):
        clock.set(number, 10)
    clock.set(0, 20)
    clock.set(4, 5)
    clock.drop(2)
    clock.drop(2)
    assert clock.advance(10) == [1, 3, 4]
    assert clock.advance(20) == [0]


def test_a_clock_that_stood_still_for_long(clock):
    clock.set(0, 5)
    clock.set(1, SLOTS * 3)
    clock.set(2, SLOTS * 1000)
    assert clock.advance(SLOTS * 999) == [0, 1]
    assert clock.advance(SLOTS * 1000) == [2]


def test_set_again_while_others_expire(clock):
    """A timer that is armed anew by what it called is not called again for the same time."""
    for number in range(3):
        clock.set(number, 5)
    clock.now = 100
    seen = []
    while (number := clock.expired()) is not None:
        seen.append(number)
        clock.set(number, 100 + SLOTS * number + 1)
    assert sorted(seen) == [0, 1, 2]
    assert clock.advance(101) == [0]
    assert clock.advance(101 + 2 * SLOTS) == [1, 2]


def test_dropped_while_others_expire(clock):
    for number in range(3):
        clock.set(number, 5)
    clock.now = 5
    first = clock.expired()
    for number in {0, 1, 2} - {first}:
        clock.drop(number)
    assert clock.expired() is None


def test_a_deadline_that_has_passed_comes_next(clock):
    """Not a whole turn later, when its slot is passed again."""
    clock.advance(50)
    clock.set(0, 50)
    clock.due[0] = 51
    assert clock.advance(51) == [0]


def test_anything(library):
    turns = st.sampled_from([SLOTS - 1, SLOTS, SLOTS + 1])
    delays = st.one_of(st.integers(1, 5), st.integers(1, 3 * SLOTS), turns)
    numbers = st.integers(0, TIMERS - 1)

    class Machine(RuleBasedStateMachine):
        @initialize(now=st.sampled_from([0, 1, SLOTS - 1, 10**12]))
        def start(self, now):
            self.clock = Clock(library, now)

        @rule(number=numbers, delay=delays)
        def set(self, number, delay):
            self.clock.set(number, self.clock.now + delay)
            self.clock.check()

        @rule(number=numbers)
        def drop(self, number):
            self.clock.drop(number)
            self.clock.check()

        @rule(delay=st.one_of(st.integers(0, 3), delays))
        def advance(self, delay):
            self.clock.advance(self.clock.now + delay)

        @rule(delay=delays, numbers=st.lists(numbers, max_size=3))
        def set_while_expiring(self, delay, numbers):
            self.clock.now += delay
            if self.clock.expired() is not None:
                for number in numbers:
                    self.clock.set(number, self.clock.now + delay)
            self.clock.advance(self.clock.now)

    run_state_machine_as_test(Machine, settings=examples(150))


def test_what_is_due_later_is_passed_over_once(library):
    """Many timers of one slot, half of them a turn later: the work is theirs, not their square."""

    def cost(count):
        wheel = Wheel()
        timers = (Timer * (2 * count))()
        for at, timer in enumerate(timers):
            library.hw_wheel_set(wheel, timer, 100 + (SLOTS if at >= count else 0))
        found = 0
        started = time.process_time_ns()
        while library.hw_wheel_expired(wheel, 100):
            found += 1
        assert found == wheel.count == count
        return time.process_time_ns() - started

    few, many = (min(cost(count) for _ in range(3)) for count in (3_000, 30_000))
    assert many / few < 30      # it is CPU time, ten times as much of it; with the square a hundred times
