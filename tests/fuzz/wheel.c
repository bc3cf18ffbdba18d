/* The timing wheel against a list of deadlines that is searched each time.
 *
 * Input: up to MOST operations of three bytes: what to do, with which timer, how many ticks from now on.
 */
#include <assert.h>
#include "input.h"
#include "wheel.h"

enum { TIMERS = 16, MOST = 32 };
enum { SET, DROP, ADVANCE, ADVANCE_AND_SET, ASK, OPERATIONS };

static struct hw_wheel wheel;
static struct hw_timer *timers[TIMERS]; /* those that are armed: the memory is freed with that */
static uint64_t due[TIMERS], now;

static void set(size_t number, uint64_t tick) {
    if (!timers[number]) {
        timers[number] = calloc(1, sizeof(struct hw_timer));
        timers[number]->owner = &timers[number];
    }
    hw_wheel_set(&wheel, timers[number], tick);
    due[number] = tick > now ? tick : now + 1; /* what is late comes next */
}

static void forget(size_t number) {
    free(timers[number]);
    timers[number] = NULL;
}

static void drop(size_t number) {
    if (timers[number]) {
        hw_wheel_drop(&wheel, timers[number]);
        assert(!timers[number]->link);
        forget(number);
    }
}

/* Take all that is due; set the timer `again` as the first of it is taken, if that is one. */
static void expire(size_t again, uint64_t tick) {
    struct hw_timer *timer;
    while ((timer = hw_wheel_expired(&wheel, now))) {
        size_t number = (size_t)((struct hw_timer **)timer->owner - timers);
        assert(timers[number] == timer && due[number] <= now && !timer->link);
        forget(number);
        if (again < TIMERS) {
            set(again, tick);
            again = TIMERS;
        }
    }
}

/* hw_wheel_next searches many slots: it is asked now and then. */
static void ask(void) {
    uint64_t earliest = UINT64_MAX, next = hw_wheel_next(&wheel, now);
    for (size_t i = 0; i < TIMERS; i++) {
        if (timers[i]) {
            assert(due[i] > now);
            earliest = due[i] < earliest ? due[i] : earliest;
        }
    }
    assert(earliest == UINT64_MAX ? next == UINT64_MAX : next > now && next <= earliest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    memset(&wheel, 0, sizeof wheel);
    now = 0;
    size = size / 3 < MOST ? size / 3 : MOST;
    for (; size; data += 3, size--) {
        size_t number = data[1] % TIMERS;
        uint64_t delay = data[2];
        if (data[1] & 0x80) {
            delay = delay * HW_WHEEL_SLOTS / 64 + (data[1] >> 4 & 7); /* some turns, more or less */
        } else if (data[1] & 0x40) {
            delay <<= 32;
        }
        switch (data[0] % OPERATIONS) {
        case SET:
            set(number, now + delay);
            break;
        case DROP:
            drop(number);
            break;
        case ADVANCE:
            now += delay;
            expire(TIMERS, 0);
            break;
        case ADVANCE_AND_SET:
            now += delay;
            expire(number, now + 1 + delay);
            break;
        case ASK:
            ask();
            break;
        }
    }
    ask();
    for (size_t i = 0; i < TIMERS; i++) {
        drop(i);
    }
    return 0;
}
