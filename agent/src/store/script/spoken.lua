-- ARGV: 4 the version up to which everything has been said

if redis.call('HGET', room, 'w') ~= me then return { 0 } end
local upto = tonumber(ARGV[4])
for _, key in ipairs(redis.call('HKEYS', room)) do
  local version = key:match('^o(%d+)$')
  if version and tonumber(version) <= upto then redis.call('HDEL', room, key) end
end
redis.call('HDEL', room, 'w', 'u')
return look(1)
