# movdiri bypasses the caches.
    movdiri %rax, %gs:(%ecx)
    hlt
