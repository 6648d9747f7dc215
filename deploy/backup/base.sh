#!/usr/bin/env bash
# A base backup of the whole PostgreSQL, checked. The account needs the right REPLICATION.
set -euo pipefail
[ "$#" -eq 2 ] || { echo "usage: base.sh NEW_FOLDER POSTGRES_URL" >&2; exit 2; }
folder=$1 from=$2

pg_basebackup --dbname="$from" --pgdata="$folder" --checkpoint=fast --wal-method=stream
pg_verifybackup --quiet "$folder"
echo "$folder is complete"
