# What installers/quickstart is made of: steps on the screen, programs in the
# background that end with it, and accounts. Sourced, not run.
# Needs of its caller: dir, tpm, steps, signer, uplink, service.
# shellcheck shell=bash disable=SC2154,SC2034

# -- the screen ---------------------------------------------------------------

if [[ -t 1 && -z ${NO_COLOR-} ]]; then
  bold=$'\e[1m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
else
  bold='' green='' red='' plain=''
fi
step_number=0
step_text=''

# step TEXT: says what comes next; done_step: that it worked.
step() {
  step_number=$((step_number + 1))
  step_text=$1
  printf '%s%2d/%d%s  %s … ' "$bold" "$step_number" "$steps" "$plain" "$1"
}
done_step() {
  printf '%s✓%s%s\n' "$green" "$plain" "${1:+ $1}"
  step_text=''
}
note() { printf '       %s\n' "$1"; }

# fail MESSAGE [LOG…]: ends the quickstart, showing the end of the logs.
fail() {
  [[ -z $step_text ]] || printf '%s✗%s\n' "$red" "$plain"
  printf '\n%sThe quickstart failed:%s %s\n' "$red" "$plain" "$1" >&2
  shift
  local log
  for log in "$@"; do
    [[ -s $log ]] || continue
    printf '\n-- the end of %s:\n' "$log" >&2
    tail -n 25 "$log" >&2
  done
  exit 1
}

# quietly LOG COMMAND…: output goes to LOG, and is shown if it fails.
quietly() {
  local log=$1
  shift
  "$@" >"$log" 2>&1 </dev/null || fail "$(basename "$1") did not work" "$log"
}

# with_percent LOG COMMAND…: the same for a build; a terminal sees how far it is.
with_percent() {
  local log=$1 line
  shift
  "$@" 2>&1 </dev/null | tee "$log" | while IFS= read -r line; do
    if [[ -t 1 && $line =~ ^\[([0-9]+)/([0-9]+)\] ]]; then
      printf '%3d %%\b\b\b\b\b' $((100 * BASH_REMATCH[1] / BASH_REMATCH[2]))
    fi
  done || fail 'the build did not work' "$log"
}

# quoted WORD…: as a shell takes them back, for scripts and what people copy.
quoted() {
  local text
  printf -v text '%q ' "$@"
  printf '%s' "${text% }"
}

# -- programs in the background -----------------------------------------------

# Field 22 of /proc/PID/stat: with it a pid names one process and no other.
start_ticks() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  awk '{print $20}' <<<"${stat##*) }"
}

remember() { echo "$2 $(start_ticks "$2")" >"$dir/run/$1.pid"; }

# start NAME COMMAND…: in a session of its own, so that --keep outlives us.
# setsid and setpriv become the program, so the pid is the program's.
start() {
  local name=$1
  shift
  setsid "$@" >>"$dir/log/$name.log" 2>&1 </dev/null &
  remember "$name" $!
}

running() {
  local pid ticks
  read -r pid ticks <"$dir/run/$1.pid" && [[ $(start_ticks "$pid") == "$ticks" ]]
}

# wait_for NAME COMMAND…: until the command succeeds; NAME must keep running.
wait_for() {
  local name=$1 deadline=$((SECONDS + 30))
  shift
  until "$@" >"$dir/log/wait.log" 2>&1; do
    running "$name" || fail "$name ended early" "$dir/log/$name.log"
    ((SECONDS < deadline)) || fail "$name did not come up within 30 seconds" \
      "$dir/log/$name.log" "$dir/log/wait.log"
    sleep 0.1
  done
}

# DIR/stop ends what was started, and nothing else: it is written at once, and
# our own end calls it as well.
write_stop() {
  {
    echo '#!/usr/bin/env bash'
    echo '# Ends what installers/quickstart started in this folder.'
    declare -f start_ticks
    cat <<'STOP'
cd "$(dirname "$0")/run" || exit 1
for name in uplink daemon resource other-resource authz tpm; do
  read -r pid ticks 2>/dev/null <"$name.pid" || continue
  [[ $(start_ticks "$pid") == "$ticks" ]] && kill "$pid"
  for _ in {1..200}; do
    [[ $(start_ticks "$pid") == "$ticks" ]] || break
    sleep 0.1
  done
  [[ $(start_ticks "$pid") == "$ticks" ]] && kill -9 "$pid"
  rm -f "$name.pid"
done
STOP
  } >"$dir/stop"
  chmod +x "$dir/stop"
}

# -- accounts -----------------------------------------------------------------

# Prefixes that run a command under an account; empty where all share one.
as_signer=() as_uplink=() as_service=()
choose_accounts() {
  local as=(setpriv --no-new-privs --clear-groups)
  as_uplink=("${as[@]}" --reuid="$uplink" --regid="$uplink"
    --bounding-set=-all)
  as_service=("${as[@]}" --reuid="$service" --regid="$service"
    --bounding-set=-all)
  # The daemon names other people's programs by what the kernel says of their
  # executable; to read that takes two capabilities. The group opens a real TPM.
  local may=+sys_ptrace,+dac_read_search
  as_signer=(setpriv --no-new-privs --reuid="$signer" --regid="$signer"
    --inh-caps="$may" --ambient-caps="$may" --bounding-set="-all,$may")
  if [[ $tpm == device ]]; then
    as_signer+=(--groups="$(stat -c %g /dev/tpmrm0)")
  else
    as_signer+=(--clear-groups)
  fi
}

# Not one of the ports that the kernel gives to outgoing connections: it may give
# it away before it is used.
free_port() {
  /usr/bin/python3 -c 'import random, socket
while True:
    port = random.randrange(10000, 32000)
    with socket.socket() as s:
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            continue
    print(port)
    break'
}

# json_value KEY: of the JSON object on standard input, as text.
json_value() {
  /usr/bin/python3 -c '
import json, sys
value = json.load(sys.stdin)[sys.argv[1]]
print(value if isinstance(value, str) else json.dumps(value))' "$1"
}
