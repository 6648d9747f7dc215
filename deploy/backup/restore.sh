#!/usr/bin/env bash
# Makes a data folder from a base backup; PostgreSQL then reads the archived log to its end at its first start.
set -euo pipefail
export LC_ALL=C
[ "$#" -eq 3 ] || { echo "usage: restore.sh BASE_BACKUP WAL_ARCHIVE NEW_DATA_FOLDER" >&2; exit 2; }
stop() { echo "$1" >&2; exit 1; }

base=$1 data=$3
[ ! -e "$data" ] || stop "$data is there already: move it away first"
# PostgreSQL reads the archive from a folder of its own, and by a shell.
archive=$(cd "$2" && pwd) || stop "$2 is no folder that can be read"
[[ $archive =~ ^[-A-Za-z0-9_./@+=,:\ ]+$ ]] || stop "$archive: give it a name without special characters"

# To PostgreSQL a file that is not there is the end of the log: so is a wrong folder, and so is a gap.
first=$(sed -n 's/^START WAL LOCATION: .* (file \([0-9A-F]\{24\}\))$/\1/p' "$base/backup_label")
[ -n "$first" ] || stop "$base/backup_label does not say where its log begins"
last='' end='' whole=''
for file in "$base"/pg_wal/* "$archive"/*; do
  name=${file##*/}
  [[ $name =~ ^[0-9A-F]{24}$ && ! $name < $first ]] || continue
  size=$(wc -c < "$file")
  [ "$size" -ge 1048576 ] && [ "${whole:=$size}" -eq "$size" ] ||
    stop "$file is not whole: if it is the last one, move it away"
  # Eight digits of the timeline, then 4 GiB each, then one segment each.
  number=$((16#${name:8:8} * (4294967296 / size) + 16#${name:16:8}))
  [ "$number" -le $((${end:=$number} + 1)) ] ||
    stop "there is a gap before $name: find what is missing, or move the later files away to end there"
  [ "$number" -lt "$end" ] || end=$number
  [ "${file%/*}" != "$archive" ] || last=$name
done
[ -n "$last" ] || stop "$archive holds nothing of $first or later: is it the archive of this server?"

pg_verifybackup --quiet "$base"
cp -R "$base" "$data"
chmod 0700 "$data"
# A status above 125 stops PostgreSQL; any other would end the recovery there, as after a folder that is not mounted.
printf "restore_command = '%s'\n" \
  "test -r \"$archive/$last\" || exit 126; test -e \"$archive/%f\" || exit 1; cp \"$archive/%f\" \"%p\" || exit 126" \
  >> "$data/postgresql.auto.conf"
touch "$data/recovery.signal"
echo "the archive goes to $last"
echo "$data is ready: give it to PostgreSQL's account and start PostgreSQL"
