#!/bin/sh -e
# simdjson.sh DIRECTORY: simdjson, which is C++, boxed by a C face of 50 lines, as the package DIRECTORY/simdjson_box.
json=$(python -m tmebox_bench.debian simdjson)/singleheader
here=$(dirname "$0")/simdjson
tmebox bind "$here/simdjson_c.h" "$json/simdjson.cpp" -I "$json" -I "$here" --sources "$here/simdjson_c.cpp" \
    -D SIMDJSON_IMPLEMENTATION_ICELAKE=0 -D SIMDJSON_IMPLEMENTATION_HASWELL=0 -o "$1/simdjson_box"
