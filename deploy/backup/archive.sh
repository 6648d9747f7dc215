#!/usr/bin/env bash
# PostgreSQL's archive_command: keeps a file whole or not at all, and takes again what it took before a crash.
set -euo pipefail
[ "$#" -eq 2 ] || { echo "usage: archive.sh FILE KEPT_AS" >&2; exit 2; }
file=$1 kept=$2

if [ -e "$kept" ]; then
  cmp "$file" "$kept" && exit 0
  echo "$kept is there already and is another file: move it away" >&2
  exit 1
fi
cp "$file" "$kept.part"
sync "$kept.part"
mv "$kept.part" "$kept"
sync "$(dirname "$kept")"
