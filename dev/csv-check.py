"""Compares what programs read from exported CSV with the same rows as newline-delimited JSON; see dev/csv-check.

The only difference that is allowed is the documented one: an apostrophe before a text that a spreadsheet would run.
"""

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

FORMULA = re.compile(r"[=+\-@\t\r]")
DIGITS = re.compile(r"[\d +\-()./]*")
TYPED = {"department", "attendant", "customer_name", "customer_email", "name", "email"}


def stored(folder, table):
    """The rows as they were stored, each value as the text that a cell of it holds."""
    rows = []
    for line in (folder / f"{table}.ndjson").read_text(encoding="utf-8").split("\n")[:-1]:
        row = []
        for name, value in json.loads(line).items():
            text = "" if value is None else str(value)
            runs = FORMULA.match(text) is not None
            typed = name in TYPED or (name in {"phone", "document"} and not DIGITS.fullmatch(text))
            row.append("'" + text if runs and typed else text)
        rows.append(row)
    return rows


def by_python(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file, strict=True))[1:]


def by_libreoffice(path):
    """Loads the file as a sheet of texts and saves that as CSV again; 44,34,76: comma, quote, UTF-8; 2: text."""
    program = shutil.which("soffice") or shutil.which("libreoffice")
    if program is None:
        return None
    columns = len(next(csv.reader(open(path, encoding="utf-8", newline=""))))
    texts = "/".join(f"{column}/2" for column in range(1, columns + 1))
    out = path.parent / "libreoffice"
    command = [program, "--headless", f"-env:UserInstallation=file://{path.parent}/profile", f"--infilter=CSV:44,34,76,1,{texts}",
               "--convert-to", "ods", "--outdir", str(out), str(path)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    command = [program, "--headless", f"-env:UserInstallation=file://{path.parent}/profile",
               "--convert-to", "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,false", "--outdir", str(out),
               str(out / f"{path.stem}.ods")]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    return by_python(out / path.name)


def as_in_a_sheet(rows):
    """A cell of LibreOffice's knows one end of a line, and no tab."""
    return [[cell.replace("\r\n", "\n").replace("\r", "\n").replace("\t", "") for cell in row] for row in rows]


def by_duckdb(path):
    try:
        import duckdb
    except ImportError:
        return None
    query = ("SELECT * FROM read_csv(?, header = true, delim = ',', quote = '\"', escape = '\"', all_varchar = true, "
             "null_padding = false, auto_detect = false, new_line = '\\r\\n', columns = ?)")
    names = next(csv.reader(open(path, encoding="utf-8", newline="")))
    rows = duckdb.execute(query, [str(path), {name: "VARCHAR" for name in names}]).fetchall()
    return [["" if value is None else value for value in row] for row in rows]


def main():
    folder, wrong = Path(sys.argv[1]), 0
    for table in ["calls", "customers", "links"]:
        expected = stored(folder, table)
        for name, read in [("python", by_python), ("libreoffice", by_libreoffice), ("duckdb", by_duckdb)]:
            found = read(folder / f"{table}.csv")
            if found is None:
                print(f"{table}.csv: {name} is not installed")
                continue
            plain = as_in_a_sheet if name == "libreoffice" else list
            differ = [pair for pair in zip(plain(expected), plain(found)) if pair[0] != pair[1]]
            equal = not differ and len(found) == len(expected)
            wrong += not equal
            print(f"{table}.csv: {name} read {len(found)} of {len(expected)} rows, {'all as stored' if equal else 'WRONG'}")
            for want, got in differ[:3]:
                print(f"  stored {want}\n  read   {got}")
    return 1 if wrong else 0


sys.exit(main())
