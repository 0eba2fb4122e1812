#!/bin/sh -e
# libpng.sh DIRECTORY: libpng with zlib, boxed, as the package DIRECTORY/libpng_box.
png=$(python -m tmebox_bench.debian libpng1.6)
zlib=$(python -m tmebox_bench.debian zlib)
tmebox bind "$png/png.h" --sources "$png" --sources "$zlib" --without pngtest.c --without example.c \
    --without 'gz*.c' --generated "pnglibconf.h=$png/scripts/pnglibconf.h.prebuilt" -o "$1/libpng_box"
