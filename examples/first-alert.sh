#!/usr/bin/env bash
# An example from the first heartbeat to the alert: a job sends heartbeats and falls silent, and an alert is sent; it recovers, and the
# recovery is reported.
#
#   examples/first-alert.sh
#
# starts Flatline with a database of its own in a temporary directory, and removes both at the end. Against a service that
# runs already: FLATLINE_URL=http://… FLATLINE_API_KEY=… examples/first-alert.sh. It must be allowed to call this machine.
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
scratch=$(mktemp -d)
# PostgreSQL does not run as root: under root it gets another account, which must be able to pass through here.
chmod 711 "$scratch"
alerts=$scratch/alerts
service_log=$scratch/service.log
service='' listener='' check_url='' channel_url=''

say() { printf '%s\n' "$*"; }

fail() {
  printf 'first-alert: %s\n' "$*" >&2
  if [ -s "$service_log" ]; then tail -n 20 "$service_log" >&2; fi
  exit 1
}

# Ends what this script began, by process id.
clean_up() {
  local status=$?
  trap - EXIT
  [ -z "$check_url" ] || api DELETE "$check_url" > /dev/null 2>&1 || true
  [ -z "$channel_url" ] || api DELETE "$channel_url" > /dev/null 2>&1 || true
  [ -z "$listener" ] || kill "$listener" 2> /dev/null || true
  if [ -n "$service" ]; then
    # The group is npm and the service; the database stops with the service.
    kill -- "-$service" 2> /dev/null || true
    for _ in {1..300}; do
      kill -0 -- "-$service" 2> /dev/null || break
      sleep 0.1
    done
  fi
  rm -rf "$scratch"
  exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

now_ms() { printf '%s\n' $((${EPOCHREALTIME/[.,]/} / 1000)); }

# A field of the JSON document on standard input.
field() { node -e 'process.stdout.write(String(JSON.parse(require("node:fs").readFileSync(0, "utf8"))[process.argv[1]]))' "$1"; }

# api METHOD URL [BODY]: prints the answer, fails on anything but 2xx.
api() {
  curl --silent --show-error --fail-with-body --max-time 10 --request "$1" \
    --header "X-Api-Key: $FLATLINE_API_KEY" --header 'Content-Type: application/json' ${3:+--data "$3"} "$2"
}

# until_ready SECONDS WHAT COMMAND…: tries every tenth of a second.
until_ready() {
  local tries=$(($1 * 10)) what=$2
  shift 2
  until "$@"; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || fail "$what"
    sleep 0.1
  done
}

start_service() {
  FLATLINE_API_KEY=$(node -e 'process.stdout.write(crypto.randomBytes(16).toString("hex"))')
  say 'starting Flatline with an empty database …'
  # Job control gives it a process group of its own.
  set -m
  (
    cd "$repository"
    unset DATABASE_URL DATABASE_URL_FILE FLATLINE__DATABASE__URL FLATLINE__DATABASE__URL_FILE
    export DEPLOYMENT_ENV=local PORT=0 DATA_DIR=$scratch/data DRAIN_MS=0 LOG_FORMAT=json BOOTSTRAP_API_KEY=$FLATLINE_API_KEY
    exec npm start --silent
  ) > "$service_log" 2>&1 < /dev/null &
  service=$!
  set +m
  local began
  began=$(now_ms)
  until_ready 60 'the service did not become ready within 60 seconds' service_is_ready
  say "ready after $(seconds_since "$began") s at $FLATLINE_URL"
}

service_is_ready() {
  kill -0 "$service" 2> /dev/null || fail 'the service has ended'
  FLATLINE_URL=$(sed -n 's/.*"event":"server.listening".*"url":"\([^"]*\)".*/\1/p' "$service_log")
  [ -n "$FLATLINE_URL" ] && curl --silent --fail --max-time 2 --output /dev/null "$FLATLINE_URL/health/ready"
}

seconds_since() {
  local ms=$(($(now_ms) - $1))
  printf '%d.%01d' $((ms / 1000)) $((ms % 1000 / 100))
}

# The far side: writes each document that it receives into a line of its own.
start_listener() {
  # shellcheck disable=SC2016 # JavaScript, not shell
  node -e '
    const { appendFileSync, writeFileSync } = require("node:fs")
    const [alerts, port] = process.argv.slice(1)
    const server = require("node:http").createServer((request, response) => {
      const chunks = []
      request.on("data", (chunk) => chunks.push(chunk))
      request.on("end", () => {
        appendFileSync(alerts, `${Buffer.concat(chunks)}\n`)
        response.end()
      })
    })
    server.listen(0, "127.0.0.1", () => writeFileSync(port, `${server.address().port}\n`))
  ' "$alerts" "$scratch/port" < /dev/null &
  listener=$!
  until_ready 10 'the listener did not start' test -s "$scratch/port"
  listener_url=http://127.0.0.1:$(cat "$scratch/port")/
}

ping() {
  curl --silent --show-error --fail --max-time 10 --output /dev/null "$ping_url" || fail 'a heartbeat was refused'
  last_ping=$(now_ms)
}

has_alert() { [ -f "$alerts" ] && grep -q "^{\"event\":\"$1\"" "$alerts"; }

# await_alert EVENT SECONDS: waits for it and prints what it says.
await_alert() {
  until_ready "$2" "no $1 alert within $2 seconds after the last ping" has_alert "$1"
  say "$1 alert $(seconds_since "$last_ping") s after the last ping:"
  grep "^{\"event\":\"$1\"" "$alerts" | node -e '
    const { check, flip, delivery } = JSON.parse(require("node:fs").readFileSync(0, "utf8").split("\n")[0])
    const shown = { check: { name: check.name, status: check.status, last_ping: check.last_ping }, flip, delivery }
    console.log(JSON.stringify(shown, null, 2).replace(/^/gm, "  "))'
}

: > "$service_log"
for tool in curl node npm; do
  command -v "$tool" > /dev/null || fail "$tool is not installed"
done
if [ -z "${FLATLINE_URL:-}" ]; then
  start_service
else
  [ -n "${FLATLINE_API_KEY:-}" ] || fail 'FLATLINE_URL needs FLATLINE_API_KEY, a read-write key of a project'
fi
start_listener

channel=$(api POST "$FLATLINE_URL/api/v3/channels/" '{"kind": "webhook", "name": "first alert", "settings": {"url": "'"$listener_url"'"}}') ||
  fail "the channel was refused: $channel"
channel_url=$FLATLINE_URL/api/v3/channels/$(field id <<< "$channel")
check=$(api POST "$FLATLINE_URL/api/v3/checks/" '{"name": "nightly backup", "timeout": 3, "grace": 1, "channels": "*"}') ||
  fail "the check was refused: $check"
ping_url=$(field ping_url <<< "$check")
check_url=$FLATLINE_URL/api/v3/checks/$(field uuid <<< "$check")

say 'a job sends a heartbeat each second: the check expects one every 3 seconds, with 1 second of grace'
for _ in 1 2 3 4 5 6; do
  ping
  sleep 1
done
! has_alert down || fail 'an alert although every heartbeat came in time'

say 'the job goes silent …'
await_alert down 20

say 'the job is back …'
ping
await_alert up 20

for event in down up; do
  count=$(grep -c "^{\"event\":\"$event\"" "$alerts")
  [ "$count" = 1 ] || fail "$count $event alerts instead of one"
done
say 'told once that it went silent, and once that it is back'
