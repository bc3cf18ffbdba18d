"""A task that awaits something of hyperws is suspended on a Waiter, which looks like a future to it.

asyncio's Task takes any object that has `_asyncio_future_blocking`, `add_done_callback`, `result` and
`cancel` for a future. A Waiter has just these, so that the driver can call the task's wake-up itself,
in the task's own context, instead of sending it once more through the event loop.

The task of a handler has a Driven for its coroutine. There the driver lets the coroutine itself go on, and
the task need not know, as long as the coroutine comes to wait on the same Waiter again: `receive()` has one
for all messages.
"""

import sys
from asyncio import CancelledError
from asyncio.tasks import _enter_task as enter_task, _leave_task as leave_task

cimport cython
from cpython.object cimport PyObject, PyTypeObject

cdef extern from "Python.h":
    int PyContext_Enter(object context) except -1
    int PyContext_Exit(object context) except -1
    bint PyCFunction_Check(object) noexcept
    PyObject *PyCFunction_GET_SELF(object) noexcept
    ctypedef PySendResult (*sendfunc)(object, object, PyObject **)
    PySendResult PyIter_Send(object, object, PyObject **) except PYGEN_ERROR
    void Py_INCREF(object)
    void Py_DECREF(object)

cdef extern from *:
    """
    static void hw_set_send(PyTypeObject *type, sendfunc send) {
        type->tp_as_async->am_send = send;
        PyType_Modified(type);
    }
    """
    void hw_set_send(PyTypeObject *type, sendfunc send) noexcept

cdef extern from *:
    """
    static int hw_is_current(PyObject *context) {
        return PyThreadState_Get()->context == context;
    }
    """
    bint hw_is_current(object context) noexcept

cdef bint UNCANCEL_RESCINDS = sys.version_info >= (3, 13)


cdef inline object task_of(callback):
    """The task whose wake-up this is."""
    return <object> PyCFunction_GET_SELF(callback) if PyCFunction_Check(callback) else callback.__self__


cdef inline void forget(Waiter waiter) noexcept:
    """The task was woken, and waits on this no more. Nothing of it is kept: it may hold its connection."""
    waiter.driven = None
    waiter.callback = None
    waiter.context = None


@cython.final
@cython.freelist(64)
cdef class Waiter:
    """One suspension of one task."""

    def __cinit__(self, loop):
        self.loop = loop
        self._asyncio_future_blocking = True

    cdef bint reuse(self) except -1:
        """Be waited on once more, if that is possible.

        While the driver lets a coroutine go on, its task is still on this. Another task can't be then: it was
        started eagerly in the midst of the first, and has a context of its own.
        """
        if self.driven is None or not self.driven.is_running:
            forget(self)
        elif not hw_is_current(self.context):
            return False
        self._asyncio_future_blocking = True
        self.woken = self.cancelled = False
        return True

    cdef int wake(self) except -1:
        """Let the task go on in the loop's next turn: right wherever a task may be running."""
        if not self.woken:
            self.woken = True
            # the task of a coroutine that goes on hears of it once it comes to wait on this
            if self.callback is not None and (self.driven is None or not self.driven.is_running):
                self.loop.call_soon(self.callback, self, context=self.context)
                forget(self)
        return 0

    cdef int wake_in_place(self, object resumed) except -1:
        """Let the task go on now. Only where no task is running: in a driver's own callback.

        `resumed` is a future of the loop that is done: the task takes a real one's result the short way.
        """
        if self.woken or self.callback is None:
            return self.wake()
        callback, context, driven = self.callback, self.context, self.driven
        try:
            PyContext_Enter(context)
        except RuntimeError:    # somebody is inside that context already
            return self.wake()
        self.woken = True
        try:
            if driven is not None:
                driven.go_on(self, resumed)
            else:
                forget(self)
                callback(resumed)
        finally:
            PyContext_Exit(context)
        return 0

    # what a Task asks of a future

    def get_loop(self):
        return self.loop

    def add_done_callback(self, callback, *, context=None):
        if self.woken:
            self.loop.call_soon(callback, self, context=context)
        else:
            self.callback = callback
            self.context = context

    def cancel(self, msg=None):
        if self.driven is not None and self.driven.is_running:
            self.cancel_asked = True
            self.cancel_message = msg
            return True
        if self.woken:
            return False
        self.cancelled = True
        self.cancel_message = msg
        self.wake()
        return True

    def result(self):
        if self.cancelled:
            raise CancelledError() if self.cancel_message is None else CancelledError(self.cancel_message)


