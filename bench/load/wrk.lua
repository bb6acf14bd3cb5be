-- For wrk: prints what it has measured as JSON, and, with an argument, sends that many requests at a time on each connection.

function init(args)
  local depth = tonumber(args[1]) or 1
  if depth > 1 then
    local batch = string.rep(wrk.format("GET"), depth)
    request = function() return batch end
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"bytes":%d,"p50":%d,"p99":%d,"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d}\n',
    summary.requests, summary.bytes, latency:percentile(50), latency:percentile(99),
    errors.connect, errors.read, errors.write, errors.timeout, errors.status))
end
