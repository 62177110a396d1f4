#!/usr/bin/env bash
# Takes a backup of Flatline's PostgreSQL with pg_dump, while the service goes on.
set -euo pipefail
umask 077
# shellcheck source=scripts/postgres.sh
source "$(dirname "${BASH_SOURCE[0]}")/postgres.sh"

usage() {
  cat << 'END'
usage: DATABASE_URL=postgres://… scripts/backup.sh [options] [directory]

Makes <directory>/flatline-<UTC time>/ (default ./backups) with
  dump         pg_dump's custom format, or dump.gpg when encrypted
  tables       every table with its number of rows and a hash of them, from the same snapshot
  SHA256SUMS   for `sha256sum --check`
and prints its path. The address of the database may also be in a file: DATABASE_URL_FILE. With BACKUP_PING_URL, a check's ping_url, the
beginning, the end and the exit status are sent there.

  --encrypt-with FILE  encrypts with the key on the first line of FILE (AES-256, gpg)
  --keep N             the newest N backups stay, however old (default 7)
  --keep-days D        older than D days go, but for the newest N (default 30)
  --dry-run            says what would be done
  --help

From cron, each night, and rehearsed (docs/backup.md):
  0 2 * * *  backup=$(scripts/backup.sh /var/backups/flatline) && scripts/restore.sh --rehearse "$backup"
END
}

key='' keep=7 keep_days=30 dry_run='' directory=''
while [ $# -gt 0 ]; do
  case $1 in
    --encrypt-with) key=${2:?--encrypt-with needs a file} && shift ;;
    --keep) keep=${2:?--keep needs a number} && shift ;;
    --keep-days) keep_days=${2:?--keep-days needs a number} && shift ;;
    --dry-run) dry_run=yes ;;
    --help) usage && exit ;;
    -*) die "unknown option $1 (--help lists them)" ;;
    *)
      [ -z "$directory" ] || die 'name one directory'
      directory=$1
      ;;
  esac
  shift
done
[[ $keep =~ ^[1-9][0-9]{0,5}$ ]] || die '--keep must be a whole number from 1'
[[ $keep_days =~ ^[0-9]{1,5}$ ]] || die '--keep-days must be a whole number'
directory=${directory:-backups}
require_programs psql pg_dump sha256sum
[ -z "${BACKUP_PING_URL:-}" ] || require_programs curl
if [ -n "$key" ]; then
  require_programs gpg
  check_key "$key"
fi
read_connection

work=$(mktemp -d)
draft=''
clean_up() {
  local status=$?
  trap - EXIT
  [ -z "$draft" ] || rm -rf "$draft"
  rm -rf "$work"
  [ "$status" -eq 0 ] || say 'no backup was made'
  [ -n "$dry_run" ] || ping "/$status"
  exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Whoever has the address can send heartbeats, so that it is not for the command line either.
ping() {
  [ -n "${BACKUP_PING_URL:-}" ] || return 0
  printf 'url = "%s%s"\n' "$BACKUP_PING_URL" "$1" |
    curl --fail --silent --show-error --max-time 10 --retry 3 --output /dev/null --config - || say 'the heartbeat was not sent'
}

# Older than `keep_days` and not among the newest `keep`. Their age is in their names, whatever a copy did to their files.
# And what a backup that was killed left behind.
outdated() {
  [ -d "$directory" ] || return 0
  local limit path
  find "$directory" -mindepth 1 -maxdepth 1 -type d -name '.flatline-*.partial' -mmin +1440
  limit=$(date --utc --date "$keep_days days ago" +%Y%m%dT%H%M%SZ)
  find "$directory" -mindepth 1 -maxdepth 1 -type d -regextype posix-extended \
    -regex '.*/flatline-[0-9]{8}T[0-9]{6}Z' | sort -r | tail -n "+$((keep + 1))" |
    while read -r path; do
      if [[ ${path##*/flatline-} < $limit ]]; then printf '%s\n' "$path"; fi
    done
}

check_server() {
  local server client
  server=$(query 'SHOW server_version_num') || die 'the database cannot be reached'
  client=$(pg_dump --version | grep -oE '[0-9]+' | head -n 1)
  [ "$client" -ge $((server / 10000)) ] ||
    die "pg_dump is version $client and the server $((server / 10000)): install postgresql-client-$((server / 10000)) or newer"
}

# One session holds the snapshot that the dump and the fingerprint are of.
open_snapshot() {
  coproc session { psql --no-psqlrc --quiet --no-align --tuples-only --set ON_ERROR_STOP=1 --dbname "$connection"; }
  # shellcheck disable=SC2154 # session_PID is bash's
  exec {to_session}>&"${session[1]}" {from_session}<&"${session[0]}"
  printf '%s\n' 'SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0;' \
    'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT pg_export_snapshot();' >&"$to_session"
  read -r snapshot <&"$from_session" || die 'the database gave no snapshot'
}

# The answer ends with a line of our own; a session that ended before it has failed.
write_fingerprint() {
  local line
  printf '%s\n\\echo complete\n' "$fingerprint" >&"$to_session"
  while read -r line <&"$from_session"; do
    [ "$line" != complete ] || return 0
    printf '%s\n' "$line"
  done
  return 1
}

dump() { pg_dump --format=custom --snapshot="$snapshot" --dbname="$connection"; }

check_server
name=flatline-$(date --utc +%Y%m%dT%H%M%SZ)
if [ -n "$dry_run" ]; then
  say "would write $directory/$name${key:+, encrypted with the key in $key}"
  outdated | while read -r path; do say "would remove $path"; done
  exit
fi
ping /start
mkdir -p "$directory"
[ ! -e "$directory/$name" ] || die "$directory/$name exists already"
draft=$directory/.$name.$$.partial
mkdir "$draft"
open_snapshot
if [ -n "$key" ]; then
  dump | symmetric "$key" "$work" --symmetric > "$draft/dump.gpg"
else
  dump > "$draft/dump"
fi
write_fingerprint > "$draft/tables" || die 'the tables could not be read'
printf '\\q\n' >&"$to_session"
(cd "$draft" && sha256sum dump* tables > SHA256SUMS)
sync "$draft"/* "$draft"
# Into a directory of that name a rename would move it; -T replaces an empty one at most.
mv -T "$draft" "$directory/$name" || die "$directory/$name exists already"
draft=''
sync "$directory"
say "$(wc -l < "$directory/$name/tables") tables, $(du -sh "$directory/$name" | cut -f 1)"
outdated | while read -r path; do
  rm -r "$path"
  say "removed $path"
done
printf '%s\n' "$directory/$name"
