#!/bin/sh -e
# re2.sh DIRECTORY: RE2, which is C++, boxed by a C face of 40 lines, as the package DIRECTORY/re2_box.
re2=$(python -m tmebox_bench.debian re2)
here=$(dirname "$0")/re2
tmebox bind "$here/re2_c.h" "$re2"/re2/*.cc "$re2/util/rune.cc" "$re2/util/strutil.cc" -I "$re2" -I "$here" \
    --sources "$here/re2_c.cpp" --without 'fuzz*' -o "$1/re2_box"
