#!/usr/bin/env bash
# Passes all tests on a fresh machine that has Rust, Node and apt; installs what else they need (a browser, and what drives it).
# Arguments are cargo's, and then the browser is left out.
# Longer runs: HEADCOUNT_CASES=100000 (differential), HEADCOUNT_KILLS=10000 (crash), HEADCOUNT_SEED=… (repeat).
set -euo pipefail
cd "$(dirname "$0")"
command -v cargo >/dev/null || { echo "test.sh needs Rust (cargo) on the PATH" >&2; exit 1; }
cargo test --locked "$@"
if [ $# -eq 0 ]; then exec tests/browser/run.sh; fi
