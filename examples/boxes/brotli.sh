#!/bin/sh -e
# brotli.sh DIRECTORY: Brotli, boxed, as the package DIRECTORY/brotli_box.
c=$(python -m tmebox_bench.debian brotli)/c
tmebox bind "$c/include/brotli/decode.h" "$c/include/brotli/encode.h" -I "$c/include" --sources "$c/common" \
    --sources "$c/dec" --sources "$c/enc" --without static_init_lazy.cc -o "$1/brotli_box"
