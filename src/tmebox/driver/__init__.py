"""The kernel driver's proof: build it for several kernels, boot each in QEMU, run the tests inside.

`packages` fetches kernels, `build` compiles, `machine` and `monitor` run and watch a virtual machine, `trial`
says which runs there are, `report` shows them. `registers` reads what this machine has. The driver itself and
the tests that run inside are C, in the folder `driver/` of the repository.
"""
