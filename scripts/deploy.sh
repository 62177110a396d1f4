#!/usr/bin/env bash
# Brings a version of Flatline into service without anybody noticing, and back if it does not get healthy.
set -euo pipefail
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=${scripts%/*}

usage() {
  cat << 'END'
usage: scripts/deploy.sh <compose|k8s> <command> [options]

commands
  preflight  checks everything that can be known beforehand, changes nothing
  build      builds the image
  backup     writes a backup, taken by the service that runs
  migrate    applies the new version's migrations; the version that runs can live with them
  deploy     preflight, backup, migrate, replace one by one, verify; and back to the previous version if one of the last two fails
  verify     every replica is ready and runs the version that it should; then a heartbeat is written and read, the metrics count it, an alert
             goes through once, and what was created for this is deleted
  rollback   back to the previous version, or to --to; the database stays as it is

options
  --image IMAGE         what to deploy, as registry/name:tag; default: what the manifests say
  --expect-version V    the version that replicas must report; default: the tag, where it is one
  --timeout SECONDS     for the migration and for each wait until replicas are ready (default 300)
  --backup-dir DIR      default ./backups
  --skip-backup         where the database is archived continuously
  --skip-migrate        then the first new replica migrates
  --to REVISION         of rollback: an image (compose) or a revision (k8s: kubectl rollout history)
  --skip-smoke          of verify: only the replicas, no heartbeat
  --url URL             of verify: the heartbeat goes to this address, from here (after npm install), and not to one replica from within
  --key-file FILE       with --url: a project's read-write key; default: BOOTSTRAP_API_KEY
  --metrics-url URL     with --url: where the metrics are, which load balancers do not show; default: they are not looked at
  --channel NAME        of verify: this channel of the project gets a test message, too
  --dry-run             looks at everything, says what would be done, does nothing
  --help
  compose:  --file FILE             default docker-compose.yml
            --settle SECONDS        until the load balancer has found a new replica (default 10)
  k8s:      --environment NAME      overlay k8s/overlays/NAME, and its namespace (needed)
            --context NAME          of kubectl
            --strategy blue-green   a second set of pods gets all traffic at once when all of it is ready, and goes when the first is new
            --soak SECONDS          blue-green: how long the second set serves before the first is replaced (default 30)

exit status  0 done · 2 usage · 3 preflight · 4 backup · 5 migration · 6 not healthy, the previous version serves · 7 not healthy, and no way back
END
}

say() { printf '%s\n' "deploy: $*" >&2; }
step() { printf '\n%s\n' "deploy: == $*" >&2; }
problem() { printf '%s\n' "deploy: PROBLEM $*" >&2; }

# fail STATUS MESSAGE
fail() {
  problem "$2"
  exit "$1"
}

need() {
  local program
  for program in "$@"; do
    command -v "$program" > /dev/null || fail 3 "needs $program, which is not installed"
  done
}

# What changes something goes through here.
run() {
  if [ -z "$dry_run" ]; then
    "$@"
    return
  fi
  case $1 in
    k) say "would run: kubectl ${context:+--context $context }--namespace $namespace ${*:2}" ;;
    compose) say "would run: docker compose ${*:2}" ;;
    *) say "would run: $*" ;;
  esac
}

image='' expect_version='' timeout=300 backup_dir=backups skip_backup='' skip_migrate='' to='' dry_run=''
file=$repository/docker-compose.yml settle=10 environment='' context='' strategy=rolling soak=30
url='' key_file='' metrics_url='' channel='' skip_smoke=''
target='' command=''
while [ $# -gt 0 ]; do
  case $1 in
    --help) usage && exit ;;
    --skip-backup) skip_backup=yes ;;
    --skip-migrate) skip_migrate=yes ;;
    --skip-smoke) skip_smoke=yes ;;
    --dry-run) dry_run=yes ;;
    --image | --expect-version | --timeout | --backup-dir | --to | --file | --settle | --environment | --context | --strategy | --soak | --url | --key-file | --metrics-url | \
      --channel)
      [ $# -gt 1 ] || fail 2 "$1 needs a value"
      name=${1#--}
      printf -v "${name//-/_}" '%s' "$2"
      shift
      ;;
    -*) fail 2 "unknown option $1 (--help lists them)" ;;
    *)
      if [ -z "$target" ]; then target=$1; elif [ -z "$command" ]; then command=$1; else fail 2 "unexpected $1"; fi
      ;;
  esac
  shift
done
for number in "$timeout" "$settle" "$soak"; do
  [[ $number =~ ^[0-9]{1,5}$ ]] || fail 2 '--timeout, --settle and --soak are whole numbers of seconds'
done
case $strategy in
  rolling) ;;
  blue-green) [ "$target" = k8s ] || fail 2 '--strategy blue-green is for k8s' ;;
  *) fail 2 '--strategy is rolling or blue-green' ;;
esac
case $target in
  compose | k8s) ;;
  *) fail 2 'name a target, compose or k8s (--help)' ;;
esac
# tag_of IMAGE, name_of IMAGE: a colon before the last slash is that of a port.
tag_of() {
  local name=${1%@*}
  if [[ ${name##*/} == *:* ]]; then printf '%s' "${name##*:}"; fi
}
name_of() {
  local name=${1%@*}
  if [[ ${name##*/} == *:* ]]; then name=${name%:*}; fi
  printf '%s' "$name"
}

# A tag that is a version is what replicas have to report.
tag=$(tag_of "$image")
if [ -z "$expect_version" ] && [[ $tag =~ ^v?([0-9]+\.[0-9]+\.[0-9]+[-+.0-9A-Za-z]*)$ ]]; then expect_version=${BASH_REMATCH[1]}; fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
if [ "$target" = compose ]; then
  # shellcheck source=scripts/deploy-compose.sh
  source "$scripts/deploy-compose.sh"
else
  # shellcheck source=scripts/deploy-k8s.sh
  source "$scripts/deploy-k8s.sh"
fi

preflight() {
  step "preflight ($target)"
  need gzip sha256sum
  if ! "${target}_preflight"; then fail 3 'the preflight has failed, nothing was changed'; fi
  if [ -z "$skip_backup" ] && ! mkdir -p "$backup_dir" 2> /dev/null; then fail 3 "--backup-dir $backup_dir cannot be made"; fi
  say 'preflight passed'
}

build() {
  step "build $image"
  [ -n "$image" ] || fail 2 'build needs --image'
  need docker
  local revision
  revision=$(git -C "$repository" rev-parse HEAD 2> /dev/null || echo unknown)
  run docker build --tag "$image" --build-arg "VERSION=${expect_version:-$tag}" --build-arg "REVISION=$revision" \
    --build-arg "CREATED=$(date --utc +%Y-%m-%dT%H:%M:%SZ)" "$repository"
}

backup() {
  step backup
  if [ -n "$skip_backup" ]; then say 'skipped, as told' && return; fi
  if ! "${target}_is_running"; then say 'nothing runs yet, so there is nothing to back up' && return; fi
  local backup
  backup=$backup_dir/flatline-before-$(date --utc +%Y%m%dT%H%M%SZ).gz
  if [ -n "$dry_run" ]; then say "would write $backup" && return; fi
  if ! (umask 077 && "${target}_backup" > "$backup.partial") || ! is_whole "$backup.partial"; then
    rm -f "$backup.partial"
    fail 4 'no backup could be taken, nothing was changed (--skip-backup goes on without)'
  fi
  mv "$backup.partial" "$backup"
  say "backup in $backup: flatline restore reads it"
}

# The last line is the SHA-256 of all lines before it.
is_whole() {
  local sum
  sum=$(gzip --decompress --stdout "$1" 2> /dev/null | tail -n 1) || return 1
  [[ $sum =~ ^'-- sha256: '[0-9a-f]{64}$ ]] &&
    [ "${sum#-- sha256: }" = "$(gzip --decompress --stdout "$1" | head -n -1 | sha256sum | cut -d ' ' -f 1)" ]
}

migrate() {
  step migrate
  if [ -n "$skip_migrate" ]; then say 'skipped, as told: the first new replica migrates' && return; fi
  if ! "${target}_is_running"; then say 'nothing runs yet: the first replica migrates' && return; fi
  if ! "${target}_migrate"; then fail 5 'the migration has failed; the version that runs goes on'; fi
}

verify() {
  step verify
  if [ -n "$dry_run" ]; then say 'would verify every replica' && return; fi
  "${target}_verify" "$expect_version"
}

# The service really works: flatline verify tries it, with checks of its own that it deletes.
smoke() {
  step 'write, read, metrics, alert'
  if [ -n "$skip_smoke" ]; then say 'skipped, as told' && return; fi
  local options=(verify)
  if [ -n "$channel" ]; then options+=(--channel "$channel"); fi
  if [ -n "$url" ]; then
    options+=(--target "$url")
    if [ -n "$key_file" ]; then options+=(--key-file "$key_file"); fi
    if [ -n "$metrics_url" ]; then options+=(--metrics-url "$metrics_url"); else options+=(--skip metrics); fi
  fi
  if [ -n "$dry_run" ]; then
    say "would run: flatline ${options[*]}"
  elif [ -z "$url" ]; then
    "${target}_smoke" "${options[@]}"
  else
    # npm install brings the Node.js that runs Flatline.
    local node=$repository/node_modules/.bin/node
    if [ ! -x "$node" ]; then need node && node=node; fi
    "$node" "$repository/bin/flatline.js" "${options[@]}"
  fi
}

deploy() {
  preflight
  backup
  migrate
  step "replace ($strategy)"
  "${target}_remember"
  if "${target}_replace" && verify; then
    [ -n "$dry_run" ] || say "done${expect_version:+: version $expect_version serves}; verify tries a heartbeat and an alert"
    return
  fi
  problem 'the new version does not get healthy'
  if rollback; then fail 6 'the previous version serves again'; fi
  fail 7 'and there is no way back by itself: look at the replicas now'
}

rollback() {
  step "rollback${to:+ to $to}"
  "${target}_rollback" "$to" || return
  if [ -n "$dry_run" ]; then return; fi
  step 'verify the rollback'
  "${target}_verify" ''
}

case $command in
  preflight | build | backup | migrate | deploy) "$command" ;;
  verify)
    verify || fail 6 'not every replica is ready with the right version'
    smoke || fail 6 'the replicas are ready, but not everything works: see the step that has failed'
    ;;
  rollback) rollback || fail 7 'the rollback has failed: look at the replicas now' ;;
  *) fail 2 'name a command (--help lists them)' ;;
esac
