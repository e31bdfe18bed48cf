#!/usr/bin/env bash
# A real PostgreSQL server for tests, in the foreground: everything of it lies
# in DIR, it listens on a socket there and nowhere else, and it ends with
# whoever started it. What it has is durable as in earnest (fsync is on).
#
#   tests/fakes/postgres.sh DIR [postgres option…]
#
# Connect as postgresql:///DATABASE?host=DIR&user=countersign. SIGINT stops it;
# started again on the same DIR, it has what it had. Exit code 77: no server is
# installed (installers/dependencies test). PostgreSQL refuses to run as root,
# so root runs it as nobody.
set -euo pipefail
dir=${1:?DIR is missing}
shift

bin=
for folder in /usr/lib/postgresql/*/bin; do
  [[ -x $folder/postgres && -x $folder/initdb ]] && bin=$folder
done
if [[ -z $bin ]]; then
  bin=$(dirname "$(command -v initdb)") || exit 77
fi

as=(setpriv --pdeathsig=INT)
if ((EUID == 0)); then
  chown nobody:nogroup "$dir"
  as=(setpriv --reuid=nobody --regid=nogroup --clear-groups --pdeathsig=INT)
fi
cd "$dir"
if [[ ! -e data/PG_VERSION ]]; then
  "${as[@]}" "$bin/initdb" -D "$dir/data" -U countersign --auth=trust \
    --no-sync -E UTF8 --locale=C >"$dir/initdb.log" 2>&1 ||
    { cat "$dir/initdb.log" >&2 && exit 1; }
fi
exec "${as[@]}" "$bin/postgres" -D "$dir/data" -k "$dir" \
  -c listen_addresses= -c max_connections=200 -c shared_buffers=32MB \
  -c recovery_init_sync_method=syncfs "$@"
