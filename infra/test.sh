#!/bin/sh
# Installs what the tests need, and runs all of them: format, lints, unit, doc, end-to-end and fault tests.
# Needs root (mounts, users, injected system calls): whoever is not root is asked for it by sudo.
set -eu
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || exec sudo -E env "PATH=$PATH" "$0" "$@"

missing=""
need() { command -v "$1" >/dev/null || missing="$missing $2"; }
need cc gcc
need g++ g++
need dash dash
need python3 python3
need strace strace
need setpriv util-linux
need pgrep procps
need /usr/lib/postgresql/15/bin/initdb postgresql-15
need mkfs.ext4 e2fsprogs
need mksquashfs squashfs-tools
need systemd-nspawn "systemd systemd-container"
need dbus-daemon dbus
[ -e /usr/lib/systemd/user/dbus.socket ] || missing="$missing dbus-user-session"
need perl perl
need promtool prometheus
perl -MMonitoring::Plugin -e 1 2>/dev/null || missing="$missing libmonitoring-plugin-perl"
need ip iproute2
need etcd etcd-server
need etcdctl etcd-client
need nft nftables
# What is installed here is started by the tests, not by the machine.
keep_stopped() {
    policy=/usr/sbin/policy-rc.d
    if [ -e $policy ]; then "$@"; return; fi
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod +x $policy
    "$@" || { rm -f $policy; return 1; }
    rm -f $policy
}
if [ -n "$missing" ]; then
    apt-get update -qq
    # shellcheck disable=SC2086  # a list of words
    keep_stopped env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends libc6-dev $missing
fi
# The Python that comes first on the path may not be Debian's.
python3 -c 'import jsonschema' 2>/dev/null ||
    python3 -m pip install --quiet jsonschema 2>/dev/null ||
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-jsonschema
# Only its libzmq has CURVE: ours is built without.
python3 -c 'import zmq; assert zmq.has("curve")' 2>/dev/null ||
    python3 -m pip install --quiet pyzmq 2>/dev/null ||
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-zmq
python3 -c 'import yaml' 2>/dev/null ||
    python3 -m pip install --quiet pyyaml 2>/dev/null ||
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-yaml
# Only the library of the standard knows whether it would believe a webhook.
python3 -c 'import standardwebhooks' 2>/dev/null || python3 -m pip install --quiet standardwebhooks
# Another client of ntfy.
python3 -c 'import apprise' 2>/dev/null || python3 -m pip install --quiet apprise
python3 -c 'import aiosmtpd' 2>/dev/null ||
    python3 -m pip install --quiet aiosmtpd 2>/dev/null ||
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-aiosmtpd

# Another client of etcd, which only knows an old protobuf.
python3 -c 'import etcd3' 2>/dev/null ||
    python3 -m pip install --quiet etcd3 'protobuf<3.21' 2>/dev/null ||
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-etcd3

echo "== format"
cargo fmt --all --check
echo "== lints"
cargo clippy --quiet --workspace --all-targets --all-features -- -D warnings
cargo clippy --quiet --package health-reporter -- -D warnings
echo "== documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --quiet --no-deps --package health-reporter --package healthcheck-core --all-features
echo "== tests"
# Many stories wait for a lease or a deadline: meanwhile another one may go on.
export RUST_TEST_THREADS="${RUST_TEST_THREADS:-$(($(nproc) + 1))}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
{ cargo test --quiet --workspace --all-features --no-fail-fast && echo 0 || echo 1; } 2>&1 | tee "$log"
awk '/^test result:/ { passed += $4; failed += $6 } END { printf "%d passed, %d failed\n", passed, failed }' "$log"
exit "$(tail -n 1 "$log")"
