#!/usr/bin/env bash
# Writes a ledger with our code and checks it with Go's.
#   tlog_test.sh LEDGER_DUMP
# Debian: golang-go. The one module it needs is pinned by tlog/go.sum. Exits
# 77, which ctest counts as skipped, where there is no Go.
set -euo pipefail
cd "$(dirname "$0")/tlog"
ledger_dump=$1
command -v go >/dev/null || { echo 'go is not installed'; exit 77; }

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# The module needs no C compiler, and this toolchain is as good as any.
CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-mod=readonly \
  go build -o "$dir/verify" .
"$ledger_dump" "$dir/log"
"$dir/verify" "$dir/log"

# The check can fail: one bit of an entry, a tile, a proof or a checkpoint.
refused() {
  local file=$1 offset=$2 copy=$dir/copy byte
  rm -rf "$copy" && cp -r "$dir/log" "$copy"
  byte=$(od -An -tu1 -j "$offset" -N 1 "$copy/$file")
  printf '%b' "\\x$(printf %x $((byte ^ 1)))" |
    dd of="$copy/$file" bs=1 seek="$offset" conv=notrunc status=none
  if "$dir/verify" "$copy" 2>/dev/null; then
    echo "verify accepts a changed $file"
    return 1
  fi
  echo "verify refuses a changed $file"
}
refused tile/entries/017 900
refused tile/0/017 5
refused tile/1/000 5
refused inclusion/40000 3
refused consistency/700 3
refused checkpoint 21
refused checkpoint.old 21
