"""The pieces of each library that `test_pieces.py` compares: one file per library, one maker per piece.

A maker returns the piece, a function that is called over and over:

    mask()          payload, key -> masked payload
    decode()        masked frame -> payload
    encode()        payload -> frame, or its parts in a list
    echo()          masked frame -> frame that answers it, or its parts in a list
    utf8()          UTF-8 -> the text, or how many of its bytes are valid
    receive()       masked frame -> payload, which a coroutine was waiting for
    publish()       payload -> what was written to each of the subscribers' transports, in lists of its own
    parse_head()    request head -> (target, headers)

`_loop.made` makes a piece and lets it be called, inside an event loop that runs nothing else. Nothing here
does input or output.
"""
