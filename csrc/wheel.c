#include "wheel.h"

static struct hw_timer **slot_of(const struct hw_wheel *wheel, uint64_t tick) {
    return (struct hw_timer **)&wheel->slots[tick & (HW_WHEEL_SLOTS - 1)];
}

void hw_wheel_drop(struct hw_wheel *wheel, struct hw_timer *timer) {
    if (!timer->link) {
        return;
    }
    *timer->link = timer->next;
    if (timer->next) {
        timer->next->link = timer->link;
    }
    timer->next = NULL;
    timer->link = NULL;
    wheel->count--;
}

void hw_wheel_set(struct hw_wheel *wheel, struct hw_timer *timer, uint64_t tick) {
    hw_wheel_drop(wheel, timer);
    if (tick <= wheel->done) {
        tick = wheel->done + 1; /* a slot that was passed already would be seen a whole turn later */
    }
    struct hw_timer **slot = slot_of(wheel, tick);
    timer->tick = tick;
    timer->next = *slot;
    timer->link = slot;
    if (timer->next) {
        timer->next->link = &timer->next;
    }
    *slot = timer;
    wheel->count++;
}

uint64_t hw_wheel_next(const struct hw_wheel *wheel, uint64_t now) {
    if (!wheel->count) {
        return UINT64_MAX;
    }
    for (uint64_t tick = now + 1; tick < now + HW_WHEEL_SLOTS; tick++) {
        if (*slot_of(wheel, tick)) {
            return tick;
        }
    }
    return now + HW_WHEEL_SLOTS;
}

struct hw_timer *hw_wheel_expired(struct hw_wheel *wheel, uint64_t now) {
    if (now > wheel->done + HW_WHEEL_SLOTS) {
        wheel->done = now - HW_WHEEL_SLOTS; /* one turn visits every slot */
    }
    for (; wheel->done < now; wheel->done++) {
        for (struct hw_timer *timer = *slot_of(wheel, wheel->done + 1); timer; timer = timer->next) {
            if (timer->tick <= now) {
                hw_wheel_drop(wheel, timer);
                return timer;
            }
        }
    }
    return NULL;
}
