"""Programs that want out, or want to take the host down, by kind. None may end without an exception."""

from __future__ import annotations

ESCAPES = {
    "subclasses": "().__class__.__bases__[0].__subclasses__()",
    "mro": "''.__class__.__mro__[1].__subclasses__()",
    "globals of a function": "def f(): pass\nf.__globals__['__builtins__']",
    "code of a function": "def f(): pass\nf.__code__.replace(co_code=b'\\0')",
    "frames of a generator": "def g(): yield\ng().gi_frame.f_back.f_globals",
    "frames of a traceback": (
        "try: 1/0\nexcept Exception as e: e.__traceback__.tb_frame.f_back.f_globals['os']"
    ),
    "frames of sys": "import sys\nsys._getframe(1).f_globals",
    "modules of sys": "import sys\nsys.modules['os'].system('id')",
    "import of os": "import os\nos.system('id')",
    "import by name": "__import__('os').system('id')",
    "import of ctypes": "import ctypes\nctypes.string_at(0)",
    "import of the host": "import tmebox\ntmebox.abi",
    "import from a path": "import sys\nsys.path.append('/usr/lib/python3')\nimport os",
    "import of a relative path": "import sys\nsys.path[:] = ['../../../../etc', '/etc', '']\nimport passwd",
    "import with an odd name": "__import__('../../etc/passwd')",
    "import of a very long name": "__import__('a' * 100000)",
    "open of a file": "open('/etc/shadow').read()",
    "open through io": "import io\nio.open('/proc/self/mem', 'r+b')",
    "descriptor": "import io\nio.FileIO(1)",
    "execfile": "execfile('/etc/shadow')",
    "breakpoint": "breakpoint()",
    "input": "input()",
    "globals of a host function": "host.__globals__",
    "closure of a host function": "host.__closure__[0].cell_contents",
    "self of a host function": "host.__self__",
    "class of a host function": "host.__class__.__init__.__globals__",
    "host function with odd names": "host(**{'__class__': 1, 'self': 2})",
    "format string": "'{0.__class__.__init__.__globals__}'.format(host)",
    "lambda in a format string": "f'{host.__globals__}'",
    "getattr of dunders": "getattr(getattr(host, '__call__'), '__globals__')",
    "attributes set on types": "int.__add__ = lambda a, b: 0\nraise ValueError",
    "attributes set on builtins": "import builtins\nbuiltins.len = None\nlen([])",
    "names of the machine": "import machine\nmachine.mem32[0]",
    "addresses": "import uctypes\nuctypes.bytes_at(0x1000, 16)",
    "native code": "@micropython.native\ndef f(): pass\nf()",
    "viper code": "@micropython.viper\ndef f():\n    p = ptr32(0)\n    p[0] = 1\nf()",
    "assembly": "@micropython.asm_thumb\ndef f(): nop()\nf()",
    "code from bytes": "import marshal\nexec(marshal.loads(b'\\xe3'))",
    "compiled module from a file": "import io\nclass M(io.IOBase): pass\nimport vfs\nvfs.mount(M(), '/')",
    "threads": "import _thread\n_thread.start_new_thread(print, ())",
    "sockets": "import socket\nsocket.socket()",
    "environment": "import os\nos.environ['SECRET']",
    "host module that is not given": "import secret_module",
    "mailbox by name": "import _tmebox",
}
"""Known from other sandboxes for Python, and from MicroPython's own ways to the machine."""

