/** The layout of the books in Redis; an unknown one is an error, never a guess. Drawn in ARCHITECTURE.md. */
export const BOOKS_VERSION = 1;

/**
 * One settlement, as one atomic step: `LimitLedger` of `core/limit-ledger.ts`, line by line, over a hash in place of an
 * object. A test holds the two against each other on random histories.
 *
 * The clock is the server's own. It is wall time and may step back (then the books go on from where they were), and so that
 * a failover or a restart from disk is noticed, the books carry the `run_id` of the server that wrote them: under another
 * one they may be older than the truth, and learn for a lease before they grant anything freely.
 *
 * Writes happen at the end, after everything that can fail. Only effects are replicated, so `TIME` and `INFO` are allowed.
 */
export const SETTLE = `
local key = KEYS[1]
local who, seq = ARGV[1], tonumber(ARGV[2])
local rate, burst = tonumber(ARGV[3]), tonumber(ARGV[4])
local wanted, weight, guaranteed = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local holds_said, returned, closing = tonumber(ARGV[8]), tonumber(ARGV[9]), ARGV[10] == '1'
local lease_ms, learn_ms, learn_share = tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13])
local members_max, keep_ms = tonumber(ARGV[14]), tonumber(ARGV[15])
local VERSION, GATHERING, TOKENS_MAX = ${BOOKS_VERSION}, 0.25, 1e15
local min, max = math.min, math.max

local info = redis.pcall('INFO', 'server')
if type(info) ~= 'string' then
  return redis.error_reply('ERR evenkeel: this user may not run INFO, by which a failover is noticed')
end
local run = string.match(info, 'run_id:(%w+)') or 'unknown'
local time = redis.call('TIME')
local raw_ms = tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000

-- Eight digits of a checksum, then the packed value.
local function seal(packed) return string.sub(redis.sha1hex(packed), 1, 8) .. packed end
local function unseal(value)
  local packed = string.sub(value, 9)
  if string.sub(redis.sha1hex(packed), 1, 8) ~= string.sub(value, 1, 8) then return nil end
  return cmsgpack.unpack(packed)
end
local DAMAGED = 'ERR evenkeel: the books of this limit are damaged; without the key they are learnt anew'

-- Read the books.
local books, leases, count, old = nil, {}, 0, redis.call('HGETALL', key)
for i = 1, #old, 2 do
  if old[i] == 'books' then
    local b = unseal(old[i + 1])
    if not b then return redis.error_reply(DAMAGED) end
    if b[1] ~= VERSION then
      return redis.error_reply('ERR evenkeel: books of version ' .. tostring(b[1]) .. ', this script knows ' .. VERSION)
    end
    books = { run = b[2], rate = b[3], burst = b[4], learn_until = b[5], raw = b[6], ahead = b[7],
      bank_rate = b[8], bank_cap = b[9], bank = b[10], bank_at = b[11] }
  else
    local l = unseal(old[i + 1])
    if not l then return redis.error_reply(DAMAGED) end
    leases[old[i]] = { key = old[i], id = l[1], said_rate = l[2], said_burst = l[3], seq = l[4], wanted = l[5], weight = l[6],
      guaranteed = l[7], out = l[8], tokens = l[9], returned = l[10], expires = l[11], newcomer = l[12],
      a_rate = l[13], a_lease_ms = l[14], a_even = l[15], a_short = l[16] }
    count = count + 1
  end
end
-- Leases without books are what somebody else's hand left; they say nothing that can be trusted.
if not books and count > 0 then return redis.error_reply(DAMAGED) end

local gone, changed = {}, {}
local now

local function share_capacity(share)
  if share <= 0 then return 0 end
  return min(books.rate * books.burst, max(1, share * books.burst))
end

-- The bank: a bucket that is told the time.
local function bank_tokens(at)
  if at > books.bank_at then
    books.bank = min(books.bank_cap, books.bank + (at - books.bank_at) * books.bank_rate / 1000)
    books.bank_at = at
  end
  return books.bank
end

local function learning(at) return at < books.learn_until end

local function room_for(lease, at)
  local room, newcomers = books.rate, books.rate * learn_share
  for _, l in pairs(leases) do
    if l ~= lease then
      room = room - l.out
      if l.newcomer then newcomers = newcomers - l.out end
    end
  end
  if not learning(at) or (lease and not lease.newcomer) then return max(0, room) end
  return max(0, min(room, newcomers))
end

local function set_bank(at)
  local free = room_for(nil, at)
  local capacity = books.rate * books.burst
  if learning(at) then capacity = min(capacity, max(1, free * books.burst))
  else for _, l in pairs(leases) do capacity = capacity - share_capacity(l.out) end end
  bank_tokens(at)
  books.bank_rate, books.bank_cap = free, max(0, capacity)
  books.bank = min(books.bank, books.bank_cap)
end

local function credit(tokens)
  if tokens > 0 then books.bank = min(books.bank_cap, bank_tokens(now) + min(tokens, TOKENS_MAX))
  elseif tokens < 0 then books.bank = bank_tokens(now) - min(-tokens, books.rate * books.burst) end
end

local function learn(for_ms)
  books.learn_until = max(books.learn_until, now + for_ms)
  set_bank(now)
end

if not books then
  local capacity = rate * burst
  books = { run = run, rate = rate, burst = burst, learn_until = 0, raw = raw_ms, ahead = 0,
    bank_rate = 0, bank_cap = capacity, bank = capacity, bank_at = raw_ms }
  now = raw_ms
  books.learn_until = now + learn_ms
  if learning(now) then books.bank = min(capacity, max(1, capacity * learn_share)) end
else
  if raw_ms < books.raw then books.ahead = books.ahead + books.raw - raw_ms end
  books.raw = raw_ms
  now = raw_ms + books.ahead
  if books.run ~= run then
    books.run = run
    for _, l in pairs(leases) do
      l.expires = now + lease_ms
      l.newcomer = false
      changed[l.key] = l
    end
    learn(learn_ms)
  end
end

-- Leases that ended.
local ended = {}
for _, l in pairs(leases) do if l.expires <= now then ended[#ended + 1] = l end end
table.sort(ended, function(a, b) return a.expires < b.expires end)
for i, l in ipairs(ended) do
  leases[l.key] = nil
  changed[l.key] = nil
  gone[#gone + 1] = l.key
  count = count - 1
  -- What ends at one moment ends together: the bank would depend on the order otherwise.
  if not ended[i + 1] or ended[i + 1].expires ~= l.expires then set_bank(l.expires) end
end
if #ended > 0 and count == 0 then learn(min(learn_ms, lease_ms * GATHERING)) end

local function f(x) return string.format('%.17g', x) end
local function answer(number, id, granted, tokens, for_ms, even, short)
  local out = 0
  for _, l in pairs(leases) do out = out + l.out end
  return { f(number), id, f(granted), f(tokens), f(for_ms), f(even), short and '1' or '0', count, f(out) }
end

local function save()
  local b = books
  -- First of all what needs memory: where there is none, nothing is written, rather than a part.
  redis.call('HSET', key, 'books', seal(cmsgpack.pack({ VERSION, b.run, b.rate, b.burst, b.learn_until, b.raw, b.ahead,
    b.bank_rate, b.bank_cap, b.bank, b.bank_at })))
  for k, l in pairs(changed) do
    redis.call('HSET', key, k, seal(cmsgpack.pack({ l.id, l.said_rate, l.said_burst, l.seq, l.wanted, l.weight, l.guaranteed, l.out,
      l.tokens, l.returned, l.expires, l.newcomer, l.a_rate, l.a_lease_ms, l.a_even, l.a_short })))
  end
  for _, k in ipairs(gone) do if not changed[k] then redis.call('HDEL', key, k) end end
  redis.call('PEXPIRE', key, keep_ms)
end

local field = 'lease:' .. who
local lease = leases[field]
if lease and seq <= lease.seq then
  save()
  return answer(lease.seq, lease.id, lease.a_rate, lease.tokens, lease.a_lease_ms, lease.a_even, lease.a_short)
end

-- Who changed its mind about the limit last is right.
if not lease or lease.said_rate ~= rate or lease.said_burst ~= burst then
  books.rate, books.burst = rate, burst
  if lease then lease.said_rate, lease.said_burst = rate, burst end
end

local function between(value, low, high)
  if value >= low then return min(value, high) end
  return low
end

if closing then
  local id = ''
  if lease then
    id = lease.id
    leases[field] = nil
    changed[field] = nil
    gone[#gone + 1] = field
    count = count - 1
    set_bank(now)
    credit(returned - lease.returned)
  end
  save()
  return answer(seq, id, 0, 0, lease_ms, books.rate / max(1, count), false)
end

local holds = between(holds_said, 0, books.rate)
if not lease then
  if count >= members_max then save() return false end
  lease = { key = field, id = tostring(ARGV[2]), said_rate = rate, said_burst = burst, tokens = 0, returned = returned,
    newcomer = holds == 0, out = 0 }
  leases[field] = lease
  count = count + 1
end
changed[field] = lease
lease.out = holds
lease.seq = seq
lease.wanted = between(wanted, 0, books.rate)
lease.weight = between(weight, 0.001, 1000)
lease.guaranteed = between(guaranteed, 0, books.rate)
lease.expires = now + lease_ms
local back = returned - lease.returned
lease.returned = returned
set_bank(now)
credit(back)

-- Weighted max-min fairness over guarantees, then room above it; see core/allocation.ts.
local function allocate(whole, wishes, mine)
  if #wishes == 1 then return whole end
  local guarantees, weights = 0, 0
  for _, w in ipairs(wishes) do
    guarantees = guarantees + w.guaranteed
    weights = weights + w.weight
  end
  local cut = 1
  if guarantees > whole then cut = whole / guarantees end
  local left, points = whole - guarantees * cut, {}
  for i, w in ipairs(wishes) do
    local from, to = w.guaranteed * cut / w.weight, w.wanted / w.weight
    if from < to then
      points[#points + 1] = { from, w.weight, i }
      points[#points + 1] = { to, -w.weight, i }
    end
  end
  table.sort(points, function(a, b)
    if a[1] ~= b[1] then return a[1] < b[1] end
    if a[2] ~= b[2] then return a[2] < b[2] end
    return a[3] < b[3]
  end)
  local level, slope, growing = 0, 0, 0
  for _, p in ipairs(points) do
    local needed = 0
    if growing > 0 then needed = slope * (p[1] - level) end
    if needed >= left then break end
    left = left - needed
    level = p[1]
    if p[2] > 0 then growing = growing + 1 else growing = growing - 1 end
    if growing > 0 then slope = slope + p[2] else slope = 0 end
  end
  if growing > 0 then level = level + left / slope end
  local sum, part = 0, 0
  for _, w in ipairs(wishes) do
    local one = max(w.guaranteed * cut, min(w.wanted, w.weight * level))
    sum = sum + one
    if w == mine then part = one end
  end
  local rest = max(0, whole - sum)
  local proportional = 0
  if sum > 0 then proportional = rest / 2 end
  local even = (rest - proportional) / (weights + weights / max(1, #wishes))
  local result = part + even * mine.weight
  if sum > 0 then result = result + proportional * part / sum end
  return result
end

local target
if learning(now) and not lease.newcomer then target = holds
else
  local wishes, whole = {}, books.rate
  for _, l in pairs(leases) do
    if not learning(now) or l.newcomer then wishes[#wishes + 1] = l end
  end
  table.sort(wishes, function(a, b) return a.key < b.key end)
  if learning(now) then whole = books.rate * learn_share end
  target = allocate(whole, wishes, lease)
end
local room = room_for(lease, now)
local granted = min(target, room)
if granted - holds <= books.rate * 1e-6 then granted = min(granted, holds)
else
  local tokens = max(0, bank_tokens(now)) * min(1, (granted - holds) / (room - holds))
  books.bank = books.bank - tokens
  lease.tokens = lease.tokens + tokens
end
lease.out = max(granted, holds)
set_bank(now)
lease.a_rate, lease.a_lease_ms = granted, lease_ms
lease.a_even, lease.a_short = books.rate / max(1, count), granted < target * 0.99 - books.rate * 1e-6
save()
return answer(seq, lease.id, granted, lease.tokens, lease_ms, lease.a_even, lease.a_short)
`;
