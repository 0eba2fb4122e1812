"""Rewriting that nothing needs to be safe, only to be fast. The passes, as `rewrite.py` and `emit.py` run
them:

`jump_tables` puts tables of labels behind the text. `borrow` goes through a free register for loads that a
loop waits for. Over the finished assembly, which `listing` reads, go `offset_reuse` (r14 is not loaded
twice), `held_base` (loops that hold the window's base in a register) and `cache_lines` (where checks and
loops lie; `sizes` says how many bytes they take).
"""
