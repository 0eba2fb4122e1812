#!/bin/sh -e
# libjpeg.sh DIRECTORY: libjpeg-turbo without its assembly, boxed, as the package DIRECTORY/libjpeg_box.
jpeg=$(python -m tmebox_bench.debian libjpeg-turbo)
here=$(dirname "$0")/libjpeg
tmebox bind "$here/libjpeg.h" "$jpeg"/j*.c --sources "$jpeg/jaricom.c" --without jpegtran.c --without 'j*ext.c' \
    --generated "jconfig.h=$here/jconfig.h" --generated "jconfigint.h=$here/jconfigint.h" -o "$1/libjpeg_box"
