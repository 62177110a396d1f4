#!/usr/bin/env bash
# Restores a backup made by backup.sh, or rehearses that it can be.
set -euo pipefail
umask 077
# shellcheck source=scripts/postgres.sh
source "$(dirname "${BASH_SOURCE[0]}")/postgres.sh"

usage() {
  cat << 'END'
usage: DATABASE_URL=postgres://… scripts/restore.sh [options] <backup directory>

Checks the sums, restores in one transaction into the database of DATABASE_URL, which must be empty, and compares every table with what
the backup says about it. Start Flatline afterwards: it migrates what is older.

  --rehearse           restores into a scratch database on the same server, compares, and drops it
  --replace NAME       deletes all tables of the database, whose name must be NAME
  --decrypt-with FILE  the key that the backup was encrypted with
  --dry-run            checks the backup and the database, and says what would be done
  --help
END
}

key='' rehearse='' replace='' dry_run='' backup=''
while [ $# -gt 0 ]; do
  case $1 in
    --decrypt-with) key=${2:?--decrypt-with needs a file} && shift ;;
    --replace) replace=${2:?--replace needs the name of the database} && shift ;;
    --rehearse) rehearse=yes ;;
    --dry-run) dry_run=yes ;;
    --help) usage && exit ;;
    -*) die "unknown option $1 (--help lists them)" ;;
    *)
      [ -z "$backup" ] || die 'name one backup'
      backup=${1%/}
      ;;
  esac
  shift
done
[ -n "$backup" ] || die 'name the backup to restore (--help)'
[ -z "$rehearse" ] || [ -z "$replace" ] || die '--rehearse replaces nothing: leave --replace away'
require_programs psql pg_restore sha256sum
read_connection
began=$SECONDS

work=$(mktemp -d)
scratch=''
clean_up() {
  local status=$?
  trap - EXIT
  [ -z "$scratch" ] || query "DROP DATABASE IF EXISTS $scratch WITH (FORCE)" > /dev/null || say "drop the database $scratch"
  rm -rf "$work"
  exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

check_backup() {
  local sums
  sums=$(wc -l < "$backup/SHA256SUMS") 2> /dev/null || die "$backup is not a whole backup: it has no SHA256SUMS"
  [ "$sums" -eq 2 ] || die "$backup is not a whole backup: its SHA256SUMS does not list a dump and the tables"
  (cd "$backup" && sha256sum --check --strict --quiet SHA256SUMS > /dev/null 2>&1) || die "$backup is damaged: its SHA-256 does not fit"
  if [ -f "$backup/dump.gpg" ]; then
    [ -n "$key" ] || die "$backup is encrypted: name the key with --decrypt-with"
    require_programs gpg
    check_key "$key"
    # All of it, before anything is done: only at the end is it known that nobody changed it.
    archive > /dev/null 2>&1 || die "$backup cannot be decrypted with the key in $key"
  fi
  archive | { pg_restore --list > /dev/null && cat > /dev/null; } || die "$backup cannot be read by $(pg_restore --version)"
}

archive() {
  if [ -f "$backup/dump.gpg" ]; then
    symmetric "$key" "$work" --decrypt < "$backup/dump.gpg"
  else
    cat "$backup/dump"
  fi
}

# Ours, not those of an extension.
tables="SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')"

check_target() {
  local name users
  name=$(query 'SELECT current_database()') || die 'the database cannot be reached'
  [ -z "$rehearse" ] || return 0
  [ -z "$replace" ] || [ "$replace" = "$name" ] || die "the database of DATABASE_URL is $name, not $replace"
  users=$(query "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'flatline' AND pid <> pg_backend_pid()")
  [ "$users" -eq 0 ] || die "a running Flatline has $users connections to $name: stop it first"
  [ -n "$replace" ] || [ -z "$(query "$tables LIMIT 1")" ] ||
    die "$name is not empty: make a new database, or delete everything in it with --replace $name"
}

drop_tables="SET LOCAL lock_timeout = 5000; SET LOCAL client_min_messages = warning;
DO \$do\$ DECLARE name regclass; BEGIN
  FOR name IN $tables AND NOT c.relispartition LOOP EXECUTE format('DROP TABLE %s CASCADE', name); END LOOP;
END \$do\$;"

# One transaction: without the COMMIT, which is sent only after a dump that was read to its end, nothing has happened.
restore_into() {
  {
    printf '%s\n' 'BEGIN;' "${replace:+$drop_tables}" &&
      archive | pg_restore --no-owner --no-privileges --no-comments --file=- &&
      printf '%s\n' 'COMMIT;' 'RESET search_path;' 'ANALYZE;'
  } | psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --dbname "$1" > /dev/null
}

compare() {
  psql --no-psqlrc --quiet --no-align --tuples-only --set ON_ERROR_STOP=1 --dbname "$1" <<< "$fingerprint" > "$work/tables"
  diff "$backup/tables" "$work/tables" > "$work/differences" && return
  say 'these tables differ (<: as backed up, >: as restored; name, rows, hash)'
  cat "$work/differences" >&2
  return 1
}

check_backup
check_target
if [ -n "$dry_run" ]; then
  say "$backup is whole and would be restored into ${rehearse:+a scratch database beside }$(query 'SELECT current_database()')"
  exit
fi
target=$connection
if [ -n "$rehearse" ]; then
  scratch=flatline_rehearsal_$(date --utc +%Y%m%d%H%M%S)_$$
  query "CREATE DATABASE $scratch TEMPLATE template0" > /dev/null ||
    die 'no scratch database could be made: the role needs CREATEDB'
  separator='?'
  [[ $connection != *\?* ]] || separator='&'
  target=$connection${separator}dbname=$scratch
fi
restore_into "$target" || die 'the restore failed, and was taken back whole'
compare "$target" || die "what was restored is not what was backed up"
rows=$(awk -F '|' '{ rows += $2 } END { print rows + 0 }' "$backup/tables")
say "$(wc -l < "$backup/tables") tables with $rows rows are as they were, after $((SECONDS - began)) s${rehearse:+ (rehearsed)}"
