#!/bin/sh -e
# pcre2.sh DIRECTORY: PCRE2 for bytes, boxed, as the package DIRECTORY/pcre2_box.
src=$(python -m tmebox_bench.debian pcre2)/src
tmebox bind "$src/pcre2.h.generic" --sources "$src" --without 'pcre2*test.c' --without pcre2demo.c --without pcre2grep.c \
    --without 'pcre2_jit_*.c' --without pcre2_dftables.c --without pcre2_fuzzsupport.c --without pcre2posix.c \
    --generated "pcre2.h=$src/pcre2.h.generic" --generated "config.h=$src/config.h.generic" \
    --generated "pcre2_chartables.c=$src/pcre2_chartables.c.dist" \
    -D HAVE_CONFIG_H -D PCRE2_CODE_UNIT_WIDTH=8 -D SUPPORT_UNICODE -o "$1/pcre2_box"
