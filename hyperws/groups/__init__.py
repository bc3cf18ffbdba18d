"""Groups that span processes and machines.

Each module may import those above it:

    backplane     what carries messages between processes, and how to write another one
    connecting    the backplane that a URL names
    resp, redis_scripts    the protocol of Redis, and what it runs in one step
    redis, nats, bus    the backplanes there are
"""
