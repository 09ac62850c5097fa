-- The edge's guard: refuses JSON bodies that the transcoder would take but only partly keep
-- (unknown fields, repeated keys), and turns a service's `x-http-code` into the HTTP status.
--
-- MESSAGES is put before this text by the generator: message name -> field name -> rule, where a
-- rule is { kind, list, map, type }. Kinds: s string, n number, b boolean, e enum, m message
-- (with `type`), o any object, a anything.

local DEPTH_MAX = 32
local NAME_SHOWN_MAX = 64
local WHITESPACE = "[^ \t\r\n]"
local ESCAPES = { [34] = '"', [92] = "\\", [47] = "/", [98] = "\b", [102] = "\f", [110] = "\n",
  [114] = "\r", [116] = "\t" }
local LITERALS = { [116] = "true", [102] = "false", [110] = "null" }
local ANYTHING = { kind = "a" }
local KIND_WORDS = { s = "a string", n = "a number", b = "true or false",
  e = "the name of a value", m = "an object", o = "an object" }

local byte, find, sub, format, char = string.byte, string.find, string.sub, string.format,
  string.char

-- A refusal is thrown as a table; everything else that is thrown would be a bug of the guard.
local function refuse(reason, message, field)
  error({ reason = reason, message = message, field = field }, 0)
end

local function malformed(at)
  refuse("MALFORMED_REQUEST", "the body is no valid JSON (at byte " .. at .. ")")
end

-- Returns text that may stand inside a JSON string and is short.
local function shown(name)
  local clean = name:gsub("[^%w_%-. ]", "?")
  if #clean > NAME_SHOWN_MAX then clean = sub(clean, 1, NAME_SHOWN_MAX) .. "..." end
  return clean
end

local function skip(text, at)
  return find(text, WHITESPACE, at) or #text + 1
end