@cython.final
cdef class Driven:
    """The coroutine of a handler as its task has it: the driver may let it go on without the task."""

    def __cinit__(self, coroutine):
        self.coroutine = coroutine

    cdef int go_on(self, Waiter waiter, object resumed) except -1:
        """Run the coroutine, which has waited on `waiter`, until it waits again.

        Where that is for something else, or where it has ended, its task is told.
        """
        cdef PyObject *result = NULL
        cdef PySendResult kind
        callback = waiter.callback
        task = task_of(callback)
        enter_task(waiter.loop, task)
        self.is_running = True
        try:
            kind = PyIter_Send(self.coroutine, None, &result)
            self.outcome = <object> result
            Py_DECREF(self.outcome)
            self.kind = YIELDED if kind == PYGEN_NEXT else RETURNED
        except BaseException as error:
            self.outcome = error
            self.kind = RAISED
        finally:
            self.is_running = False
            leave_task(waiter.loop, task)
        cancel_asked, waiter.cancel_asked = waiter.cancel_asked, False
        if cancel_asked and UNCANCEL_RESCINDS and not task.cancelling():
            cancel_asked = False
        asked_again = waiter._asyncio_future_blocking and not waiter.woken
        if self.kind == YIELDED and self.outcome is waiter and asked_again:
            self.kind = NOTHING
            self.outcome = None
            waiter._asyncio_future_blocking = False
            if cancel_asked:
                waiter.cancel(waiter.cancel_message)
            return 0
        forget(waiter)
        if self.kind == RETURNED and cancel_asked:
            waiter.cancelled = True
            callback(waiter)
            return 0
        cancel_asked = cancel_asked and self.kind == YIELDED
        callback(resumed)
        if cancel_asked:
            task.cancel(waiter.cancel_message)
            task.uncancel()     # it was counted already
        return 0

    cdef PySendResult take_outcome(self, PyObject **result) except PYGEN_ERROR:
        """What the task is to be told."""
        kind, outcome, self.kind, self.outcome = self.kind, self.outcome, NOTHING, None
        if kind == RAISED:
            raise outcome
        Py_INCREF(outcome)
        result[0] = <PyObject *> outcome
        return PYGEN_NEXT if kind == YIELDED else PYGEN_RETURN

    cdef int note(self, object awaited) except -1:
        """The task is going to wait on this."""
        if type(awaited) is Waiter:
            (<Waiter> awaited).driven = self
        return 0

    # what a Task asks of a coroutine

    def send(self, value):
        cdef PyObject *result = NULL
        kind = send_driven(self, value, &result)
        returned = <object> result
        Py_DECREF(returned)
        if kind == PYGEN_RETURN:
            raise StopIteration(returned)
        return returned

    def throw(self, kind, value=None, traceback=None):
        error = kind if value is None else value
        if self.kind == RETURNED:       # it was cancelled too late for the coroutine to hear of it
            self.kind = NOTHING
            raise error
        awaited = self.coroutine.throw(error)
        self.note(awaited)
        return awaited

    def close(self):
        self.coroutine.close()

    def __await__(self):
        return self

    def __next__(self):
        return self.send(None)

    def __getattr__(self, name):
        return getattr(self.coroutine, name)


cdef PySendResult send_driven(object driven, object value, PyObject **result) except PYGEN_ERROR:
    cdef Driven self = driven
    cdef PySendResult kind
    if self.kind != NOTHING:
        return self.take_outcome(result)
    kind = PyIter_Send(self.coroutine, value, result)
    if kind == PYGEN_NEXT:
        self.note(<object> result[0])
    return kind


hw_set_send(<PyTypeObject *> Driven, <sendfunc> send_driven)


@cython.final
cdef class Waiters:
    """The tasks that wait for one thing."""

    def __cinit__(self, loop):
        self.loop = loop
        self.waiting = []

    cdef int wake(self) except -1:
        """Let all of them go on; those that are not satisfied come again."""
        cdef Waiter waiter
        waiting, self.waiting = self.waiting, []
        for waiter in waiting:
            waiter.wake()
        return 0


cdef class Operation:
    """An awaitable that is started already and may be awaited, given to a task, or ignored.

    It has what `collections.abc.Coroutine` asks for, so that `asyncio.create_task` takes it.
    """

    cdef object step(self):
        """Set `finished` and return the result, or return the Waiter to wait on before the next step."""
        raise NotImplementedError

    cdef int abandon(self) except -1:
        """Nobody waits any more."""
        return 0

    def __await__(self):
        return self

    def __next__(self):
        return self.send(None)

    def send(self, value):
        result = self.step()
        if self.finished:
            raise StopIteration(result)
        return result

    def throw(self, kind, value=None, traceback=None):
        self.abandon()
        error = kind if isinstance(kind, BaseException) else kind() if value is None else value
        raise error if traceback is None else error.with_traceback(traceback)

    def close(self):
        self.abandon()


cdef class SharedOperation(Operation):
    """An Operation for which several tasks may wait."""

    cdef Waiter wait(self, Waiters waiters):
        self.waiters = waiters
        self.waiter = Waiter(waiters.loop)
        waiters.waiting.append(self.waiter)
        return self.waiter

    cdef int abandon(self) except -1:
        if self.waiters is not None and self.waiter in self.waiters.waiting:
            self.waiters.waiting.remove(self.waiter)
        return 0


cdef PySendResult send_slot(object operation, object value, PyObject **result) except PYGEN_ERROR:
    result[0] = NULL
    returned = (<Operation> operation).step()
    Py_INCREF(returned)
    result[0] = <PyObject *> returned
    return PYGEN_RETURN if (<Operation> operation).finished else PYGEN_NEXT


cdef int enable_send(type operation) except -1:
    """Give an Operation type the slot by which `await` gets a result without a StopIteration.

    Cython has no syntax for it; call this once for every type that overrides `step`.
    """
    hw_set_send(<PyTypeObject *> operation, <sendfunc> send_slot)
    return 0


@cython.final
cdef class Done(Operation):
    """What there is nothing to wait for."""

    cdef object step(self):
        self.finished = True
        return None


enable_send(Done)
DONE = Done()
