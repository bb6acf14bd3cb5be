-- For wrk: sends the requests of a file in turn, some at a time on each connection, and prints the results as JSON.
-- Arguments: the file (for each request its length, a line feed, and its bytes), and how many to send at a time.

local requests = {}
local last = 0

function init(args)
  local file = assert(io.open(args[1], "rb"))
  local depth = tonumber(args[2]) or 1
  while true do
    local length = file:read("*n")
    if length == nil then break end
    file:read(1)
    requests[#requests + 1] = string.rep(file:read(length), depth)
  end
  file:close()
end

function request()
  last = last % #requests + 1
  return requests[last]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"bytes":%d,"p50":%d,"p99":%d,"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d}\n',
    summary.requests, summary.bytes, latency:percentile(50), latency:percentile(99),
    errors.connect, errors.read, errors.write, errors.timeout, errors.status))
end
