-- ARGV: 4 the version that was looked at, 5 the write's name, 6 the room as JSON or '', 7 what is to be said or '',
-- 8 when it is due or '', 9 the first rev of a new room or 0, 10 the least floor, 11 how many have come, then they, then who has gone

local version = redis.call('HGET', room, 'v') or '0'
local first = tonumber(ARGV[9])
if version ~= ARGV[4] or (first > 0 and first < tonumber(floor)) then return look(0) end

if tonumber(ARGV[10]) > tonumber(floor) then
  floor = ARGV[10]
  redis.call('HSET', counters, 'floor', floor)
end
local last = tonumber(redis.call('HGET', counters, 'version') or '0')
local made = int(math.max(last + 1, now * 1000))
redis.call('HSET', counters, 'version', made)
-- A clock that is set back before anybody has asked what is due is noticed by what was written.
if now > tonumber(redis.call('HGET', counters, 'latest') or '0') then redis.call('HSET', counters, 'latest', int(now)) end
redis.call('HSET', room, 'v', made, 't', ARGV[5])
if ARGV[6] ~= '' then redis.call('HSET', room, 's', ARGV[6]) else redis.call('HDEL', room, 's') end
if ARGV[7] ~= '' then redis.call('HSET', room, 'o' .. made, ARGV[7]) end
if ARGV[8] ~= '' then redis.call('HSET', room, 'd', ARGV[8]) else redis.call('HDEL', room, 'd') end
local come = tonumber(ARGV[11])
for i = 12, #ARGV do
  local seat = ARGV[i] .. ' ' .. name
  if i < 12 + come then redis.call('ZADD', seats, 0, seat) else redis.call('ZREM', seats, seat) end
end
return look(1)
