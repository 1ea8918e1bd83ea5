-- What the scripts about one room share. Each is atomic; none touches a key of another slot.
--
-- KEYS: 1 the room (hash), 2 what is due (sorted set), 3 the partition's counters (hash), 4 who has a seat (sorted set)
-- ARGV: 1 this agent, 2 how long it may speak in ms, 3 the room's name, then the script's own
--
-- The room's hash: v version, t the write that made it, s the room as JSON, d when it is due, w who speaks,
-- u until when it may, o<version> what that version has to say.
-- Lua prints large numbers as 1.79e+12: what becomes text goes through `int`.

local room, due, counters, seats = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local me, hold, name = ARGV[1], tonumber(ARGV[2]), ARGV[3]

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function int(number)
  return string.format('%.0f', number)
end

-- No rev is below the time at which the store was first asked: what it has told before it lost everything was before
-- that, whatever becomes of the clock.
local floor = redis.call('HGET', counters, 'floor')
if not floor then
  floor = int(now)
  redis.call('HSET', counters, 'floor', floor, 'began', floor)
end

-- How things stand. What is in the outbox is the caller's to say if nobody else is at it.
local function look(status)
  local field, outbox = {}, {}
  local all = redis.call('HGETALL', room)
  for i = 1, #all, 2 do
    local version = all[i]:match('^o(%d+)$')
    if version then outbox[#outbox + 1] = { tonumber(version), all[i + 1] } else field[all[i]] = all[i + 1] end
  end
  table.sort(outbox, function(a, b) return a[1] < b[1] end)
  local answer = { status, int(now), floor, field.v or '0', field.t or '', field.s or '' }
  if not field.v then return answer end
  if #outbox == 0 and not field.s then
    redis.call('DEL', room)
    redis.call('ZREM', due, name)
    return answer
  end
  local till = tonumber(field.u or '0')
  -- Who may speak for longer than anybody may began before the clock was set back.
  if #outbox > 0 and (not field.w or field.w == me or till <= now or till > now + hold) then
    field.u = int(now + hold)
    redis.call('HSET', room, 'w', me, 'u', field.u)
    for _, entry in ipairs(outbox) do
      answer[#answer + 1] = int(entry[1])
      answer[#answer + 1] = entry[2]
    end
  end
  local at = tonumber(field.d)
  if #outbox > 0 and (not at or tonumber(field.u) < at) then at = tonumber(field.u) end
  if at then redis.call('ZADD', due, int(at), name) else redis.call('ZREM', due, name) end
  return answer
end
