#include "wheel.h"

static struct hw_timer **slot_of(const struct hw_wheel *wheel, uint64_t tick) {
    return (struct hw_timer **)&wheel->slots[tick & (HW_WHEEL_SLOTS - 1)];
}

static void put(struct hw_timer **list, struct hw_timer *timer) {
    timer->next = *list;
    timer->link = list;
    if (timer->next) {
        timer->next->link = &timer->next;
    }
    *list = timer;
}

static void take(struct hw_timer *timer) {
    *timer->link = timer->next;
    if (timer->next) {
        timer->next->link = timer->link;
    }
}

void hw_wheel_drop(struct hw_wheel *wheel, struct hw_timer *timer) {
    if (!timer->link) {
        return;
    }
    take(timer);
    timer->next = NULL;
    timer->link = NULL;
    wheel->count--;
}

void hw_wheel_set(struct hw_wheel *wheel, struct hw_timer *timer, uint64_t tick) {
    hw_wheel_drop(wheel, timer);
    if (tick <= wheel->done) {
        tick = wheel->done + 1; /* a slot that was passed already would be seen a whole turn later */
    }
    timer->tick = tick;
    put(slot_of(wheel, tick), timer);
    wheel->count++;
}

uint64_t hw_wheel_next(const struct hw_wheel *wheel, uint64_t now) {
    if (!wheel->count) {
        return UINT64_MAX;
    }
    if (wheel->due) {
        return now + 1;
    }
    for (uint64_t tick = now + 1; tick < now + HW_WHEEL_SLOTS; tick++) {
        if (*slot_of(wheel, tick)) {
            return tick;
        }
    }
    return now + HW_WHEEL_SLOTS;
}

/* Move what is due by `now` from a slot to `wheel->due`, so that the rest is passed over once, not for each. */
static void gather(struct hw_wheel *wheel, struct hw_timer **slot, uint64_t now) {
    for (struct hw_timer *timer = *slot, *next; timer; timer = next) {
        next = timer->next;
        if (timer->tick <= now) {
            take(timer);
            put(&wheel->due, timer);
        }
    }
}

struct hw_timer *hw_wheel_expired(struct hw_wheel *wheel, uint64_t now) {
    if (now > wheel->done + HW_WHEEL_SLOTS) {
        wheel->done = now - HW_WHEEL_SLOTS; /* one turn visits every slot */
    }
    while (!wheel->due && wheel->done < now) {
        wheel->done++;
        gather(wheel, slot_of(wheel, wheel->done), now);
    }
    struct hw_timer *timer = wheel->due;
    if (timer) {
        hw_wheel_drop(wheel, timer);
    }
    return timer;
}
