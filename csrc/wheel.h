/* A timing wheel: thousands of deadlines, each set, moved and dropped in constant time.
 *
 * Time is counted in ticks of the caller's choice. A timer is zeroed memory of the caller's that says who
 * it belongs to; it must stay put while it is set.
 * hw_wheel_set arms a timer for a tick later than the last `now`, moving it if it was armed already.
 * hw_wheel_next tells the first tick from `now` on at which hw_wheel_expired may have something: at or
 * before the earliest deadline, and after `now`. It is UINT64_MAX while nothing is armed.
 * hw_wheel_expired disarms and returns one timer whose tick is `now` or earlier, or NULL when there are no
 * more; call it with a `now` that never goes back, and until NULL.
 */
#ifndef HYPERWS_WHEEL_H
#define HYPERWS_WHEEL_H

#include <stddef.h>
#include <stdint.h>

#define HW_WHEEL_SLOTS 2048 /* a power of two */

struct hw_timer {
    struct hw_timer *next, **link; /* link: what points at this timer, NULL while not armed */
    uint64_t tick;
    void *owner;
};

struct hw_wheel {
    struct hw_timer *slots[HW_WHEEL_SLOTS];
    struct hw_timer *due; /* taken from their slot, to be handed out */
    uint64_t done; /* every slot up to this tick has been emptied of what was due */
    size_t count;
};

void hw_wheel_set(struct hw_wheel *wheel, struct hw_timer *timer, uint64_t tick);
void hw_wheel_drop(struct hw_wheel *wheel, struct hw_timer *timer);
uint64_t hw_wheel_next(const struct hw_wheel *wheel, uint64_t now);
struct hw_timer *hw_wheel_expired(struct hw_wheel *wheel, uint64_t now);

#endif
