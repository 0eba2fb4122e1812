#!/bin/sh -e
# lz4.sh DIRECTORY: LZ4, boxed, as the package DIRECTORY/lz4_box.
lib=$(python -m tmebox_bench.debian lz4)/lib
tmebox bind "$lib/lz4.h" "$lib/lz4hc.h" "$lib/lz4frame.h" --sources "$lib" -o "$1/lz4_box"
