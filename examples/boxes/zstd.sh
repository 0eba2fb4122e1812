#!/bin/sh -e
# zstd.sh DIRECTORY: Zstandard, boxed, as the package DIRECTORY/zstd_box.
lib=$(python -m tmebox_bench.debian libzstd)/lib
tmebox bind "$lib/zstd.h" "$lib/zstd_errors.h" "$lib/zdict.h" --sources "$lib/common" --sources "$lib/compress" \
    --sources "$lib/decompress" --sources "$lib/dictBuilder" -D ZSTD_DISABLE_ASM -o "$1/zstd_box"
