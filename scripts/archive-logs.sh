#!/usr/bin/env bash
# Keeps rotated log files elsewhere: those of LOG_FILE, and those of logs/logrotate.conf, which calls it after each rotation.
#   archive-logs.sh /var/log/flatline s3://example-logs/flatline     or gs://…, or another directory
# Each file is archived once, compressed. Its name moves on with each rotation, so that it is known by its checksum: those of the files that
# are still there are in <directory>/.archived.
set -euo pipefail
umask 077
[ $# -eq 2 ] || { echo 'usage: archive-logs.sh <directory> <s3://… | gs://… | directory>' >&2 && exit 2; }
directory=$1 destination=${2%/}

# What comes on standard input, under this name.
put() {
  case $destination in
    s3://*) aws s3 cp --only-show-errors - "$destination/$1" ;;
    gs://*) gcloud storage cp --quiet - "$destination/$1" ;;
    *)
      mkdir -p "$destination"
      cat > "$destination/.$1.partial"
      mv "$destination/.$1.partial" "$destination/$1"
      ;;
  esac
}

known=$directory/.archived
touch "$known"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

shopt -s nullglob
for file in "$directory"/*.log.[0-9]*; do
  # The service may rotate meanwhile: what is read twice has to be one file.
  cp --preserve=timestamps "$file" "$work/copy" || continue
  sum=$(zcat --force "$work/copy" | sha256sum | cut -c -16)
  if ! grep --quiet --line-regexp "$sum" "$known"; then
    base=$(basename "$file")
    name=${base%%.log.*}-$(date --utc --reference="$work/copy" +%Y%m%dT%H%M%SZ)-$sum.log.gz
    zcat --force "$work/copy" | gzip | put "$name"
    # At once: the next file may fail.
    echo "$sum" >> "$known"
  fi
  echo "$sum" >> "$work/seen"
done
[ ! -s "$work/seen" ] || cp "$work/seen" "$known"