MEMORY = {
    "list without end": "a = []\nwhile True: a.append(a[:])",
    "string without end": "s = 'x'\nwhile True: s += s",
    "one large list": "[0] * 10 ** 12",
    "one large string": "'x' * 10 ** 15",
    "one large bytearray": "bytearray(10 ** 14)",
    "largest size": "bytearray(2 ** 62)",
    "negative size": "bytearray(-1)",
    "dictionary without end": "d = {}\ni = 0\nwhile True:\n    d[i] = i\n    i += 1",
    "names without end": "i = 0\nwhile True:\n    globals()['name%d' % i] = i\n    i += 1",
    "join": "','.join(['x' * 100000] * 100000)",
    "replace": "('x' * 1000000).replace('x', 'y' * 1000000)",
    "format width": "'%1000000000d' % 1",
    "format precision": "'{:.999999999f}'.format(1.0)\nraise ValueError",
    "format field": "'{:>999999999999}'.format(1)\nraise ValueError",
    "large range": "list(range(10 ** 15))",
    "exception that grows": (
        "def f(x):\n    try: raise ValueError(x)\n    except ValueError as e: f(e.args * 2)\nf(('x' * 1000,))"
    ),
    "message of a large exception": "raise ValueError('x' * 10 ** 7)",
    "result that grows": "a = [1]\nfor i in range(60): a = [a, a]\na",
    "output without end": "while True: print('x' * 10000)",
    "arrays without end": "import numpy as np\na = []\nwhile True: a.append(np.zeros(1000))",
    "arrays of impossible size": "import numpy as np\nnp.zeros((2 ** 31, 2 ** 31, 2 ** 31, 2))",
    "array by product": "import numpy as np\na = np.zeros((5000, 1))\nb = np.zeros((1, 5000))\na + b",
    "json": "import json\njson.loads('[' * 1000000)",
    "compressed bomb": (
        "import deflate, io\nb = io.BytesIO()\nd = deflate.DeflateIO(b, deflate.ZLIB)\n"
        "for i in range(300): d.write(bytes(100000))\n"
        "d.close()\nb.seek(0)\ndeflate.DeflateIO(b, deflate.ZLIB).read()"
    ),
    "decompression of noise": (
        "import deflate, io\n"
        "deflate.DeflateIO(io.BytesIO(b'\\x78\\x9c' + bytes(range(256))), deflate.ZLIB).read()"
    ),
}

TIME = {
    "loop": "while True: pass",
    "loop that catches": "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
    "sum in C": "sum(range(10 ** 14))",
    "power": "(7 ** 200000) ** 200000",
    "power with a modulus": "pow(3, 10 ** 60000, 10 ** 60000 + 7)",
    "shift": "1 << (1 << 60)",
    "integer from text": "int('9' * 2000000)",
    "integer to text": "str(1 << 5000000)",
    "division of large integers": "a = 1 << 3000000\nb = (1 << 1500000) - 1\nwhile True: a // b",
    "factorial": "n = 1\nfor i in range(1, 10 ** 9): n *= i",
    "regular expression": "import re\nre.match('(a*)*b', 'a' * 60)",
    "nested regular expression": "import re\nre.match('((a?)*)*$', 'a' * 100 + 'b')",
    "long regular expression": "import re\nre.compile('(' * 10000)",
    "regular expression of repetitions": (
        "import re\nre.match('a?' * 40 + 'a' * 40, 'a' * 40)\nwhile True: re.match('(x+x+)+y', 'x' * 40)"
    ),
    "hash collisions": "d = {}\nfor i in range(10 ** 7): d[i << 40] = 1",
    "colliding texts": (
        "class K:\n    def __hash__(self): return 1\n    def __eq__(self, o): return False\nd = {}\n"
        "while True: d[K()] = 1"
    ),
    "sort with a hostile key": (
        "class K:\n    def __lt__(self, o): return True\n[K() for _ in range(10)].sort()\n"
        "while True: sorted([3, 1, 2], key=lambda x: -x)"
    ),
    "sleep": "import time\ntime.sleep(10 ** 8)",
    "longest sleep": "import time\ntime.sleep(1e300)",
    "sleep of no number": "import time\ntime.sleep(float('nan'))",
    "wait for no event": "import asyncio\nasync def f(): await asyncio.Event().wait()\nasyncio.run(f())",
    "tasks without end": (
        "import asyncio\nasync def f():\n    while True: asyncio.create_task(f())\nasyncio.run(f())"
    ),
    "text search": "('a' * 1000000).find('a' * 500000 + 'b')\nwhile True: 'ab' in 'a' * 100000",
    "host calls without end": "while True: host(1)",
    "scheduler": "import micropython\ndef f(x): micropython.schedule(f, x)\nf(1)\nwhile True: pass",
    "exponential calls": "\n".join(
        ["def f0(): pass", *(f"def f{n}(): f{n - 1}(); f{n - 1}()" for n in range(1, 60)), "f59()"]
    ),
    "comprehensions": "[[[i for i in range(10000)] for j in range(10000)] for k in range(10000)]",
    "array work": "import numpy as np\na = np.zeros(100000)\nwhile True: a += a",
    "array product": "import numpy as np\na = np.ones((700, 700))\nwhile True: a @ a",
}

