-- For wrk: each thread sends the requests of its own file, once each. Prints one line of JSON.

local n_threads = 0

function setup(thread)
    thread:set("id", n_threads)
    n_threads = n_threads + 1
end

function init(arguments)
    paths = {}
    for line in io.lines(arguments[1] .. "." .. id) do
        paths[#paths + 1] = line
    end
    at = 0
end

function request()
    at = at + 1
    -- A request that was sent before is refused, which counts as an error: make more of them.
    return wrk.format("GET", paths[(at - 1) % #paths + 1])
end

function done(summary, latency, requests)
    local errors = summary.errors
    local line = '{"requests":%d,"seconds":%.3f,"p50_ms":%.3f,"p99_ms":%.3f,"errors":%d}\n'
    io.write(string.format(
        line,
        summary.requests,
        summary.duration / 1e6,
        latency:percentile(50) / 1e3,
        latency:percentile(99) / 1e3,
        errors.connect + errors.read + errors.write + errors.status + errors.timeout
    ))
end
