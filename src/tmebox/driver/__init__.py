"""The kernel driver's proof: build it for several kernels, boot each in QEMU, run the tests inside.

`packages` fetches kernels, `build` compiles, `machine` and `monitor` run and watch a virtual machine, `trial`
says which runs there are, `suite` has the shared heap's. `hardware` does the same on this machine, and
`registers` reads what it has. The driver itself and the tests that run inside are C, in the folder `driver/`
of the repository.
"""
