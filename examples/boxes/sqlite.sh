#!/bin/sh -e
# sqlite.sh DIRECTORY: SQLite, boxed, as the package DIRECTORY/sqlite_box. Fossil brings it as one file.
src=$(python -m tmebox_bench.debian fossil)/extsrc
tmebox bind "$src/sqlite3.h" --sources "$src/sqlite3.c" -D SQLITE_THREADSAFE=0 -D SQLITE_OMIT_LOAD_EXTENSION \
    -D SQLITE_DQS=0 -D SQLITE_TEMP_STORE=3 -o "$1/sqlite_box"
