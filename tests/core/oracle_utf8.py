"""What UTF-8 may be, by Python's own decoder."""

from __future__ import annotations

# One of these completes whatever character is cut at the end of a text: the first continuation byte is
# narrowed by some lead bytes (RFC 3629, section 4).
ENDINGS = [b"", *(bytes([first]) + b"\x80" * more for first in (0x80, 0x90, 0xA0) for more in range(3))]


def is_text(data):
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def may_become_text(data):
    """Whether `data` is UTF-8, or would be with more bytes."""
    return any(is_text(data + ending) for ending in ENDINGS)
