#!/bin/sh -e
# libjpeg.sh DIRECTORY: libjpeg-turbo without its assembly, boxed, as the package DIRECTORY/libjpeg_box.
jpeg=$(python -m tmebox_bench.debian libjpeg-turbo)
here=$(dirname "$0")/libjpeg
tmebox bind "$here/libjpeg.h" "$jpeg/turbojpeg.h" -I "$jpeg" "$jpeg"/j*.c "$jpeg/transupp.c" "$jpeg"/rd[bp]*.c "$jpeg"/wr[bp]*.c \
    --sources "$jpeg/turbojpeg.c" --without jpegtran.c \
    -D BMP_SUPPORTED -D PPM_SUPPORTED --generated "jconfig.h=$here/jconfig.h" \
    --generated "jconfigint.h=$here/jconfigint.h" --generated "jversion.h=$here/jversion.h" -o "$1/libjpeg_box"
