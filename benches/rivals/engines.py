"""DuckDB and ClickHouse (chdb) with headcount's people, asked over standard input; see src/engines.rs for the lines.

Loads the Parquet files into native tables first: DuckDB in memory with ENUMs for categories, ClickHouse MergeTree
ordered by one_id with LowCardinality texts and no Nullables ('' , -1, 2 and 1900-01-01 are the unknown). Two threads each.

Purchases are in both twice, by person and time and by day, and each question is asked of whichever is faster: `row` is
their number in that first order, `second` the moment, `day` its day in the space's zone; whose they are is the number
one_id, no text. No purchase is without category, channel or amount.

    engines.py PROFILES.PARQUET PURCHASES.PARQUET ZONE CLICKHOUSE_DIRECTORY
"""

import json
import os
import sys
import time

import chdb
import duckdb
import numpy

THREADS = int(os.environ.get("HEADCOUNT_RIVALS_THREADS", "2"))
CATEGORIES = ["gender", "city", "province", "tier", "lifecycle", "device", "source", "occupation"]
SETS = ["interests", "channels"]
FLAGS = ["subscribed", "app_installed", "staff"]
DATES = ["birthday", "last_order", "signup"]
DECIMALS = ["spend", "score"]
PROPERTIES = ["category", "store", "channel", "coupon"]


def say(line):
    """One line to the one who asks."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def label(value):
    """A group's label as headcount writes it; unknown is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def of_ids(ids, is_ordered):
    """How many, their sum, and of ordered ones the sum of place x id."""
    ids = numpy.asarray(ids, dtype=numpy.uint64)
    answer = {"count": len(ids), "sum": int(ids.sum())}
    if is_ordered:
        answer["places"] = int((numpy.arange(1, len(ids) + 1, dtype=numpy.uint64) * ids).sum())
    return answer


def answer_of(question, rows):
    """Rows of any engine in the shape that answers are compared in."""
    kind = question["kind"]
    if kind in ("count", "quantile"):
        return {"": float(rows[0][0])}
    if kind == "crosstab":
        return {f"{label(row[0])}|{label(row[1])}": float(row[2]) for row in rows}
    if kind == "top":
        return of_ids([int(row[0]) for row in rows], True)
    if kind in ("series", "table"):
        return {f"{label(row[0])}|{at}": float(row[at]) for row in rows for at in range(1, len(row))}
    return {label(row[0]): float(row[1]) for row in rows if row[1] is not None}


class DuckDb:
    """People in memory: the fastest of memory, compressed memory and file, of texts and ENUMs, when tried."""

    def __init__(self, parquet, purchases, zone):
        self.connection = duckdb.connect()
        run = self.connection.execute
        run(f"SET threads = {THREADS}")
        for name in CATEGORIES:
            run(f"CREATE TYPE {name}_value AS ENUM (SELECT DISTINCT {name} FROM '{parquet}' WHERE {name} IS NOT NULL ORDER BY 1)")
        for name in SETS:
            run(
                f"CREATE TYPE {name}_value AS ENUM (SELECT DISTINCT value FROM "
                f"(SELECT unnest({name}) AS value FROM '{parquet}') WHERE value IS NOT NULL ORDER BY 1)"
            )
        columns = ["(substr(member, 2)::UINTEGER - 1)::UINTEGER AS one_id", "member"]
        columns += [f"{name}::{name}_value AS {name}" for name in CATEGORIES]
        columns += [f"{name}::{name}_value[] AS {name}" for name in SETS]
        columns += [f"{name}::DECIMAL(9, 2) AS {name}" for name in DECIMALS]
        columns += ["age::UTINYINT AS age", "orders::INTEGER AS orders"] + DATES + FLAGS
        run(f"CREATE TABLE profiles AS SELECT {', '.join(columns)} FROM '{parquet}'")
        self.load_purchases(purchases, zone)

    def load_purchases(self, parquet, zone):
        """Twice: as the file has them, by person and time, and by day."""
        run = self.connection.execute
        for name in PROPERTIES:
            run(f"CREATE TYPE purchase_{name} AS ENUM (SELECT DISTINCT {name} FROM '{parquet}' WHERE {name} IS NOT NULL ORDER BY 1)")
        columns = ["(substr(member, 2)::UINTEGER - 1)::UINTEGER AS one_id", "(row_number() OVER ())::UINTEGER AS row"]
        columns += ['epoch("at")::UINTEGER AS second', f"(\"at\" AT TIME ZONE '{zone}')::DATE AS day"]
        columns += [f"{name}::purchase_{name} AS {name}" for name in PROPERTIES] + ["amount::DECIMAL(9, 2) AS amount"]
        run(f"CREATE TABLE purchases AS SELECT {', '.join(columns)} FROM '{parquet}'")
        run("CREATE TABLE purchases_by_day AS SELECT * FROM purchases ORDER BY day, one_id")

    def sql(self, question):
        """The question in DuckDB's words."""
        if question.get("events"):
            return question["duckdb"]
        where = question.get("duckdb", question["where"])
        kind, people = question["kind"], f"FROM profiles WHERE {where}"
        if kind == "count":
            return f"SELECT count(*) {people}"
        if kind == "distribution":
            tag = question["tag"]
            if question.get("is_set"):
                return f"SELECT value, count(*) FROM (SELECT unnest({tag}) AS value {people}) GROUP BY value"
            width = question.get("bin_width")
            group = f"floor({tag} / {width})::INTEGER * {width}" if width else tag
            return f"SELECT {group} AS value, count(*) {people} GROUP BY value"
        if kind == "crosstab":
            pair = f"{question['rows']}, {question['columns']}"
            return f"SELECT {pair}, count(*) {people} GROUP BY {pair}"
        if kind == "average":
            return f"SELECT {question['tag']}, avg({question['of']}) {people} GROUP BY {question['tag']}"
        if kind == "quantile":
            return f"SELECT quantile_disc({question['of']}, {question['fraction']}) {people}"
        if kind == "top":
            return f"SELECT one_id {people} ORDER BY {question['of']} DESC NULLS LAST, one_id LIMIT {question['limit']}"
        return f"SELECT one_id {people}"

    def ask(self, question):
        """Milliseconds of the whole call, and a function that gives the answer."""
        sql, kind = self.sql(question), question["kind"]
        start = time.perf_counter_ns()
        found = self.connection.execute(sql)
        rows = found.fetchnumpy()["one_id"] if kind == "ids" else found.fetchall()
        elapsed_ms = (time.perf_counter_ns() - start) / 1e6
        return elapsed_ms, lambda: of_ids(rows, False) if kind == "ids" else answer_of(question, rows)

    def version(self):
        """Of the library."""
        return duckdb.__version__


