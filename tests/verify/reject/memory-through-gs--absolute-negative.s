# Sign-extension puts it 2 GiB below the window.
    movq %gs:-0x1000, %rcx
    hlt
