-- wrk -s wrk.lua URL -- get [ETAG] | private FILE | variants | put POSTS TOKEN | post TOKEN | login NAME PASSWORD
local n = 0
local arguments
local ready = {} -- requests made beforehand: else making them would cost more than a hit

function init(given)
  arguments = given
  local kind = arguments[1]
  if kind == "get" then
    wrk.headers["If-None-Match"] = arguments[2]
    ready[1] = wrk.format("GET")
  elseif kind == "private" then
    for token in io.lines(arguments[2]) do
      wrk.headers["Authorization"] = "Bearer " .. token
      ready[#ready + 1] = wrk.format("GET")
    end
  elseif kind ~= "variants" then
    wrk.headers["Content-Type"] = "application/json"
  end
end

function request()
  if #ready > 0 then
    return ready[math.random(#ready)]
  end
  local kind = arguments[1]
  n = n + 1
  if kind == "variants" then
    return wrk.format("GET", wrk.path .. "?category=" .. n)
  elseif kind == "put" then
    wrk.headers["Authorization"] = "Bearer " .. arguments[3]
    local path = wrk.path .. "/" .. (n * 7919 % tonumber(arguments[2]) + 1)
    return wrk.format("PUT", path, nil, '{"title": "Version ' .. n .. '"}')
  elseif kind == "post" then
    wrk.headers["Authorization"] = "Bearer " .. arguments[2]
    return wrk.format("POST", nil, nil, '{"title": "Version 0", "content": "' .. string.rep("Few words. ", 36) .. '"}')
  end
  return wrk.format("POST", nil, nil, '{"username": "' .. arguments[2] .. '", "password": "' .. arguments[3] .. '"}')
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format("\nRESULT %f %d %f %f\n", summary.requests / summary.duration * 1e6,
    e.connect + e.read + e.write + e.timeout + e.status, latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