DEPTH = {
    "recursion": "def f(): f()\nf()",
    "recursion that catches": "def f():\n    try: f()\n    except RuntimeError: f()\nf()",
    "recursion by attribute": "class A:\n    def __getattr__(self, n): return getattr(self, n + 'x')\nA().a",
    "recursion by repr": "class A:\n    def __repr__(self): return repr([self])\nrepr(A())",
    "recursion by comparison": "class A:\n    def __eq__(self, o): return o == self\nA() == A()",
    "recursion by iteration": "class A:\n    def __iter__(self): return iter(self)\niter(A())",
    "recursion by call": "class A: pass\nA.__call__ = lambda self: self()\nA()()",
    "recursion by hash": "class A:\n    def __hash__(self): return hash(self)\nhash(A())",
    "list in itself": "a = []\na.append(a)\na",
    "deep list": "a = []\nfor i in range(100000): a = [a]\nrepr(a)",
    "deep list handed out": "a = []\nfor i in range(1000): a = [a]\na",
    "comparison of deep lists": "a = []\nb = []\nfor i in range(100000):\n    a = [a]\n    b = [b]\na == b",
    "deep tuple as a key": "t = ()\nfor i in range(100000): t = (t,)\n{t: 1}",
    "parentheses": "eval('(' * 100000 + ')' * 100000)",
    "brackets": "eval('[' * 50000)",
    "operators": "eval('-' * 10 ** 8 + '1')",
    "long sum": "eval('+'.join(['x'] * 100000))",
    "nested functions": "exec('\\n'.join(' ' * i + 'def f():' for i in range(200)))",
    "nested blocks": "exec('\\n'.join(' ' * i + 'if 1:' for i in range(5000)))",
    "nested eval": "s = 'eval(s)'\neval(s)",
    "generator in generator": "def g(n):\n    yield from g(n + 1)\nlist(g(0))",
    "chain of generators": "g = iter([1])\nfor i in range(100000): g = (x for x in g)\nlist(g)",
    "json of a deep list": "import json\na = []\nfor i in range(100000): a = [a]\njson.dumps(a)",
    "super": "class A:\n    def f(self): super().f()\nA().f()",
}

