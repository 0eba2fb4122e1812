#!/bin/sh -e
# zlib.sh DIRECTORY: zlib, boxed, as the package DIRECTORY/zlib_box.
zlib=$(python -m tmebox_bench.debian zlib)
tmebox bind "$zlib/zlib.h" --sources "$zlib" -D HAVE_UNISTD_H -o "$1/zlib_box"
