#!/usr/bin/env bash
# Makes a data folder from a base backup; PostgreSQL then reads the archived log to its end at its first start.
set -euo pipefail
[ "$#" -eq 3 ] || { echo "usage: restore.sh BASE_BACKUP WAL_ARCHIVE NEW_DATA_FOLDER" >&2; exit 2; }
base=$1 archive=$2 data=$3
[ ! -e "$data" ] || { echo "$data is there already: move it away first" >&2; exit 1; }

pg_verifybackup --quiet "$base"
cp -R "$base" "$data"
chmod 0700 "$data"
printf "restore_command = 'cp \"%s/%%f\" \"%%p\"'\n" "$archive" >> "$data/postgresql.auto.conf"
touch "$data/recovery.signal"
echo "$data is ready: give it to PostgreSQL's account and start PostgreSQL"
