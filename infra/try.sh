#!/bin/sh
# Builds healthcheck, starts a few example services that link the reporter, and shows how this machine is.
set -eu
cd "$(dirname "$0")/.."

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# The build needs compilers of C and C++: to link, and for libzmq.
if ! command -v cc >/dev/null || ! command -v g++ >/dev/null; then
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends gcc g++ libc6-dev
fi
echo "building, which takes a few minutes the first time …"
cargo build --release --quiet --package healthcheck --package health-reporter \
    --bin healthcheck --example camera --example transcoder --example recorder

bin=${CARGO_TARGET_DIR:-$PWD/target}/release
seconds=600
start() { setsid "$@" >>logs/examples.log 2>&1 </dev/null & }
mkdir -p logs/health
# Watches for as long as the examples run; one that is there already goes on.
setsid timeout $seconds "$bin/healthcheck" monitor >>logs/monitor.jsonl 2>>logs/examples.log </dev/null &
start "$bin/examples/camera" $seconds
start "$bin/examples/transcoder" $seconds
start "$bin/examples/recorder"
"$bin/healthcheck" run --service backup --deadline 26h -- echo 'backup: 3 files copied'
"$bin/healthcheck" report disk --status healthy --message '61 % of / taken' --deadline 10m

# The recorder fails after a second; then there is something to see.
sleep 1.5
echo
code=0
"$bin/healthcheck" --format table || code=$?
# The recorder is what is wrong: an error, and nothing else, is what was to be seen.
[ "$code" = 2 ] || { echo "the snapshot ended with $code instead of 2: see logs/examples.log" >&2; exit 1; }
cat <<EOF

camera, transcoder and the monitor end by themselves after $((seconds / 60)) minutes.
Look again:         target/release/healthcheck
See what changes:   tail -f logs/monitor.jsonl
Kill one and ask:   pkill -9 -x camera; target/release/healthcheck why camera
EOF
