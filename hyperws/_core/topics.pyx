from collections import deque

from hyperws.errors import UsageError

cimport cython
from cpython.pythread cimport PyThread_get_thread_ident
from cpython.unicode cimport PyUnicode_FromObject

from hyperws._core.waiter cimport SharedOperation, Waiters, enable_send

cdef dict POLICIES = {"close": CLOSE, "drop": DROP, "latest": LATEST}


cdef class Writer:
    """Makes of a message what one kind of subscriber takes."""

    cdef object write_shared(self, object message, object compress, object id):
        """What a subscriber is to take for a checked message; None where this kind can't have it.

        `id` is a str by which it can ask for what comes after, or None.
        """
        raise NotImplementedError

    cdef bint is_shared(self):
        """Whether what it writes does not depend on what it wrote before."""
        return True

    cdef bytes join(self, bytes left, bytes right):
        """Both as one: the same object for all subscribers that have been given the same before.
        None for the others."""
        if right is not self.right:
            if not self.is_shared():
                return None
            self.left, self.right, self.joined = left, right, left + right
        return self.joined if left is self.left else None


cdef class Subscriber:
    cdef bint take(self, object written) except -1:
        """Take what the writer has made. Returns whether that was possible."""
        raise NotImplementedError

    cdef bint is_behind(self, Policy policy):
        """Whether it has not taken so much of what it was given that the policy is to act."""
        return False

    cdef int release(self) except -1:
        """It keeps up again: give it what was held back."""
        cdef Subscription subscription
        if self.held is not None:
            held, self.held = self.held, None
            for subscription, (message, compress, id) in held.items():
                if subscription.subscriber is not self:
                    continue
                if subscription.policy == LATEST and self.is_behind(LATEST):
                    subscription.keep_back(message, compress, id)       # it took some, and takes no more
                else:
                    written = self.writer.write_shared(message, compress, id)
                    if written is not None:
                        self.take(written)
        return 0

    cdef int leave_all(self) except -1:
        if self.hub is not None:
            self.held = None
            for topic in list(self.topics):
                self.hub.leave(self, topic)
            self.hub = None
            self.topics = None
        return 0


cdef class Subscription(SharedOperation):
    """One subscriber's part in a topic. Awaiting it waits for what came before it, where that is asked for,
    and gives the subscription itself.

    `recovered` tells whether all that came after `since` was delivered: None where none was given, and False
    from the moment on in which messages may have been lost. `epoch` and `offset` are where it began, "" and 0
    for a topic that has no history. `dropped` counts the messages that it did not get for being too slow.
    """

    cdef object step(self):
        if not self.waiting and not self.unconfirmed:
            self.finished = True
            return self
        return self.wait(self.waiters or Waiters(self.subscriber.hub.loop))

    cdef int keep_back(self, object message, object compress, object id) except -1:
        """Deal with a message that is too much for now."""
        if self.policy == DROP:
            self.dropped += 1
            return 0
        message = unchanging(message)
        held = self.subscriber.held
        if held is None:
            held = self.subscriber.held = {}
        elif held.pop(self, None) is not None:
            self.dropped += 1
        held[self] = message, compress, id      # behind those of other topics, which are older now
        return 0

    def wait_for_past(self):
        """Hold back what is published until `settle`."""
        self.waiting = True

    def settle(self, past=(), recovered=None, epoch="", offset=0):
        """Give it what was published before, as (message, id), and from now on what will be."""
        for message, id in past:
            if self.subscriber is None:     # all of it was too much
                recovered = False
                break
            written = self.subscriber.writer.write_shared(message, None, id)
            if written is not None:
                self.subscriber.take(written)
        self.recovered = recovered
        self.epoch = epoch
        self.offset = offset
        self.waiting = False
        if self.waiters is not None:
            self.waiters.wake()

    def wait_for_broker(self):
        """Whoever awaits it has to wait until `confirm`; what is published here is delivered meanwhile."""
        self.unconfirmed = True

    def confirm(self):
        self.unconfirmed = False
        if self.waiters is not None:
            self.waiters.wake()

    @property
    def is_waiting(self):
        return self.waiting

    @property
    def active(self):
        """Whether the subscriber is still there."""
        return self.subscriber is not None


enable_send(Subscription)


