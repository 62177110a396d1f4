# shellcheck shell=bash
# For backup.sh and restore.sh: the connection, encryption, and what a table holds in one line. To be sourced.

die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

# require_programs NAME…
require_programs() {
  local program
  for program in "$@"; do
    command -v "$program" > /dev/null || die "needs $program, which is not installed"
  done
}

# Sets `connection` from DATABASE_URL or the file that DATABASE_URL_FILE names. The password leaves the address: command lines can be
# read by everybody on the machine, environments only by their owner.
read_connection() {
  local url=${DATABASE_URL:-}
  if [ -z "$url" ] && [ -n "${DATABASE_URL_FILE:-}" ]; then
    [ -r "$DATABASE_URL_FILE" ] || die 'the file that DATABASE_URL_FILE names cannot be read'
    url=$(< "$DATABASE_URL_FILE")
  fi
  unset DATABASE_URL
  [ -n "$url" ] || die 'set DATABASE_URL, or DATABASE_URL_FILE to a file that holds it'
  [[ $url =~ ^postgres(ql)?:// ]] || die 'DATABASE_URL must be a postgres:// or postgresql:// address'

  local rest=${url#*://} authority path parameters=''
  authority=${rest%%[/?#]*}
  path=${rest#"$authority"}
  path=${path%%#*}
  if [[ $path == *\?* ]]; then
    parameters=${path#*\?}
    path=${path%%\?*}
  fi
  local user='' host=$authority
  if [[ $authority == *@* ]]; then
    user=${authority%@*}
    host=${authority##*@}
    if [[ $user == *:* ]]; then
      PGPASSWORD=$(decoded "${user#*:}")
      export PGPASSWORD
    fi
    user=${user%%:*}@
  fi
  connection=postgresql://$user$host$path$(known_parameters "$parameters")
}

# Percent-encoding undone.
decoded() {
  local text=${1//\\/\\\\}
  printf '%b' "${text//%/\\x}"
}

# Those of node-postgres are not all known to libpq, which refuses what it does not know.
known_parameters() {
  local parameter separator='?' parameters
  IFS='&' read -ra parameters <<< "$1"
  for parameter in "${parameters[@]}"; do
    case $parameter in
      password=*) die 'DATABASE_URL has its password among the parameters: put it before the host' ;;
      sslmode=no-verify) parameter=sslmode=require ;;
      host=* | port=* | user=* | dbname=* | sslmode=* | sslcert=* | sslkey=* | sslrootcert=* | sslcrl=* | options=* | \
        connect_timeout=* | target_session_attrs=* | channel_binding=* | keepalives*=*) ;;
      *) continue ;;
    esac
    printf '%s%s' "$separator" "$parameter"
    separator='&'
  done
}

# query SQL [CONNECTION]: rows without decoration.
query() { psql --no-psqlrc --quiet --no-align --tuples-only --set ON_ERROR_STOP=1 --dbname "${2:-$connection}" --command "$1"; }

# One row for each table: its name, how many rows, and a sum over the hashes of all rows, whatever their order.
# shellcheck disable=SC2034 # used by those who source this
fingerprint="SET search_path = pg_catalog; SET timezone = 'UTC'; SET datestyle = 'ISO'; SET intervalstyle = 'postgres';
SET bytea_output = 'hex'; SET extra_float_digits = 3;
SELECT format(
  'SELECT %L, count(*), coalesce(sum((''x'' || substr(md5(t::text), 1, 15))::bit(60)::bigint), 0) FROM %s t', c.oid::regclass, c.oid::regclass)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY n.nspname, c.relname \\gexec"

# symmetric KEY_FILE WORK_DIR ARGUMENT…: gpg without its agent, its home and its settings. Encrypts AES-256, and notices every change.
symmetric() {
  local key=$1 home=$2/gnupg
  shift 2
  mkdir -p "$home"
  gpg --homedir "$home" --batch --quiet --no-options --no-autostart --no-symkey-cache --pinentry-mode loopback \
    --passphrase-file "$key" --cipher-algo AES256 --s2k-mode 3 --s2k-digest-algo SHA512 --s2k-count 65011712 \
    --compress-algo none --output - "$@"
}

# Refuses a key that others can read, or that is none.
check_key() {
  [ -r "$1" ] || die "the key file $1 cannot be read"
  local length
  length=$(head -n 1 "$1" | tr -d '\n' | wc -c)
  [ "$length" -ge 32 ] || die "the first line of $1 must have at least 32 characters (openssl rand -base64 32 > FILE)"
  [ -z "$(find -L "$1" -perm /077)" ] || die "$1 can be read by others: chmod 600 $1"
}
