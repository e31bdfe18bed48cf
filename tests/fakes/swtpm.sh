#!/bin/bash
# A software TPM in a folder, with everything that a laptop's TPM has: its own
# manufacturer CA, EK certificates in NV memory (RSA-2048 at 0x01c00002, ECC
# P-256 at 0x01c0000a) and boot measurements that an event log explains.
#
#   swtpm.sh manufacture DIR   make the TPM (1.5 s); it is not running after
#   swtpm.sh start DIR         power it on; says the TCTI string
#   swtpm.sh extend DIR        measure the boot: PCRs 0-7 from DIR/eventlog.bin
#   swtpm.sh stop DIR          power it off
#   swtpm.sh reboot DIR        power cycle: start again, PCRs 0, not extended
#
# DIR then holds state/, ca/root.pem (the manufacturer's root), ekcerts/,
# tpm.sock, pid and eventlog.bin. As Intel does, the TPM keeps the issuing CA's
# certificate in NV memory (0x01c00100), so the root alone has to be trusted.
set -euo pipefail

die() { echo "swtpm.sh: $*" >&2; exit 1; }

[ $# -eq 2 ] || die "usage: $0 manufacture|start|extend|stop|reboot DIR"
command=$1
mkdir -p "$2"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dir=$(cd "$2" && pwd)
[ ${#dir} -le 90 ] || die "$dir is too long for a socket in it"
tcti="swtpm:path=$dir/tpm.sock"
export TPM2TOOLS_TCTI=$tcti TSS2_LOG=all+none

write_config() {
  mkdir -p "$dir/ca" "$dir/state" "$dir/ekcerts"
  cat >"$dir/localca.conf" <<EOF
statedir = $dir/ca
signingkey = $dir/ca/signkey.pem
issuercert = $dir/ca/issuercert.pem
certserial = $dir/ca/certserial
EOF
  printf '%s\n' --tpm-manufacturer id:00001014 --tpm-model swtpm \
    --tpm-version id:20191023 --platform-manufacturer Countersign \
    --platform-version 1 --platform-model Tests >"$dir/localca.options"
  cat >"$dir/setup.conf" <<EOF
create_certs_tool = /usr/bin/swtpm_localca
create_certs_tool_config = $dir/localca.conf
create_certs_tool_options = $dir/localca.options
EOF
}

# store_in_nv INDEX FILE: as a manufacturer does, for good.
store_in_nv() {
  tpm2_nvdefine -Q -C p "$1" -s "$(stat -c %s "$2")" -a \
    "ppwrite|ppread|ownerread|authread|no_da|platformcreate|writedefine"
  tpm2_nvwrite -Q -C p "$1" -i "$2"
  tpm2_nvwritelock -Q -C p "$1"
}

# swtpm_setup certifies a P-384 key; laptops have P-256 ones at 0x01c0000a.
certify_p256() {
  local key="$dir/ek-p256.pub" x y
  tpm2_createek -Q -G ecc -c "$dir/ek-p256.ctx" -u "$key" -f tss
  tpm2_flushcontext -Q -t
  local point
  point=$(tpm2_print -t TPM2B_PUBLIC "$key")
  x=$(awk '$1 == "x:" {print $2}' <<<"$point")
  y=$(awk '$1 == "y:" {print $2}' <<<"$point")
  swtpm_localca --type ek --ek "x=$x,y=$y,id=secp256r1" --dir "$dir/ekcerts" \
    --vmid tests --configfile "$dir/localca.conf" \
    --optsfile "$dir/localca.options" --tpm2 --tpm-spec-family 2.0 \
    --tpm-spec-level 0 --tpm-spec-revision 164 >"$dir/localca.log" 2>&1 ||
    die "swtpm_localca: $(cat "$dir/localca.log")"
  mv "$dir/ekcerts/ek.cert" "$dir/ekcerts/ek-secp256r1.crt"
  store_in_nv 0x1c0000a "$dir/ekcerts/ek-secp256r1.crt"
  openssl x509 -in "$dir/ca/issuercert.pem" -outform der \
    -out "$dir/ca/issuercert.der"
  store_in_nv 0x1c00100 "$dir/ca/issuercert.der"
  rm -f "$dir/ek-p256.ctx"
}

manufacture() {
  write_config
  swtpm_setup --tpm2 --tpmstate "$dir/state" --config "$dir/setup.conf" \
    --create-ek-cert --create-platform-cert --lock-nvram --overwrite \
    --write-ek-cert-files "$dir/ekcerts" >"$dir/setup.log" 2>&1 ||
    die "swtpm_setup: $(tail -5 "$dir/setup.log")"
  start >/dev/null
  certify_p256
  stop
  cat "$dir/ca/swtpm-localca-rootca-cert.pem" >"$dir/ca/root.pem"
}

# A daemon that ended may stay as a zombie where nobody reaps orphans.
is_alive() {
  local state
  state=$(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null) || return 1
  [ "${state%% *}" != Z ]
}

is_running() { [ -s "$dir/pid" ] && is_alive "$(cat "$dir/pid")"; }

start() {
  is_running && die "$dir runs already"
  rm -f "$dir/tpm.sock" "$dir/tpm.sock.ctrl"
  swtpm socket --tpm2 --tpmstate "dir=$dir/state" \
    --server "type=unixio,path=$dir/tpm.sock" \
    --ctrl "type=unixio,path=$dir/tpm.sock.ctrl" \
    --flags not-need-init,startup-clear --pid "file=$dir/pid" --daemon \
    >"$dir/swtpm.log" 2>&1 || die "swtpm: $(cat "$dir/swtpm.log")"
  echo "$tcti"
}

extend() {
  local extends
  extends=$("$here/make_event_log.py" "$dir/eventlog.bin")
  # In one call, for speed.
  awk '{print $1 ":sha256=" $2}' <<<"$extends" | xargs tpm2_pcrextend
}

stop() {
  is_running || return 0
  local pid
  pid=$(cat "$dir/pid")
  swtpm_ioctl --unix "$dir/tpm.sock.ctrl" -s 2>/dev/null || kill "$pid"
  for _ in $(seq 200); do
    is_alive "$pid" || return 0
    sleep 0.01
  done
  kill -9 "$pid"
}

case $command in
  manufacture | start | extend | stop) $command ;;
  reboot) stop && start ;;
  *) die "unknown command $command" ;;
esac