-- Returns the position after the string that begins at `at`, and its value. Values are only
-- needed for keys, and characters beyond ASCII only need to differ from every field's name.
local function read_string(text, at, wanted)
  local from, pieces = at + 1, nil
  while true do
    local stop = find(text, '["\\%z\1-\31]', from)
    if not stop then malformed(at) end
    local c = byte(text, stop)
    if c == 34 then
      if not wanted then return stop + 1 end
      local rest = sub(text, from, stop - 1)
      if not pieces then return stop + 1, rest end
      pieces[#pieces + 1] = rest
      return stop + 1, table.concat(pieces)
    end
    if c ~= 92 then malformed(stop) end
    local escaped = byte(text, stop + 1)
    local value, after = ESCAPES[escaped], stop + 2
    if escaped == 117 then
      local hex = find(text, "^%x%x%x%x", stop + 2) and sub(text, stop + 2, stop + 5)
      if not hex then malformed(stop) end
      local code = tonumber(hex, 16)
      value = code < 128 and char(code) or ("\255" .. hex:lower())
      after = stop + 6
    end
    if not value then malformed(stop) end
    if wanted then
      pieces = pieces or {}
      pieces[#pieces + 1] = sub(text, from, stop - 1)
      pieces[#pieces + 1] = value
    end
    from = after
  end
end

local function read_number(text, at)
  local _, stop = find(text, "^-?%d+", at)
  if not stop then malformed(at) end
  -- A leading zero stands alone.
  if find(text, "^-?0%d", at) then malformed(at) end
  local _, fraction = find(text, "^%.%d+", stop + 1)
  stop = fraction or stop
  local _, exponent = find(text, "^[eE][+-]?%d+", stop + 1)
  return (exponent or stop) + 1
end

local function expect(rule, kinds, path)
  if rule.kind == "a" or find(kinds, rule.kind, 1, true) then return end
  local what = rule.list and "a list" or rule.map and "an object" or KIND_WORDS[rule.kind]
  refuse("MALFORMED_REQUEST", shown(path) .. " must be " .. what, path)
end

local read_value

local function element_rule(rule)
  return { kind = rule.kind, type = rule.type }
end

local function read_list(text, at, rule, path, depth)
  local element = ANYTHING
  if rule.list then
    element = element_rule(rule)
  elseif rule.kind ~= "a" then
    expect(rule, "", path)
  end
  at = skip(text, at + 1)
  if byte(text, at) == 93 then return at + 1 end
  while true do
    at = skip(text, read_value(text, at, element, path, depth + 1))
    local c = byte(text, at)
    if c == 93 then return at + 1 end
    if c ~= 44 then malformed(at) end
    at = skip(text, at + 1)
  end
end

-- Returns the rule of a key's value, and the path to it.
local function key_rule(rule, fields, key, path)
  if fields then
    local inner = path == "" and key or path .. "." .. key
    local found = fields[key]
    if not found then
      refuse("UNKNOWN_FIELD", "unknown field: " .. shown(inner), inner)
    end
    return found, inner
  end
  if rule.map then return element_rule(rule), path end
  return ANYTHING, path
end

local function read_object(text, at, rule, path, depth)
  if rule.list then expect(rule, "", path) end
  local fields
  if rule.kind == "m" and not rule.map then
    fields = MESSAGES[rule.type]
    if depth == 0 and rule.bound then fields = rule.bound end
  elseif not rule.map then
    expect(rule, "ao", path)
  end
  local seen = {}
  at = skip(text, at + 1)
  if byte(text, at) == 125 then return at + 1 end
  while true do
    if byte(text, at) ~= 34 then malformed(at) end
    local key
    at, key = read_string(text, at, true)
    if seen[key] then
      refuse("MALFORMED_REQUEST", "repeated key: " .. shown(key), key)
    end
    seen[key] = true
    local inner, inner_path = key_rule(rule, fields, key, path)
    at = skip(text, at)
    if byte(text, at) ~= 58 then malformed(at) end
    at = skip(text, read_value(text, skip(text, at + 1), inner, inner_path, depth + 1))
    local c = byte(text, at)
    if c == 125 then return at + 1 end
    if c ~= 44 then malformed(at) end
    at = skip(text, at + 1)
  end
end

function read_value(text, at, rule, path, depth)
  if depth > DEPTH_MAX then
    refuse("MALFORMED_REQUEST", "the body is nested too deeply")
  end
  local c = byte(text, at)
  if c == 123 then return read_object(text, at, rule, path, depth) end
  if c == 91 then return read_list(text, at, rule, path, depth) end
  local literal = LITERALS[c]
  if literal then
    if sub(text, at, at + #literal - 1) ~= literal then malformed(at) end
    -- In proto3 JSON null is the same as leaving the field out.
    if c ~= 110 then
      if rule.list or rule.map then expect(rule, "", path) else expect(rule, "b", path) end
    end
    return at + #literal
  end
  if rule.list or rule.map then
    if c then expect(rule, "", path) end
    malformed(at)
  end
  if c == 34 then
    -- Numbers may come as strings, which the transcoder reads or refuses.
    expect(rule, "sne", path)
    return (read_string(text, at, false))
  end
  local after = read_number(text, at)
  expect(rule, "ne", path)
  return after
end

local function check(text, rule)
  local at = skip(text, 1)
  -- No body at all is an empty message.
  if at > #text then return end
  if byte(text, at) ~= 123 then
    refuse("MALFORMED_REQUEST", "the body must be a JSON object")
  end
  at = skip(text, read_value(text, at, rule, "", 0))
  if at <= #text then malformed(at) end
end

local STATUS = { MALFORMED_REQUEST = "400", UNKNOWN_FIELD = "400", UNSUPPORTED_MEDIA_TYPE = "415" }

local function reply(handle, refusal)
  local request_id = handle:headers():get("x-request-id")
  local metadata = format('"request_id":"%s"', shown(request_id or ""))
  if refusal.field then
    metadata = metadata .. format(',"field":"%s"', shown(refusal.field))
  end
  local body = format(
    '{"code":3,"message":"%s","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo",'
      .. '"reason":"%s","domain":"edge.reelmesh","metadata":{%s}}]}',
    refusal.message, refusal.reason, metadata)
  handle:streamInfo():dynamicMetadata():set("reelmesh.edge", "written", true)
  handle:respond({ [":status"] = STATUS[refusal.reason], ["content-type"] = "application/json" },
    body)
end

function envoy_on_request(handle)
  local name = handle:filterContext():get("rpc")
  if not name then return end
  handle:streamInfo():dynamicMetadata():set("reelmesh.edge", "rest", true)
  local rule = BODIES[name]
  if not rule then return end
  local content_type = handle:headers():get("content-type")
  local body = handle:body()
  local text = body and body:length() > 0 and body:getBytes(0, body:length()) or ""
  if content_type and not find(content_type:lower(), "^application/json%s*;?")
    and (text ~= "") then
    reply(handle, { reason = "UNSUPPORTED_MEDIA_TYPE",
      message = "the body must be application/json" })
    return
  end
  local ok, refusal = pcall(check, text, rule)
  if ok then return end
  if type(refusal) ~= "table" then error(refusal) end
  reply(handle, refusal)
end

function envoy_on_response(handle)
  local edge = handle:streamInfo():dynamicMetadata():get("reelmesh.edge")
  if not edge or not edge["rest"] then return end
  local headers = handle:headers()
  local status = headers:get("x-http-code")
  if status then
    headers:remove("x-http-code")
    if find(status, "^[23]%d%d$") then headers:replace(":status", status) end
  end
  headers:remove("grpc-status")
  headers:remove("grpc-message")
  headers:remove("grpc-accept-encoding")
  headers:remove("grpc-status-details-bin")
end
