# shellcheck shell=bash
# For deploy.sh: Docker Compose. Sourced; uses its options and `run`, `say`, `problem`.
# shellcheck disable=SC2154 # those are set there

# Keeps the image of what ran before from being pruned, and under a name.
kept=flatline:previous
need docker

if docker compose version > /dev/null 2>&1; then
  compose_program=(docker compose)
else
  need docker-compose
  compose_program=(docker-compose)
fi
# What Compose would take by itself, from the environment, .env or the file.
configured=$("${compose_program[@]}" --file "$file" config flatline 2> "$work/answer" |
  awk '/^  [^ ]/ { service = $1 } service == "flatline:" && $1 == "image:" { print $2 }') ||
  fail 3 "$file is not valid: $(head -n 3 "$work/answer")"
wanted=${image:-$configured}

compose() { FLATLINE_IMAGE=$wanted "${compose_program[@]}" --file "$file" "$@"; }

containers() { compose ps --quiet flatline 2> /dev/null; }

compose_is_running() { [ -n "$(containers)" ]; }

compose_preflight() {
  if ! docker info > "$work/answer" 2>&1; then problem "the Docker engine does not answer: $(tail -n 1 "$work/answer")" && return 1; fi
  if ! compose config --quiet 2> "$work/answer"; then problem "$file is not valid: $(head -n 3 "$work/answer")" && return 1; fi
  say "image $wanted, $(containers | wc -l) replicas run"
  if docker image inspect "$wanted" > /dev/null 2>&1; then return; fi
  if ! run docker pull "$wanted"; then problem "the image $wanted is not here and cannot be pulled (build makes it)" && return 1; fi
}

compose_backup() { compose exec -T flatline node dist/cli.js backup -; }

compose_migrate() { run compose run --rm --no-deps -T flatline node dist/cli.js migrate; }

# The same again, with other settings, must not lose what was before it.
compose_remember() {
  local first id name
  previous=''
  # Not by head: it ends after one line, and the list of several replicas with SIGPIPE.
  first=$(containers)
  first=${first%%$'\n'*}
  [ -n "$first" ] || return 0
  id=$(docker inspect --format '{{.Image}}' "$first")
  name=$(docker inspect --format '{{.Config.Image}}' "$first")
  [ "$id" = "$(id_of "$wanted")" ] || run docker tag "$id" "$kept"
  # Its name may be that of the new image by now.
  if [ "$id" = "$(id_of "$name")" ]; then previous=$name; else previous=$kept; fi
}

id_of() { docker image inspect --format '{{.Id}}' "$1" 2> /dev/null; }

# The new one is up before an old one goes. Compose itself would stop first and start then.
compose_replace() {
  local old count new
  if ! compose_is_running; then
    run compose up --detach --wait --wait-timeout "$timeout"
    return
  fi
  count=$(containers | wc -l)
  for old in $(containers); do
    if [ -n "${keep_image:-}" ] && [ "$(docker inspect --format '{{.Image}}' "$old")" = "$keep_image" ]; then continue; fi
    if publishes_port "$old"; then
      say 'a replica with a port of its own on this machine has no room for a second one: it is replaced with a short gap'
      run compose up --detach --no-deps --wait --wait-timeout "$timeout" flatline
      return
    fi
    say "replacing ${old:0:12}"
    containers > "$work/known"
    run compose up --detach --no-deps --no-recreate --scale "flatline=$((count + 1))" flatline || return
    if [ -n "$dry_run" ]; then
      say "would wait until it is healthy and the load balancer knows it, then stop and remove ${old:0:12}"
      continue
    fi
    new=$(containers | grep -vxFf "$work/known") || return
    if ! healthy "$new"; then
      problem "the new replica ${new:0:12} does not get healthy; its log:"
      docker logs --tail 20 "$new" >&2 || true
      docker rm --force "$new" > /dev/null
      return 1
    fi
    sleep "$settle"
    # Longer than SHUTDOWN_TIMEOUT_MS, which includes the drain.
    docker stop -t 45 "$old" > /dev/null && docker rm "$old" > /dev/null || return
  done
}

publishes_port() { [ "$(docker inspect --format '{{len .HostConfig.PortBindings}}' "$1")" != 0 ]; }

healthy() {
  local waited state=''
  for ((waited = 0; waited < timeout; waited++)); do
    state=$(docker inspect --format '{{if .State.Running}}{{.State.Health.Status}}{{else}}ended{{end}}' "$1") || return
    case $state in
      healthy) return 0 ;;
      unhealthy | ended) return 1 ;;
    esac
    sleep 1
  done
  return 1
}

compose_verify() {
  local expected=$1 container version wanted_id failed=''
  wanted_id=$(id_of "$wanted") || return
  if ! compose_is_running; then problem 'no replica runs' && return 1; fi
  for container in $(containers); do
    if ! docker exec "$container" node dist/cli.js healthcheck > "$work/answer" 2>&1; then
      problem "${container:0:12} is not ready: $(tail -n 1 "$work/answer")"
      failed=yes
    fi
    if [ "$(docker inspect --format '{{.Image}}' "$container")" != "$wanted_id" ]; then
      problem "${container:0:12} does not run $wanted"
      failed=yes
    fi
    version=$(docker exec "$container" node --print 'require("./package.json").version') || version=unknown
    if [ -n "$expected" ] && [ "$version" != "$expected" ]; then
      problem "${container:0:12} runs version $version, not $expected"
      failed=yes
    fi
    say "${container:0:12}: version $version"
  done
  if [ -n "$failed" ]; then return 1; fi
  if [ "$wanted" = "$kept" ]; then
    say "$kept is a name that moves: docker tag what runs, and put FLATLINE_IMAGE=<that name> into .env"
  elif [ "$wanted" != "$configured" ]; then
    say "put FLATLINE_IMAGE=$wanted into .env, or the next docker compose up undoes this"
  fi
}

compose_smoke() {
  local first container state unwell=''
  # Of all services: that a monitoring program is unhealthy undoes no deployment, but a verification shows it.
  for container in $(compose ps --quiet); do
    state=$(docker inspect --format '{{.Name}} is {{if .State.Health}}{{.State.Health.Status}}{{end}}' "$container") || return
    if [[ $state == *' is unhealthy' ]]; then problem "${state#/}" && unwell=yes; fi
  done
  if [ -n "$unwell" ]; then return 1; fi
  first=$(containers)
  docker exec "${first%%$'\n'*}" node dist/cli.js "$@"
}

compose_rollback() {
  if [ "${previous-unset}" = '' ]; then problem 'this was the first deployment: there is no previous version' && return 1; fi
  wanted=${1:-${previous:-$kept}}
  if ! keep_image=$(id_of "$wanted"); then problem "the image $wanted is not here" && return 1; fi
  say "back to $wanted"
  # What a deployment had not come to yet is as it should be.
  compose_replace
}
