"""Groups that span processes and machines.

Each module may import those above it:

    backplane     what carries messages between processes, and how to write another one
    connecting    the backplane that a URL names
    redis_scripts    what Redis runs in one step
    nats_client, nats_streams, nats_subscription    a connection to NATS, and what there is of a topic
    redis, nats, bus    the backplanes there are

What a server does with one, or without:

    envelope      what processes tell each other, as bytes
    history       what is kept of a topic
    uplink        stays connected to the backplane
    presence      who is in a topic
    relay         between the topics of a server and all of these
    threads       publishing from other threads

Between the processes of one machine stands a hub:

    hub_address   where it is
    hub_messages  what it and its links say to each other
    hub_memory    what it remembers
    hub           the process
    between_workers    which of all this the workers of one server have
"""
