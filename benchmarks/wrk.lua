-- wrk -s wrk.lua URL -- get | put POSTS TOKEN | post TOKEN | login NAME PASSWORD
local n = 0
local arguments

function init(given)
  arguments = given
  wrk.headers["Content-Type"] = "application/json"
end

function request()
  local kind = arguments[1]
  n = n + 1
  if kind == "put" then
    wrk.headers["Authorization"] = "Bearer " .. arguments[3]
    local path = wrk.path .. "/" .. (n * 7919 % tonumber(arguments[2]) + 1)
    return wrk.format("PUT", path, nil, '{"title": "Version ' .. n .. '"}')
  elseif kind == "post" then
    wrk.headers["Authorization"] = "Bearer " .. arguments[2]
    return wrk.format("POST", nil, nil, '{"title": "Version 0", "content": "' .. string.rep("Few words. ", 36) .. '"}')
  elseif kind == "login" then
    return wrk.format("POST", nil, nil, '{"username": "' .. arguments[2] .. '", "password": "' .. arguments[3] .. '"}')
  end
  return wrk.format("GET")
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format("\nRESULT %f %d %f %f\n", summary.requests / summary.duration * 1e6,
    e.connect + e.read + e.write + e.timeout + e.status, latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
