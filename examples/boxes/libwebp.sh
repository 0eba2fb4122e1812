#!/bin/sh -e
# libwebp.sh DIRECTORY: libwebp, boxed, as the package DIRECTORY/libwebp_box.
webp=$(python -m tmebox_bench.debian libwebp)
tmebox bind "$webp/src/webp/decode.h" "$webp/src/webp/encode.h" -I "$webp" --sources "$webp/src/dec" \
    --sources "$webp/src/enc" --sources "$webp/src/dsp" --sources "$webp/src/utils" --sources "$webp/sharpyuv" \
    -o "$1/libwebp_box"
