#!/bin/sh -e
# expat.sh DIRECTORY: expat, boxed, as the package DIRECTORY/expat_box.
lib=$(python -m tmebox_bench.debian expat)/expat/lib
tmebox bind "$lib/expat.h" --sources "$lib" -D XML_POOR_ENTROPY -D XML_GE=1 -D XML_DTD -D XML_NS \
    -D XML_CONTEXT_BYTES=1024 -o "$1/expat_box"