TRICKS = {
    "finalizer that calls the host": (
        "import gc\nclass A:\n    def __del__(self): host(1)\nfor i in range(1000):\n    A()\n"
        "    gc.collect()\nraise ValueError"
    ),
    "finalizer that raises": (
        "import gc\nclass A:\n    def __del__(self): raise SystemExit\nA()\ngc.collect()\nraise ValueError"
    ),
    "finalizer that never ends": (
        "import gc\nclass A:\n    def __del__(self):\n        while True: pass\nA()\nA()\n"
        "gc.collect()\nwhile True: [0] * 100"
    ),
    "finalizer that allocates": (
        "import gc\nclass A:\n    def __del__(self): self.x = [A() for _ in range(10)]\nA()\n"
        "while True:\n    gc.collect()\n    A()"
    ),
    "resurrection": (
        "import gc\nkept = []\nclass A:\n    def __del__(self): kept.append(self)\nA()\n"
        "gc.collect()\nwhile True: [kept, kept]"
    ),
    "generator closed while it runs": "def g():\n    me.close()\n    yield\nme = g()\nnext(me)",
    "generator sent to itself": "def g():\n    me.send(1)\n    yield\nme = g()\nnext(me)",
    "generator that ignores its end": (
        "def g():\n    while True:\n        try: yield\n        except GeneratorExit: pass\nx = g()\n"
        "next(x)\nx.close()"
    ),
    "throw of no exception": "def g(): yield\nx = g()\nnext(x)\nx.throw(5)",
    "list that changes while sorted": (
        "a = list(range(100))\na.sort(key=lambda x: a.clear() or x)\nraise ValueError"
    ),
    "dictionary that changes while read": (
        "d = {i: i for i in range(100)}\nfor k in d: d[k + 1000] = 1\nwhile True: d.popitem()"
    ),
    "bytearray that shrinks under a view": (
        "b = bytearray(1000)\nm = memoryview(b)\nb[:] = b''\nb.extend(bytes(100000))\nm[999] = 1\n"
        "raise ValueError"
    ),
    "view of a view": "m = memoryview(bytearray(8))\nfor i in range(100000): m = m[:]\nm[9]",
    "slices that overflow": "b = bytearray(8)\nb[2 ** 62:-2 ** 62:2 ** 61]\nb[::0]",
    "struct that overflows": "import struct\nstruct.unpack_from('<q', bytearray(8), 2 ** 40)",
    "struct with a large count": "import struct\nstruct.pack('999999999s', b'')",
    "array with an odd type": "import array\narray.array('O', [1])\nraise ValueError",
    "exception whose text raises": "class E(Exception):\n    def __str__(self): raise self\nraise E",
    "exception whose text never ends": (
        "class E(Exception):\n    def __str__(self):\n        while True: pass\nraise E"
    ),
    "value whose repr never ends": "class A:\n    def __repr__(self):\n        while True: pass\nA()",
    "value whose repr is long": "class A:\n    def __repr__(self): return 'x' * 10 ** 9\nA()",
    "exit": "import sys\nsys.exit()",
    "exit by exception": "raise SystemExit('x' * 100000)",
    "interrupt of its own": "raise KeyboardInterrupt",
    "abort of its own": "import micropython\nmicropython.kbd_intr(3)\nraise GeneratorExit",
    "heap that is locked": "import micropython\nmicropython.heap_lock()\n[0] * 100",
    "stack that is asked for": "import micropython\nmicropython.stack_use()\nmicropython.pystack_use()",
    "collector that is disabled": "import gc\ngc.disable()\nwhile True: [0] * 1000",
    "collector with an odd threshold": "import gc\ngc.threshold(-1)\ngc.threshold(0)\nwhile True: [0] * 1000",
    "prompt's own function": "__repl_print__(1, 2, 3)",
    "numbers that are none": "float('nan') // 0",
    "complex powers": "0j ** -1",
    "host function in arrays": "import numpy as np\nnp.array([host])",
    "array that overlaps itself": (
        "import numpy as np\na = np.arange(100)\na[1:] = a[:-1]\na[::-1] += a\na[10 ** 10]"
    ),
    "keys that cannot leave": "{(1, 2): 3}",
    "keys that would collide on the host": "{i * (2 ** 61 - 1): 1 for i in range(100)}",
    "text that is no text": "host(b'\\xff'.decode('utf-8'))",
    "a name that is no name": "globals()[5] = 1\nglobals()['a b'] = 1\nexec('a b')",
    "import of itself": "import __main__\n__main__.__dict__.clear()\nprint(1)\nraise ValueError",
    "syntax of another Python": "match x:\n    case 1: pass",
    "bytes as source": "exec(b'\\0\\xff\\0')",
    "source with a nul": "exec('x = 1\\0y')",
    "long line": "exec('x' * 1000000)",
    "many lines": "exec('x = 1\\n' * 1000000)\nraise ValueError",
    "many names in one function": "exec('def f(' + ','.join('a%d' % i for i in range(10 ** 7)) + '): pass')",
    "many arguments": "print(*range(10 ** 8))",
    "many keywords": "host(**{'k%d' % i: 1 for i in range(10 ** 6)})",
}

