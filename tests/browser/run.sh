#!/usr/bin/env bash
# Tests the page in a browser against the program itself, on people whose numbers can be counted by hand.
# Takes Debian's chromium unless CHROMIUM names another. Talks to 127.0.0.1 only, once it is installed.
set -euo pipefail
cd "$(dirname "$0")"
command -v node >/dev/null || { echo "the browser tests need Node on the PATH" >&2; exit 1; }
export CHROMIUM="${CHROMIUM:-/usr/bin/chromium}"
if [ ! -x "$CHROMIUM" ]; then
  as_root=$([ "$(id -u)" = 0 ] || echo sudo)
  $as_root apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends chromium >/dev/null
fi
npm ci --silent
(cd ../.. && cargo build --locked --quiet)
target=$(cargo metadata --format-version 1 --no-deps --locked | node -p 'JSON.parse(require("fs").readFileSync(0)).target_directory')
export HEADCOUNT_BINARY="$target/debug/headcount"
exec node --test --test-reporter=spec
