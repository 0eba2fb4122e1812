/* From a signal handler to the poll: sandboxed code is left as if by a host call, and goes on where it was. */
#include "enter/enter.h"

#include <signal.h>
#include <string.h>
#include <ucontext.h>

/* The kernel's struct ucontext: glibc's with a mask of 8 bytes at the end. */
#define UCONTEXT_SIZE (offsetof(ucontext_t, uc_sigmask) + TMEBOX_MASK_SIZE)
#define FPSTATE_SIZE 512
#define FPSTATE_SOFTWARE 464 /* struct _fpx_sw_bytes: u32 magic, u32 size of the extended state, … */
#define FPSTATE_MAGIC 0x46505853

static size_t fpstate_size(const void *fpstate) {
    uint32_t software[2];
    memcpy(software, (const char *)fpstate + FPSTATE_SOFTWARE, sizeof software);
    return software[0] == FPSTATE_MAGIC ? software[1] : FPSTATE_SIZE;
}

/* Python code may run long, deep, and call sandboxes: not from a signal handler, and not on its stack.
 * So the signal frame is moved to the host's stack, below what tmebox_enter saved there; the handler returns
 * into tmebox_poll_entry as if the sandbox had made a host call; and that one returns from the moved frame.
 */
void tmebox_redirect_to_poll(struct activation *activation, void *context) {
    ucontext_t *from = context;
    greg_t *registers = from->uc_mcontext.gregs;
    uint64_t top = activation->host_rsp;
    size_t fpsize = fpstate_size(from->uc_mcontext.fpregs);
    top = (top - fpsize) & ~63ULL;
    memcpy((void *)top, from->uc_mcontext.fpregs, fpsize);
    void *fpstate = (void *)top;
    top = (top - UCONTEXT_SIZE) & ~15ULL;
    memcpy((void *)top, from, UCONTEXT_SIZE);
    ((ucontext_t *)top)->uc_mcontext.fpregs = fpstate;
    registers[REG_RBX] = (greg_t)top;
    registers[REG_R12] = (greg_t)(uintptr_t)activation;
    registers[REG_RSP] = (greg_t)top;
    registers[REG_RIP] = (greg_t)(uintptr_t)tmebox_poll_entry;
    registers[REG_EFL] &= ~(greg_t)FLAGS_OF_SANDBOXES;
}
