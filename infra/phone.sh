#!/bin/sh
# From a clone to the first push on the phone: makes a topic that nobody can guess, a channel of it in ./healthcheck.toml,
# and sends a first notice through it. NTFY_SERVER is another server than ntfy.sh, HEALTHCHECK a program that is built already.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
server=${NTFY_SERVER:-https://ntfy.sh}
config=healthcheck.toml

program=${HEALTHCHECK:-${CARGO_TARGET_DIR:-$root/target}/release/healthcheck}
if [ ! -x "$program" ]; then
    echo "building, which takes a few minutes the first time …"
    (cd "$root" && cargo build --release --quiet --package healthcheck)
fi

if [ -e "$config" ] && grep -q '^\[channels\.phone\]' "$config"; then
    echo "$config has a channel called phone already: it is used as it is"
    topic=$(sed -n '/^\[channels\.phone\]/,/^\[/ s/^topic *= *"\(.*\)"/\1/p' "$config")
else
    # Whoever knows the topic can read along: 80 random bits.
    topic=healthcheck-$(od -An -N10 -tx1 /dev/urandom | tr -d ' \n')
    [ ! -e "$config" ] || echo >>"$config"
    (umask 077 && printf '[channels.phone]\nkind = "ntfy"\nserver = "%s"\ntopic = "%s"\n' "$server" "$topic" >>"$config")
    echo "$config has a new channel called phone"
fi

cat <<EOF

1. Install the app ntfy on your phone (https://ntfy.sh, in each app store), or open $server/$topic in a browser.
2. Subscribe there to this topic${NTFY_SERVER:+ of $server}:

       $topic

EOF
if [ -t 0 ]; then
    printf '3. Press Enter, and it rings. '
    read -r _
fi
"$program" drill --format table
cat <<EOF

From now on \`healthcheck monitor\` tells you there what goes wrong in this directory. Try it:
       $program monitor &
       $program run --service camera -- sleep 600 &  sleep 2; pkill -9 -f '^sleep 600'
EOF
