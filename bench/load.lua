-- What wrk sends: one kind of command, every code at most once and in a scattered order.
--
--   wrk … -s load.lua URL -- KIND CODES FIRST MOST
--
-- KIND is redeem, open, lock, lock-open, assign, random, validate or read; the k-th request is for
-- code k * 618033 mod CODES, or for its user, and starts at k = FIRST. After MOST commands only
-- GET /health/live is sent, so that the last commands are still answered. The last line printed is JSON. It says how many commands were sent,
-- and at what pace: a command is sent when an answer has come, so the time between two of them is
-- also that of as many answers.

local ffi = require("ffi")
ffi.cdef("typedef struct { long s, ns; } bench_time; int clock_gettime(int, bench_time*);")

local read = "GET /health/live HTTP/1.1\r\nHost: bench\r\n\r\n"
local code = "B-%08X"
local user = "user-%07d"

local function command(path)
    local body = '{"userId":"' .. user .. '"}'
    local length = #body:format(0)
    return "POST /coupon/" .. path .. " HTTP/1.1\r\nHost: bench\r\n" ..
        "Content-Type: application/json\r\nContent-Length: " .. length .. "\r\n\r\n" .. body
end

local templates = {
    redeem = command("redeem/" .. code),
    open = command("redeem/OPEN"),
    ["lock-open"] = command("lock/OPEN"),
    lock = command("lock/" .. code),
    assign = command("assign/" .. code),
    random = command("assign"),
    validate = command("validate/" .. code),
}

local threads = {}
local kind, codes, first, most, skip, template

-- Read by done(): seconds on a clock of its own.
sent = 0
began = 0   -- at the first command
settled = 0 -- when a tenth of MOST was sent
ended = 0   -- when all were; 0 if it did not come to that

local function now()
    local time = ffi.new("bench_time")
    ffi.C.clock_gettime(1, time)
    return tonumber(time.s) + tonumber(time.ns) / 1e9
end

function setup(thread)
    table.insert(threads, thread)
end

function init(args)
    kind, codes, first, most = args[1], tonumber(args[2]), tonumber(args[3]), tonumber(args[4])
    template = templates[kind]
    skip = math.floor(most / 10)
    assert(kind == "read" or template, "no such kind of request: " .. tostring(kind))
end

local rehearsed = false

function request()
    -- wrk asks for one request that it does not send, to see whether scripts pipeline.
    if not rehearsed then
        rehearsed = true
        return read
    end
    if sent >= most then
        if ended == 0 then ended = now() end
        return read
    end
    if sent == 0 then began = now() end
    if sent == skip then settled = now() end
    local k = first + sent
    sent = sent + 1
    if kind == "read" then return read end
    if kind == "random" then return template:format(k) end
    local i = k * 618033 % codes
    if kind == "open" or kind == "lock-open" then return template:format(i) end
    return template:format(i * 2654435761 % 4294967296, i)
end

function done(summary, latency)
    local thread = threads[1]
    local errors = summary.errors
    io.write(string.format(
        '{"requests":%d,"seconds":%.6f,"p50Us":%d,"p99Us":%d,"maxUs":%d,"statusErrors":%d,' ..
        '"socketErrors":%d,"sent":%d,"began":%.6f,"settled":%.6f,"ended":%.6f,"skipped":%d}\n',
        summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
        latency.max, errors.status,
        errors.connect + errors.read + errors.write + errors.timeout, thread:get("sent"),
        thread:get("began"), thread:get("settled"), thread:get("ended"),
        math.floor(thread:get("sent") / 10)))
end
