"""Rewriting that nothing needs to be safe, only to be fast. The passes, as rewrite.py and emit.py run them:

- `jump_tables.placed`: tables of labels lie behind the text, and jumps read them there
- `borrow.borrowed`: loads that a loop waits for go through a free register
- `offset_reuse.without_repeated_loads`: r14 is not loaded twice
- `held_base.with_held_bases`: loops hold the window's base in a register
- `call_targets.with_quick_targets`: so do loads that lead to a call's target
- `base_reuse.without_repeated_bases`: straight-line code loads it once
- `encodings.shorter`: instructions that do the same in fewer bytes
- `cache_lines.within_lines`: where checks and loops lie

The last six go over the finished assembly, which `listing` reads; `sizes` says how many bytes it takes.
"""