ARRAYS_AND_TASKS = {
    "array with a negative size": "import numpy as np\nnp.zeros(-1)",
    "array whose size wraps": "import numpy as np\nnp.zeros((2 ** 33, 2 ** 31))",
    "array of impossible shape": "import numpy as np\nnp.arange(12).reshape(2 ** 32, 2 ** 32, 0, 5)",
    "array beyond its end": "import numpy as np\na = np.zeros(8)\na[2 ** 63 - 1]",
    "array before its beginning": "import numpy as np\na = np.zeros(8)\na[-9]",
    "slices of slices of an array": (
        "import numpy as np\na = np.arange(8)\nfor i in range(50): a = a[::-1]\na[2 ** 62 :: -(2 ** 62)][3]"
    ),
    "view that outlives its array": (
        "import numpy as np, gc\nv = np.arange(100000)[::7]\ngc.collect()\n"
        "b = [bytearray(1000) for _ in range(99)]\n"
        "v[:] = 5\nassert all(not any(x) for x in b)\nraise ValueError"
    ),
    "array that is written to while it is read": (
        "import numpy as np\na = np.arange(9)\na[a] = a\na[a * 10 ** 9]"
    ),
    "array type that is none": "import numpy as np\nnp.zeros(8, dtype='O')",
    "array type that is long": "import numpy as np\nnp.zeros(8, dtype='f' * 10 ** 6)",
    "array of nested lists": "import numpy as np\na = []\nfor i in range(10 ** 5): a = [a]\nnp.array(a)",
    "array of a list that grows": (
        "import numpy as np\nclass L(list):\n    def __len__(self): return 10 ** 9\nnp.array(L([1, 2]))\n"
        "raise ValueError"
    ),
    "array of an iterator without end": (
        "import numpy as np\ndef g():\n    while True: yield 1\nnp.array(list(g()))"
    ),
    "array axis that is none": "import numpy as np\nnp.zeros((3, 3)).sum(axis=2 ** 40)",
    "array operand that is a class": "import numpy as np\nclass A: pass\nnp.zeros(3) + A()",
    "array product of odd shapes": "import numpy as np\nnp.ones((3, 4)) @ np.ones((3, 4))",
    "array division by zero": (
        "import numpy as np\nnp.arange(3, dtype='int64') // np.zeros(3, dtype='int64')\n1 // 0"
    ),
    "array handed to the host and dropped": (
        "import numpy as np, gc\nfor i in range(300):\n    host(np.zeros(1000))\n    gc.collect()\n"
        "raise ValueError"
    ),
    "coroutine awaited twice": (
        "import asyncio\nasync def f(): return 1\nasync def g():\n    c = f()\n    await c\n    await c\n"
        "    raise ValueError\n"
        "asyncio.run(g())"
    ),
    "coroutine that awaits itself": "async def f(): await me\nme = f()\nme.send(None)\nme.send(None)",
    "coroutine that nobody awaits": "async def f(): pass\nfor i in range(10 ** 6): f()\nraise ValueError",
    "loop in a loop": "import asyncio\nasync def f(): asyncio.run(f())\nasyncio.run(f())",
    "task that ignores its end": (
        "import asyncio\nasync def f():\n    while True:\n        try: await asyncio.sleep(0)\n"
        "        except BaseException: pass\nasync def g():\n    t = asyncio.create_task(f())\n"
        "    await asyncio.sleep(0)\n    t.cancel()\n    await t\nasyncio.run(g())"
    ),
    "task that cancels itself": (
        "import asyncio\nasync def f():\n    t.cancel()\n    await asyncio.sleep(0)\nasync def g():\n"
        "    global t\n"
        "    t = asyncio.create_task(f())\n    await t\nasyncio.run(g())"
    ),
    "gathering without end": (
        "import asyncio\nasync def f(): await asyncio.gather(*[f() for _ in range(100)])\nasyncio.run(f())"
    ),
    "host function as a coroutine": "import asyncio\nasyncio.run(host(1))",
    "host function awaited": "import asyncio\nasync def f(): await host(1)\nasyncio.run(f())",
    "host function as a finalizer": "class A: pass\nA.__del__ = host\nA()\nhost.x = 1",
    "host function as an operator": "class A: pass\nA.__add__ = host\nA() + A()\nA() < A()",
    "host function as a sort key": "sorted(range(10), key=host)",
    "host function with itself": "host(host)",
    "host function with what has no end": "a = []\na.append(a)\nhost(a)",
    "host function with a class": "host(type('A', (), {}))\nhost(int)",
}

PROGRAMS = {
    f"{kind}: {name}": source
    for kind, group in (
        ("escape", ESCAPES),
        ("memory", MEMORY),
        ("time", TIME),
        ("depth", DEPTH),
        ("trick", TRICKS),
        ("array or task", ARRAYS_AND_TASKS),
    )
    for name, source in group.items()
}
