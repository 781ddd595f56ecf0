#!/bin/sh
# Installs the monitor of this machine as a service: ./infra/install.sh [PROGRAM | --uninstall]
# PROGRAM is target/release/healthcheck, built if it is not there. To install again replaces what changed, and restarts
# the monitor only then. Everything goes below /usr/local; /etc stays the administrator's.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
program=/usr/local/bin/healthcheck
lib=/usr/local/lib
unit=$lib/systemd/system/healthcheck.service
kernel_log=$unit.d/10-kernel-log.conf
sysusers=$lib/sysusers.d/healthcheck.conf
tmpfiles=$lib/tmpfiles.d/healthcheck.conf

fail() { echo "install.sh: $1" >&2; exit 1; }

usage() { sed -n '2,4s/^# //p' "$0"; }

# The program to install, on standard output.
built() {
    release=${CARGO_TARGET_DIR:-$here/../target}/release/healthcheck
    if [ ! -x "$release" ]; then
        command -v cargo >/dev/null || fail "$release is not there, and root has no cargo to build it: \
run 'cargo build --release --package healthcheck' as the user who has one, then this again"
        echo "building, which takes a few minutes the first time …" >&2
        (cd "$here/.." && cargo build --release --quiet --package healthcheck --bin healthcheck) >&2 ||
            fail "it cannot be built"
    fi
    echo "$release"
}

# Puts a file where it belongs unless it is there already. A program that runs is replaced, not written to.
changed=no
put() { # MODE FROM TO
    if cmp -s "$2" "$3"; then return; fi
    mkdir -p "$(dirname "$3")"
    install -m "$1" "$2" "$3.new"
    mv -f "$3.new" "$3"
    changed=yes
}

put_away() {
    if [ ! -e "$1" ]; then return; fi
    rm -f "$1"
    changed=yes
}

install_service() {
    "$1" --version >/dev/null || fail "$1 does not run here: give the path of a program that was built for this machine"
    put 755 "$1" $program
    put 644 "$here/systemd/healthcheck.service" $unit
    put 644 "$here/systemd/sysusers.d/healthcheck.conf" $sysusers
    put 644 "$here/systemd/tmpfiles.d/healthcheck.conf" $tmpfiles
    # A container has no capability for the kernel's log, and a unit that asks for one would not start.
    if systemd-detect-virt --quiet --container; then put_away $kernel_log
    else put 644 "$here/systemd/healthcheck.service.d/10-kernel-log.conf" $kernel_log; fi
    systemd-sysusers $sysusers
    systemd-tmpfiles --create $tmpfiles
    systemctl daemon-reload
    systemctl --quiet enable healthcheck
    verb=start
    if [ $changed = yes ]; then verb=restart; fi
    systemctl $verb healthcheck || fail "it does not start: see 'journalctl -u healthcheck', and 'healthcheck config check'"
    echo "the monitor runs: 'healthcheck' shows the machine, 'journalctl -u healthcheck' its story;"
    echo "what it expects is said in /etc/healthcheck/healthcheck.toml, then 'systemctl reload healthcheck'"
}

uninstall_service() {
    if [ -e $unit ]; then systemctl --quiet disable --now healthcheck; fi
    for file in $kernel_log $unit $sysusers $tmpfiles $program; do put_away $file; done
    rmdir $unit.d 2>/dev/null || true
    systemctl daemon-reload
    echo "gone; left are /etc/healthcheck, /var/lib/healthcheck, /var/cache/healthcheck and the user healthcheck:"
    echo "rm -r /etc/healthcheck /var/lib/healthcheck /var/cache/healthcheck; userdel healthcheck"
}

case ${1-} in -h | --help) usage; exit 0 ;; esac
[ $# -le 1 ] || { usage >&2; exit 1; }
[ "$(id -u)" = 0 ] || fail "only root installs services: run 'sudo $0${1:+ $1}'"
[ -d /run/systemd/system ] || fail "systemd does not run here: start 'healthcheck monitor' by what starts services here"
case ${1-} in
    --uninstall) uninstall_service ;;
    -*) usage >&2; exit 1 ;;
    '')
        found=$(built)
        install_service "$found"
        ;;
    *)
        [ -x "$1" ] || fail "$1 is no program: build one with 'cargo build --release --package healthcheck'"
        install_service "$1" ;;
esac
