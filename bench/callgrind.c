/* What a program that runs under callgrind may ask of it, as functions for Python's ctypes. */
#include <valgrind/callgrind.h>

void start(void) { CALLGRIND_START_INSTRUMENTATION; }

void zero(void) { CALLGRIND_ZERO_STATS; }

void dump(const char *name) { CALLGRIND_DUMP_STATS_AT(name); }
