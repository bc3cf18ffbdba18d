"""What Redis runs in one step, in Lua. All keys of one call belong to one topic.

What is kept of a topic is in a stream whose identifiers are `milliseconds-offset`. Beside it is a hash with
the epoch, the last offset and its milliseconds, and `since`, the age of Redis in which the epoch was made.

An age begins when Redis may have forgotten something and does not know it, because it was restored from a
snapshot or promoted from a replica. What it still has of earlier ages is thrown away, as their offsets may
be those of other messages elsewhere.
"""

from __future__ import annotations

from hashlib import sha1


class Script:
    """A script and the name by which Redis finds it."""

    def __init__(self, *parts: str) -> None:
        self.source = "\n".join(parts).encode()
        self.name = sha1(self.source, usedforsecurity=False).hexdigest().encode()


NOW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

# a key lasts for so many milliseconds from now, or up to a minute longer
LAST = """
local function last(key, milliseconds)
    if redis.call('PTTL', key) < milliseconds then
        redis.call('PEXPIRE', key, milliseconds + 60000)
    end
end
"""

# KEYS: a hash
# ARGV: what Redis calls its present run, and 1 if it has not forgotten anything since the one before
# Returns when the present age began.
BEGIN = Script(NOW, """
local state = redis.call('HMGET', KEYS[1], 'run', 'since')
local since = tonumber(state[2] or 0)
if state[1] and state[1] ~= ARGV[1] and ARGV[2] ~= '1' then
    since = math.max(now, since + 1)
end
redis.call('HSET', KEYS[1], 'run', ARGV[1], 'since', string.format('%.0f', since))
return since
""")

# its arguments: the name of an epoch to come (without the time), and when the present age began
EPOCH = """
local state = redis.call('HMGET', KEYS[1], 'since', 'epoch', 'offset', 'time')
local epoch, offset = state[2], tonumber(state[3] or 0)
if not epoch or tonumber(state[1]) < tonumber(ARGV[2]) then
    epoch, offset = string.format('%s%.0f', ARGV[1], now), 0
    redis.call('DEL', KEYS[2])
    redis.call('HSET', KEYS[1], 'since', ARGV[2], 'epoch', epoch, 'offset', 0)
end
"""

# KEYS: the hash, the stream, the last number of the origin
# ARGV: epoch, age, messages, milliseconds they are kept, milliseconds the hash lasts, channel,
#       number, the number before it that must have been seen, data
# The numbers of an origin grow, so that what is not greater than the last one has been kept before.
KEEP = Script("""
local seen, number = tonumber(redis.call('GET', KEYS[3]) or 0), tonumber(ARGV[7])
if number <= seen then
    return 0
elseif tonumber(ARGV[8]) > seen then
    return redis.error_reply('ERR the message before this one was not taken')
end
""", NOW, LAST, EPOCH, """
offset = string.format('%.0f', offset + 1)
local at = string.format('%.0f', math.max(now, tonumber(state[4] or 0)))
redis.call('HSET', KEYS[1], 'offset', offset, 'time', at)
redis.call('SET', KEYS[3], ARGV[7], 'EX', 3600)
redis.call('XADD', KEYS[2], 'MAXLEN', '=', ARGV[3], at .. '-' .. offset, '', ARGV[9])
redis.call('XTRIM', KEYS[2], 'MINID', '=', string.format('%.0f', math.max(0, now - ARGV[4])))
redis.call('PEXPIRE', KEYS[2], ARGV[4])
last(KEYS[1], tonumber(ARGV[5]))
redis.call('PUBLISH', ARGV[6], epoch .. ' ' .. offset .. '\\n' .. ARGV[9])
return 1
""")

# KEYS: the hash, the stream
# ARGV: epoch, age, messages, milliseconds they are kept, milliseconds the hash lasts
# Returns the epoch, the last offset, the time, and what is kept, the latest first.
READ = Script(NOW, LAST, EPOCH, """
last(KEYS[1], tonumber(ARGV[5]))
local since = string.format('%.0f', math.max(0, now - ARGV[4]))
return {epoch, offset, now, redis.call('XREVRANGE', KEYS[2], '+', since, 'COUNT', ARGV[3])}
""")

# Notes are in a hash, each behind its version, and in a sorted set by the time until they are there.
FORGET = """
for _, origin in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now)) do
    redis.call('HDEL', KEYS[1], origin)
    redis.call('ZREM', KEYS[2], origin)
end
"""

# ARGV: origin, version, note, milliseconds. An empty note stays too, or an older one could still come late.
WRITE_NOTE = Script(NOW, LAST, FORGET, """
local held = redis.call('HGET', KEYS[1], ARGV[1])
if held and tonumber(string.match(held, '^%d+')) > tonumber(ARGV[2]) then
    return 0
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. ARGV[3])
redis.call('ZADD', KEYS[2], string.format('%.0f', now + ARGV[4]), ARGV[1])
last(KEYS[1], tonumber(ARGV[4]))
last(KEYS[2], tonumber(ARGV[4]))
return 1
""")

# Returns origins and notes in turn.
READ_NOTES = Script(NOW, FORGET, "return redis.call('HGETALL', KEYS[1])")

SCRIPTS = [BEGIN, KEEP, READ, WRITE_NOTE, READ_NOTES]
