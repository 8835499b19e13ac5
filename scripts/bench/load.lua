-- For wrk: sends another call with every request, and prints the result as one line of JSON.
-- Arguments: the three parts of a body (scripts/bench/load.ts) and the number of the first caller.

local first, middle, last, firstCaller
local head, n = '', 0

function init(args)
  first, middle, last, firstCaller = args[1], args[2], args[3], tonumber(args[4])
  local length = #first + 7 + #middle + 8 + #last
  head = wrk.format('POST', nil, { ['content-type'] = 'application/json', ['content-length'] = length })
end

function request()
  n = n + 1
  return head .. first .. string.format('%07d', 2000000 + (firstCaller + n) % 8000000)
    .. middle .. string.format('%08d', n) .. last
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '{"requests":%d,"seconds":%.6f,"p50":%.3f,"p99":%.3f,"failed":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    e.status + e.connect + e.read + e.write + e.timeout))
end