@cython.final
cdef class Topics:
    """Who subscribes to what.

    `relay` is what spans processes and keeps the past, or None. Where topics are `relayed`, it is asked to
    publish, and told of those that come in use and go out of use.
    """

    def __cinit__(self):
        self.members = {}
        self.listed = {}
        self.later = deque()

    def attach(self, loop, hand_over):
        """Everything happens in this thread's event loop from now on; `hand_over` takes what is published in
        other threads, and returns how many are to get it."""
        self.loop = loop
        self.hand_over = hand_over
        self.thread = PyThread_get_thread_ident()

    cdef Subscription join(self, Subscriber subscriber, str topic, Policy policy):
        cdef Subscription subscription
        if subscriber.hub is None:
            subscriber.hub = self
            subscriber.topics = {}
        subscription = subscriber.topics.get(topic)
        if subscription is not None:
            subscription.policy = policy
            return subscription
        subscription = Subscription.__new__(Subscription)
        subscription.subscriber = subscriber
        subscription.topic = topic
        subscription.policy = policy
        subscription.epoch = ""
        subscriber.topics[topic] = subscription
        members = self.members.get(topic)
        if members is None:
            members = self.members[topic] = {}
        members[subscriber] = subscription
        self.listed.pop(topic, None)
        if len(members) == 1 and self.relayed:
            self.relay.opened(topic)
        return subscription

    cdef int leave(self, Subscriber subscriber, str topic) except -1:
        cdef Subscription subscription
        if subscriber.topics is None or topic not in subscriber.topics:
            return 0
        subscription = subscriber.topics.pop(topic)
        subscription.subscriber = None
        if subscriber.held is not None:
            subscriber.held.pop(subscription, None)
        members = self.members[topic]
        del members[subscriber]
        self.listed.pop(topic, None)
        if not members:
            del self.members[topic]     # an empty topic costs nothing
        if subscription.waiting:
            subscription.settle(recovered=False)
        if subscription.unconfirmed:
            subscription.confirm()
        if subscription.member is not None and self.relay is not None:
            self.relay.left(subscription)
        if topic not in self.members and self.relayed:      # nor has anybody come meanwhile
            self.relay.closed(topic)
        return 0

    def leave_everyone(self):
        """Nobody subscribes to anything any more."""
        cdef Subscriber subscriber
        for members in list(self.members.values()):
            for subscriber in list(members):
                subscriber.leave_all()

    cdef Py_ssize_t publish(
        self, str topic, object message, Subscriber exclude, object compress, bint local
    ) except -1:
        """Give a checked message to every subscriber but `exclude`, to those here alone where it is `local`.
        Returns how many took it here."""
        if self.thread != PyThread_get_thread_ident() and self.hand_over is not None:
            return self.hand_over(topic, message, exclude, compress, local)
        return self.publish_here(topic, message, exclude, compress, local)

    cpdef Py_ssize_t publish_here(
        self, str topic, object message, Subscriber exclude, object compress, bint local
    ) except -1:
        """The same, in the thread of the event loop."""
        if self.relayed and not local:
            return self.relay.publish(topic, message, exclude, compress)
        return self.deliver(topic, message, exclude, compress)

    cpdef Py_ssize_t deliver(
        self, str topic, object message, Subscriber exclude=None, object compress=None, object id=None
    ) except -1:
        """Give a checked message to the subscribers here but `exclude`. Returns how many took it.

        What is published meanwhile, by a hook that is told of one who is given up, has its turn afterwards.
        """
        if self.delivering:
            self.later.append((topic, unchanging(message), exclude, compress, id))
            return self.count(topic, exclude)
        self.delivering = True
        try:
            reached = self.give_out(topic, message, exclude, compress, id)
            while self.later:
                topic, message, exclude, compress, id = self.later.popleft()
                self.give_out(topic, message, exclude, compress, id)
        finally:
            self.delivering = False
        return reached

    cdef Py_ssize_t give_out(
        self, str topic, object message, Subscriber exclude, object compress, object id
    ) except -1:
        cdef Subscription subscription
        cdef Subscriber subscriber
        cdef Writer writer, last = None
        cdef Py_ssize_t reached = 0
        cdef dict shared = {}       # by the writer, for those that write the same to all their subscribers
        cdef dict members = self.members.get(topic)
        if members is None:
            return 0
        listed = self.listed.get(topic)     # stays as it is where one that is too slow leaves meanwhile
        if listed is None:
            listed = self.listed[topic] = list(members.values())
        for item in <list> listed:
            subscription = <Subscription> item
            subscriber = subscription.subscriber
            if subscriber is exclude or subscriber is None or subscription.waiting:
                continue
            if subscription.policy != CLOSE and subscriber.is_behind(subscription.policy):
                subscription.keep_back(message, compress, id)
                continue
            writer = subscriber.writer
            if writer is not last:
                last = None
                if writer in shared:
                    written = shared[writer]
                    last = writer
                else:
                    written = writer.write_shared(message, compress, id)
                    if writer.is_shared():
                        shared[writer] = written
                        last = writer
            if written is not None:
                reached += subscriber.take(written)
        return reached

    def subscriptions(self, str topic):
        """Those of a topic here."""
        return list(self.members.get(topic, {}).values())

    def count(self, str topic, Subscriber exclude=None):
        """How many subscribe to a topic here, but for `exclude`."""
        members = self.members.get(topic, ())
        return len(members) - (exclude is not None and exclude in members)

    def in_use(self):
        """The topics that have subscribers here."""
        return list(self.members)


cdef object unchanging(object message):
    """A checked message to be written later."""
    return bytes(message) if type(message) is memoryview else message   # what it views may change


cdef str checked_topic(object topic):
    """A topic as a plain str, whatever class of str it is. Raises UsageError for what is none."""
    if not isinstance(topic, str):
        raise UsageError(f"a topic is a str, not {type(topic).__name__}")
    return PyUnicode_FromObject(topic)


cdef Policy policy_named(object name) except? CLOSE:
    policy = POLICIES.get(name) if isinstance(name, str) else None
    if policy is None:
        raise UsageError(f"a policy is 'close', 'drop' or 'latest', not {name!r}")
    return policy