class ClickHouse:
    """People in a MergeTree of one part, kept from run to run."""

    def __init__(self, parquet, purchases, zone, directory):
        self.connection = chdb.connect(directory)
        self.connection.query(f"SET max_threads = {THREADS}")
        self.connection.query("CREATE DATABASE IF NOT EXISTS rivals ENGINE = Atomic")
        if not self.has("profiles", parquet):
            self.load_profiles(parquet)
        if not self.has("purchases", purchases) or not self.has("purchases_by_day", purchases):
            self.load_purchases(purchases, zone)

    def has(self, table, parquet):
        """Whether all rows of a file are there."""
        if not int(str(self.connection.query(f"EXISTS rivals.{table}", "CSV"))):
            return False
        rows = duckdb.execute(f"SELECT count(*) FROM '{parquet}'").fetchone()[0]
        return int(str(self.connection.query(f"SELECT count() FROM rivals.{table}", "CSV"))) == rows

    def load_profiles(self, parquet):
        """By one_id."""
        query = self.connection.query
        query("DROP TABLE IF EXISTS rivals.profiles SYNC")
        columns = [("one_id", "UInt32", "toUInt32(substring(assumeNotNull(member), 2)) - 1"), ("member", "String", "assumeNotNull(member)")]
        columns += [(name, "LowCardinality(String)", f"ifNull({name}, '')") for name in CATEGORIES]
        columns += [(name, "Array(LowCardinality(String))", f"arrayMap(x -> assumeNotNull(x), {name})") for name in SETS]
        columns += [(name, "Decimal(9, 2)", f"ifNull(toDecimal32({name}, 2), toDecimal32(-{unknown}, 2))") for name, unknown in zip(DECIMALS, ["1", "1000"])]
        columns += [("age", "Int16", "ifNull(age, -1)"), ("orders", "Int32", "ifNull(orders, -1)")]
        columns += [(name, "Date32", f"ifNull(toDate32({name}), toDate32('1900-01-01'))") for name in DATES]
        columns += [(name, "UInt8", f"ifNull(toUInt8({name}), 2)") for name in FLAGS]
        declared = ", ".join(f"{name} {kind}" for name, kind, _ in columns)
        query(
            f"CREATE TABLE rivals.profiles ({declared}, INDEX by_signup signup TYPE minmax, "
            "INDEX by_member member TYPE minmax) ENGINE = MergeTree ORDER BY one_id"
        )
        taken = ", ".join(f"{expression} AS new_{name}" for name, _, expression in columns)
        query(f"INSERT INTO rivals.profiles SELECT {taken} FROM file('{parquet}', Parquet) SETTINGS max_threads = 1")
        query("OPTIMIZE TABLE rivals.profiles FINAL")

    def load_purchases(self, parquet, zone):
        """Twice: by person and time, and by day; a projection would keep both too."""
        query = self.connection.query
        columns = [("one_id", "UInt32", "toUInt32(substring(assumeNotNull(member), 2)) - 1"), ("row", "UInt32", "toUInt32(rowNumberInAllBlocks())")]
        columns += [("second", "UInt32", "toUInt32(toUnixTimestamp(assumeNotNull(at)))"), ("day", "Date", f"toDate(assumeNotNull(at), '{zone}')")]
        columns += [(name, "LowCardinality(String)", f"ifNull({name}, '')") for name in PROPERTIES]
        columns += [("amount", "Decimal(9, 2)", "toDecimal32(assumeNotNull(amount), 2)")]
        declared = ", ".join(f"{name} {kind}" for name, kind, _ in columns)
        taken = ", ".join(f"{expression} AS new_{name}" for name, _, expression in columns)
        # One thread reads the file in its order, which `row` counts.
        of_file = f"SELECT {taken} FROM file('{parquet}', Parquet) SETTINGS max_threads = 1, input_format_parquet_preserve_order = 1"
        of_table = "SELECT * FROM rivals.purchases"
        for name, order, rows in [("purchases", "one_id, second, row", of_file), ("purchases_by_day", "day, one_id", of_table)]:
            query(f"DROP TABLE IF EXISTS rivals.{name} SYNC")
            query(f"CREATE TABLE rivals.{name} ({declared}) ENGINE = MergeTree ORDER BY ({order})")
            query(f"INSERT INTO rivals.{name} {rows}")
            query(f"OPTIMIZE TABLE rivals.{name} FINAL")

    def sql(self, question):
        """The question in ClickHouse's words."""
        if question.get("events"):
            return question["clickhouse"]
        where = question.get("clickhouse", question["where"])
        kind, people = question["kind"], f"FROM rivals.profiles WHERE {where}"
        known = f"{people} AND {question['of']} >= 0" if "of" in question else people
        if kind == "count":
            return f"SELECT count() {people}"
        if kind == "distribution":
            tag = question["tag"]
            if question.get("is_set"):
                return f"SELECT arrayJoin({tag}) AS value, count() {people} GROUP BY value"
            width = question.get("bin_width")
            group = f"if({tag} < 0, NULL, intDiv({tag}, {width}) * {width})" if width else tag
            return f"SELECT {group} AS value, count() {people} GROUP BY value"
        if kind == "crosstab":
            pair = f"{question['rows']}, {question['columns']}"
            return f"SELECT {pair}, count() {people} GROUP BY {pair}"
        if kind == "average":
            return f"SELECT {question['tag']}, avg({question['of']}) {known} GROUP BY {question['tag']}"
        if kind == "quantile":
            return f"SELECT quantileExact({question['fraction']})({question['of']}) {known}"
        if kind == "top":
            return f"SELECT one_id {people} ORDER BY {question['of']} DESC, one_id LIMIT {question['limit']}"
        return f"SELECT one_id {people}"

    def ask(self, question):
        """Milliseconds of the whole call, and a function that gives the answer."""
        sql, is_ids = self.sql(question), question["kind"] == "ids"
        start = time.perf_counter_ns()
        found = self.connection.query(sql, "RowBinary" if is_ids else "JSONCompact").bytes()
        elapsed_ms = (time.perf_counter_ns() - start) / 1e6
        if is_ids:
            return elapsed_ms, lambda: of_ids(numpy.frombuffer(found, dtype="<u4"), False)
        return elapsed_ms, lambda: answer_of(question, json.loads(found)["data"])

    def version(self):
        """Of the engine."""
        return json.loads(self.connection.query("SELECT version()", "JSONCompact").bytes())["data"][0][0]


def main():
    """Loads, then answers until the input ends."""
    profiles, purchases, zone, directory = sys.argv[1:]
    engines = {"duckdb": DuckDb(profiles, purchases, zone), "clickhouse": ClickHouse(profiles, purchases, zone, directory)}
    say({name: engine.version() for name, engine in engines.items()})
    for line in sys.stdin:
        asked = json.loads(line)
        elapsed_ms, answer = engines[asked["engine"]].ask(asked["question"])
        reply = {"elapsed_ms": elapsed_ms}
        if asked["answer"]:
            reply["answer"] = answer()
        say(reply)


if __name__ == "__main__":
    main()
