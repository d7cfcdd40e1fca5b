#!/usr/bin/env bash
# Headcount beside roaring, croaring, DuckDB and ClickHouse: one run, one Markdown table on standard output.
#   benches/rivals/table.sh [PEOPLE]     10,000,000 unless said
# Keeps under target/rivals/ what costs time: a Python with the engines, the people and their purchases as Parquet, the stores.
#   HEADCOUNT_RIVALS_PROFILES=FILE       people that `headcount generate` has written already, its purchases.parquet and
#                                        schema.json beside
#   HEADCOUNT_RIVALS_ONLY=events         one part of questions.json: counts, distributions, others or events
set -euo pipefail
root="$(cd "$(dirname "$0")/../.." && pwd)"
people="${1:-10000000}"
cache="$root/target/rivals"
here="$cache/$people"
mkdir -p "$here"
target="${CARGO_TARGET_DIR:-$root/target}"

(cd "$root" && cargo build --release --locked --package headcount --package rivals) >&2

python="$cache/venv/bin/python"
[ -x "$python" ] || python3 -m venv "$cache/venv"
"$python" -c 'import chdb, duckdb, numpy' 2>/dev/null || "$python" -m pip install --quiet chdb duckdb numpy >&2

profiles="${HEADCOUNT_RIVALS_PROFILES:-$here/profiles.parquet}"
purchases="$(dirname "$profiles")/purchases.parquet"
schema="$(dirname "$profiles")/schema.json"
if [ ! -e "$profiles" ] || [ ! -e "$purchases" ]; then
    "$target/release/headcount" generate --profiles "$people" --out "$here" >&2
fi
if [ ! -e "$here/imported-with-purchases" ]; then
    rm -rf "$here/data"
    "$target/release/headcount" import --data "$here/data" --schema "$schema" --profiles "$profiles" --events "$purchases" >&2
    touch "$here/imported-with-purchases"
fi
zone="$("$python" -c 'import json, sys; print(json.load(open(sys.argv[1]))["time_zone"])' "$schema")"

"$target/release/rivals" "$here/data" "$root/benches/rivals/questions.json" \
    "$python" "$root/benches/rivals/engines.py" "$profiles" "$purchases" "$zone" "$here/chdb" | tee "$here/table.md"
