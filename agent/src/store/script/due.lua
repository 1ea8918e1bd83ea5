-- KEYS: 1 what is due (sorted set), 2 the partition's counters (hash)
-- ARGV: 1 most rooms to give, 2 for how long nobody else is told of them in ms, 3 how far back a clock was set, in ms

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function int(number)
  return string.format('%.0f', number)
end

if redis.call('HEXISTS', KEYS[2], 'floor') == 0 then redis.call('HSET', KEYS[2], 'floor', int(now), 'began', int(now)) end
local latest = tonumber(redis.call('HGET', KEYS[2], 'latest') or '0')
if now + tonumber(ARGV[3]) < latest then
  for _, name in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do redis.call('ZADD', KEYS[1], int(now), name) end
end
redis.call('HSET', KEYS[2], 'latest', int(now))
local rooms = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', int(now), 'LIMIT', 0, ARGV[1])
for _, name in ipairs(rooms) do redis.call('ZADD', KEYS[1], int(now + tonumber(ARGV[2])), name) end
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
local wait = first[2] and int(math.max(0, tonumber(first[2]) - now)) or ''
local answer = { redis.call('HGET', KEYS[2], 'began'), wait }
for _, name in ipairs(rooms) do answer[#answer + 1] = name end
return answer
