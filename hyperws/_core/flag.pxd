"""A bint in one byte, for what there are many of. Python sees it as a number."""

from libc.stdint cimport uint8_t

ctypedef uint8_t flag
