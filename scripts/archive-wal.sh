#!/usr/bin/env bash
# PostgreSQL's archive_command: keeps a finished segment of its log elsewhere, so that what was acknowledged outlives the server's disk.
#   archive_command = '/opt/flatline/scripts/archive-wal.sh "%p" "/mnt/archive/%f"'
set -euo pipefail
umask 077
[ $# -eq 2 ] || { echo 'usage: archive-wal.sh <segment> <new file>' >&2 && exit 2; }
segment=$1 target=$2

# PostgreSQL may archive a segment again after a crash: an identical file is success, a different one belongs to another server.
if [ -e "$target" ]; then
  cmp --silent "$segment" "$target" && exit
  echo "archive-wal.sh: $target exists with other contents" >&2
  exit 1
fi
draft=$target.$$.partial
trap 'rm -f "$draft"' EXIT
cp "$segment" "$draft"
sync "$draft"
mv --no-clobber "$draft" "$target"
sync "$(dirname "$target")"
