#!/bin/sh
# Measures ours beside the least that it could cost and beside what people use, all in one run, and prints a table.
# Medians of many; on a busy machine look at the ratios. docs/benchmarks.md keeps an output.
# Takes about half an hour, all but four minutes of it for the monitor.
set -eu
cd "$(dirname "$0")/.."

missing=""
for tool in python3 jq strace monit curl; do command -v $tool >/dev/null || missing="$missing $tool"; done
python3 -c 'import zmq' 2>/dev/null || missing="$missing pyzmq"
python3 -c 'import psutil' 2>/dev/null || python3 -m pip install --quiet psutil 2>/dev/null || missing="$missing psutil"
[ -z "$missing" ] || { echo "infra/bench.sh needs$missing" >&2; exit 1; }

target=${CARGO_TARGET_DIR:-target}
cargo build --release --quiet --package healthcheck --bins --examples
cargo build --release --quiet --package health-reporter --example fault_target --all-features
cargo bench --quiet --package health-reporter --bench record --bench heartbeat --bench presence --no-run

# The path of a benchmark, for whoever counts its system calls.
bench() { find "$target/release/deps" -name "$1-*" -type f -perm -u+x -printf '%T@ %p\n' | sort -rn | sed -n '1s/^[^ ]* //p'; }
calls() { strace -f -c -o "$trace" "$@" >/dev/null && awk '$NF == "total" { print $4 }' "$trace"; }
# System calls of each of COUNT more: calls_each BENCH MODE COUNT
calls_each() {
    few=$(calls "$(bench "$1")" "$2" 1)
    many=$(calls "$(bench "$1")" "$2" $(($3 + 1)))
    awk "BEGIN { printf \"%.4f\", ($many - $few) / $3 }"
}
trace=$(mktemp)
trap 'rm -f "$trace"' EXIT

cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
echo "$(date -u +%F), $(nproc) cores of $cpu, Linux $(uname -r), $(rustc --version | cut -d' ' -f1-2)"
echo
echo '| what | ours (× the limit) | the limit | what people use | goal |'
echo '|---|---|---|---|---|'
"$(bench record)"
echo "| system calls of an unchanged record | $(calls_each record quiet 100000) | | | 0 |"
"$(bench heartbeat)"
echo "| system calls of a heartbeat in memory | $(calls_each heartbeat write 1000) | 4 | | ≤ 6 |"
"$(bench presence)"
"$target/release/examples/resources"
python3 infra/bench/processes.py "$target/release"
python3 infra/bench/monitor.py "$target/release"
python3 infra/bench/telling.py "$target/release"
python3 infra/bench/history.py "$target/release"
