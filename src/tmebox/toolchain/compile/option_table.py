"""The compiler's options, one a line: a pattern for the whole of it, what becomes of it, and why.

An allow-list, because an option can make a compiler read, write or run anything. `pass`: the compiler gets
it. `ignore`: what existing build systems ask for and a sandbox decides by itself. `refuse`: as for what is
not here, but with a reason. The first line that matches counts. Options that say what to build from what (-c,
-o, -I, -l, …) are the command line's own: `arguments`.
"""

from __future__ import annotations

_TRAPPING = r"""
    alignment array-bounds bool bounds builtin enum float-cast-overflow float-divide-by-zero
    implicit-\w[\w-]* integer integer-divide-by-zero local-bounds nonnull-attribute null
    nullability[\w-]* object-size pointer-overflow return returns-nonnull-attribute shift shift-base
    shift-exponent signed-integer-overflow undefined unreachable unsigned-integer-overflow
    unsigned-shift-base vla-bound
"""
CHECKS = "({0})(,({0}))*".format("|".join(_TRAPPING.split()))
"""A list of the checks that can trap: SAN below."""

TABLE = r"""
# Warnings, levels and the language
--?no-warnings                                             pass
-O[0-3sgz]?                                                pass
-Ofast                                                     pass
-W[\w+#-]*(=[\w+-]*)?                                      pass
-ansi                                                      pass
-pedantic(-errors)?                                        pass
-std=[\w:+]+                                               pass
-trigraphs                                                 pass
-undef                                                     pass
-w                                                         pass

# What the compiler does with the source
-f(file|macro|debug)-prefix-map=[^=\0\n]*=[^\0\n]*         pass
-f(no-)?approx-func                                        pass
-f(no-)?asm                                                pass
-f(no-)?associative-math                                   pass
-f(no-)?bracket-depth=\d+                                  pass
-f(no-)?builtin(-\w+)?                                     pass
-f(no-)?caret-diagnostics                                  pass
-f(no-)?color-diagnostics                                  pass
-f(no-)?common                                             pass
-f(no-)?constant-cfstrings                                 pass
-f(no-)?delete-null-pointer-checks                         pass
-f(no-)?diagnostics-[\w-]+(=\w+)?                          pass
-f(no-)?dollars-in-identifiers                             pass
-f(no-)?error-limit=\d+                                    pass
-f(no-)?fast-math                                          pass
-f(no-)?finite-loops                                       pass
-f(no-)?finite-math-only                                   pass
-f(no-)?fp-contract=\w+                                    pass
-f(no-)?fp-model=\w+                                       pass
-f(no-)?freestanding                                       pass
-f(no-)?gnu89-inline                                       pass
-f(no-)?honor-infinities                                   pass
-f(no-)?honor-nans                                         pass
-f(no-)?hosted                                             pass
-f(no-)?ident                                              pass
-f(no-)?inline                                             pass
-f(no-)?inline-functions                                   pass
-f(no-)?inline-functions-called-once                       pass
-f(no-)?inline-hint-functions                              pass
-f(no-)?inline-small-functions                             pass
-f(no-)?jump-tables                                        pass
-f(no-)?lax-vector-conversions                             pass
-f(no-)?macro-backtrace-limit=\d+                          pass
-f(no-)?math-errno                                         pass
-f(no-)?max-type-align=\d+                                 pass
-f(no-)?merge-all-constants                                pass
-f(no-)?merge-constants                                    pass
-f(no-)?message-length=\d+                                 pass
-f(no-)?ms-extensions                                      pass
-f(no-)?optimize-sibling-calls                             pass
-f(no-)?reciprocal-math                                    pass
-f(no-)?rounding-math                                      pass
-f(no-)?short-enums                                        pass
-f(no-)?show-column                                        pass
-f(no-)?signed-bitfields                                   pass
-f(no-)?signed-char                                        pass
-f(no-)?signed-zeros                                       pass
-f(no-)?slp-vectorize                                      pass
-f(no-)?spell-checking                                     pass
-f(no-)?strict-aliasing(=\d)?                              pass
-f(no-)?strict-enums                                       pass
-f(no-)?strict-flex-arrays=\d                              pass
-f(no-)?strict-overflow                                    pass
-f(no-)?strict-return                                      pass
-f(no-)?tabstop=\d+                                        pass
-f(no-)?template-depth=\d+                                 pass
-f(no-)?trapping-math                                      pass
-f(no-)?trapv                                              pass
-f(no-)?tree-slp-vectorize                                 pass
-f(no-)?tree-vectorize                                     pass
-f(no-)?trivial-auto-var-init=\w+                          pass
-f(no-)?unroll-loops                                       pass
-f(no-)?unsafe-math-optimizations                          pass
-f(no-)?unsigned-bitfields                                 pass
-f(no-)?unsigned-char                                      pass
-f(no-)?vectorize                                          pass
-f(no-)?visibility=\w+                                     pass
-f(no-)?wrapv                                              pass
-f(no-)?zero-call-used-regs=\w+                            pass
-f(no-)?zero-initialized-in-bss                            pass
-fdiagnostics-color(=\w+)?                                 pass

# C++, and C whose frames exceptions pass through
-f(no-)?(cxx-)?exceptions                                  pass
-f(no-)?access-control                                     pass
-f(no-)?aligned-allocation                                 pass
-f(no-)?aligned-new(=\d+)?                                 pass
-f(no-)?assume-sane-operator-new                           pass
-f(no-)?char8_t                                            pass
-f(no-)?coroutines(-ts)?                                   ignore  part of the language by now
-f(no-)?concepts(-\w+)?                                    ignore  the same
-f(no-)?constexpr-(depth|steps|backtrace-limit)=\d+        pass
-f(no-)?delayed-template-parsing                           pass
-f(no-)?elide-constructors                                 pass
-fno-elide-type                                            pass
-f(no-)?enforce-eh-specs                                   ignore
-f(no-)?extern-tls-init                                    ignore
-f(no-)?implicit-templates                                 ignore
-f(no-)?new-infallible                                     pass
-f(no-)?nonansi-builtins                                   ignore
-f(no-)?operator-names                                     pass
-f(no-)?permissive                                         ignore
-f(no-)?rtti                                               pass
-f(no-)?sized-deallocation                                 pass
-f(no-)?strict-vtable-pointers                             pass
-f(no-)?threadsafe-statics                                 pass
-f(no-)?use-cxa-atexit                                     ignore  it is always so
-f(no-)?visibility-inlines-hidden(-static-local-var)?      pass
-f(no-)?weak                                               ignore
-f(no-)?whole-program-vtables                              ignore
-faligned-new                                              pass
-fclang-abi-compat=[\w.]+                                  refuse  libc++ is compiled with the newest
-fabi-version=\d+                                          ignore
-fmodules[\w-]*(=.*)?                                      refuse  modules are files that the compiler writes
-stdlib=libc\+\+                                           ignore  it is always so
-stdlib=.*                                                 refuse  the library is libc++

# Instructions that the code may use
-m(no-)?(crc32|rdrnd|rdseed)                               pass
-m(no-)?80387                                              pass
-m(no-)?adx                                                pass
-m(no-)?aes                                                pass
-m(no-)?avx                                                pass
-m(no-)?avx2                                               pass
-m(no-)?avx512\w*                                          pass
-m(no-)?avxvnni                                            pass
-m(no-)?bmi                                                pass
-m(no-)?bmi2                                               pass
-m(no-)?cx16                                               pass
-m(no-)?f16c                                               pass
-m(no-)?fast-\w+                                           pass
-m(no-)?fma                                                pass
-mfpmath=sse                                               pass
-m(no-)?gfni                                               pass
-m(no-)?lzcnt                                              pass
-m(no-)?movbe                                              pass
-m(no-)?pclmul                                             pass
-m(no-)?popcnt                                             pass
-m(no-)?prefer-vector-width=\w+                            pass
-m(no-)?recip(=\w+)?                                       pass
-m(no-)?red-zone                                           pass
-m(no-)?sahf                                               pass
-m(no-)?sha                                                pass
-m(no-)?sse                                                pass
-m(no-)?sse2                                               pass
-m(no-)?sse3                                               pass
-m(no-)?sse4                                               pass
-m(no-)?sse4\.1                                            pass
-m(no-)?sse4\.2                                            pass
-m(no-)?ssse3                                              pass
-m(no-)?vaes                                               pass
-m(no-)?vpclmulqdq                                         pass
-m(no-)?vzeroupper                                         pass
-march=[\w.-]+                                             pass    without what a sandbox lacks: `vet`
-mtune=[\w.-]+                                             pass

# Checks at run time: each ends in a trap, as nothing else would be there to call
-f(no-)?sanitize=SAN                                       pass
-fno-sanitize-recover(=all|=SAN)?                          ignore  the same
-fsanitize-trap(=all|=SAN)?                                ignore  it is always so
-fsanitize-undefined-trap-on-error                         ignore  the same

# Decided by the sandbox, or without meaning in one
--param(=.*)?                                              ignore
--target=x86_64(-\w+)?-linux(-\w+)?                        ignore  it is always so
-Q                                                         ignore
-Qunused-arguments                                         ignore
-f(no-)?PIC                                                ignore
-f(no-)?PIE                                                ignore
-f(no-)?addrsig                                            ignore
-f(no-)?align-(functions|loops|jumps|labels)(=\d+)?        ignore
-f(no-)?allow-store-data-races                             ignore
-f(no-)?asynchronous-unwind-tables                         ignore
-f(no-)?branch-count-reg                                   ignore
-f(no-)?caller-saves                                       ignore
-f(no-)?cf-protection(=\w+)?                               ignore
-f(no-)?code-hoisting                                      ignore
-f(no-)?conserve-stack                                     ignore
-f(no-)?crossjumping                                       ignore
-f(no-)?cse-follow-jumps                                   ignore
-f(no-)?data-sections                                      ignore
-f(no-)?debug-types-section                                ignore
-f(no-)?defer-pop                                          ignore
-f(no-)?eliminate-unused-debug-symbols                     ignore
-f(no-)?eliminate-unused-debug-types                       ignore
-f(no-)?excess-precision=\w+                               ignore
-f(no-)?expensive-optimizations                            ignore
-f(no-)?fat-lto-objects                                    ignore
-f(no-)?forward-propagate                                  ignore
-f(no-)?function-sections                                  ignore
-f(no-)?gcse(-\w+)?                                        ignore
-f(no-)?guess-branch-probability                           ignore
-f(no-)?if-conversion2?                                    ignore
-f(no-)?integrated-as                                      ignore
-f(no-)?ipa-[\w-]+                                         ignore
-f(no-)?keep-(inline|static)-(functions|consts)            ignore
-f(no-)?lifetime-dse(=\d)?                                 ignore
-f(no-)?loop-[\w-]+                                        ignore
-f(no-)?lto(=\w+)?                                         ignore
-f(no-)?move-loop-invariants                               ignore
-f(no-)?no-line-tables                                     ignore
-f(no-)?omit-frame-pointer                                 ignore
-f(no-)?openmp-simd                                        ignore
-f(no-)?peephole2?                                         ignore
-f(no-)?pic                                                ignore
-f(no-)?pie                                                ignore
-f(no-)?plt                                                ignore
-f(no-)?prefetch-loop-arrays                               ignore
-f(no-)?record-gcc-switches                                ignore
-f(no-)?rename-registers                                   ignore
-f(no-)?reorder-functions                                  ignore
-f(no-)?rerun-cse-after-loop                               ignore
-f(no-)?schedule-[\w-]+                                    ignore
-f(no-)?section-anchors                                    ignore
-f(no-)?semantic-interposition                             ignore
-f(no-)?split-stack                                        ignore
-f(no-)?stack-check                                        ignore
-f(no-)?stack-clash-protection                             ignore
-f(no-)?stack-limit                                        ignore
-f(no-)?stack-protector(-\w+)?                             ignore
-f(no-)?stack-reuse=\w+                                    ignore
-f(no-)?strict-volatile-bitfields                          ignore
-f(no-)?tls-model=[\w-]+                                   ignore
-f(no-)?tree-[\w-]+                                        ignore
-f(no-)?unique-section-names                               ignore
-f(no-)?unsafe-loop-optimizations                          ignore
-f(no-)?unwind-tables                                      ignore
-f(no-)?use-ld=\w+                                         ignore
-f(no-)?use-linker-plugin                                  ignore
-f(no-)?var-tracking(-\w+)?                                ignore
-f(no-)?vect-cost-model(=\w+)?                             ignore
-f(no-)?verbose-asm                                        ignore
-f(no-)?web                                                ignore
-f(no-)?working-directory                                  ignore
-f(profile|coverage)-prefix-map=[^\0\n]*                   ignore
-f(input|exec)-charset=[Uu][Tt][Ff]-?8                     ignore  it is always so
-fmax-errors=\d+                                           ignore
-fstrub=disable                                            ignore
-g1|-gline-tables-only|-gmlt                               pass
-g(no-)?[\w-]+                                             ignore
-g\w*(=\w+)?                                               ignore
-m(no-)?accumulate-outgoing-args                           ignore
-m(no-)?(gather|scatter)                                   ignore
-m(no-)?(tls-direct-seg-refs|avx256-split-unaligned-\w+|shstk) ignore
-m(no-)?omit-leaf-frame-pointer                            ignore
-m64                                                       ignore
-mincoming-stack-boundary=\d+                              ignore
-mtls-dialect=\w+                                          ignore
-mcmodel=small                                             ignore
-mfunction-return=\w+                                      ignore
-mindirect-branch=\w+                                      ignore
-mpreferred-stack-boundary=\d+                             ignore
-mstackrealign                                             ignore
-no-canonical-prefixes                                     ignore
-no-integrated-as                                          ignore
-no-pie                                                    ignore
-nopie                                                     ignore
-pie                                                       ignore
-pass-exit-codes                                           ignore
-pipe                                                      ignore
-pthread                                                   ignore
-static-libgcc                                             ignore
-static-libstdc\+\+                                        ignore
-static-pie                                                ignore
-time                                                      ignore

# Refused, and why; whatever is not in this table is refused as well
-fsanitize=[\w,-]+                                         refuse  its library is missing; `undefined` works
-fsanitize-recover(=[\w,-]+)?                              refuse  a check that fails is a trap
-m(32|x32|16)                                              refuse  sandboxed code is 64-bit
-mcmodel=(medium|large|kernel|tiny)                        refuse  small addresses reach all of it
-mabi=ms                                                   refuse  the host calls by the System V convention
-fprofile[\w-]*(=.*)?                                      refuse  it would write counts nowhere
-fcoverage-mapping                                         refuse  it would write counts nowhere
--coverage                                                 refuse  it would write counts nowhere
-pg                                                        refuse  it would write counts nowhere
-fopenmp(=\w+)?                                            refuse  a sandbox has one thread
-fblocks                                                   refuse  there is no runtime for blocks
"""
