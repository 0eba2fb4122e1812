# A branch into itself decodes its displacement.
.byte 0xeb, 0xff
    hlt
