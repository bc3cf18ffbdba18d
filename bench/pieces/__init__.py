"""The pieces of each library that `test_pieces.py` compares: one file per library, one maker per piece.

A maker returns the piece, a function that is called over and over:

    mask()          payload, key -> masked payload
    decode()        masked frame -> payload
    encode()        payload -> frame, or its parts in a list
    echo()          masked frame -> frame that answers it, or its parts in a list
    parse_head()    request head -> (target, headers)

Makers run inside an event loop, pieces outside it. Nothing here does input or output.
"""
