"""python examples/rules.py: a user's rule, as C source, may look prices up and log, and nothing else.

What to take from it: host functions are the sandbox's only doors, and a bad rule costs one exception.
"""

import tmebox

PRICES = {7: 12.50, 9: 3.99}

RULE = """
double price_of(int item);
void note(const char *text);

double total(const int *items, int count)
{
    double sum = 0;
    for (int i = 0; i < count; i++)
        sum += price_of(items[i]);
    if (sum > 25) {
        note("volume discount");
        sum *= 0.9;
    }
    return sum;
}

int never_ends(void)
{
    for (volatile int i = 0;; i++)
        ;
}
"""


def price_of(item: int) -> float:
    return PRICES[item]


def note(text: str) -> None:
    print(f"the rule says: {text}")


module = tmebox.compile(source_text=RULE)
with tmebox.Sandbox(module, imports=[price_of, note], timeout=0.5) as sandbox:
    items = sandbox.array(3, "int32")
    items[:] = [7, 9, 7]
    print(f"total {sandbox.total(items, 3):.2f}")
    try:
        sandbox.never_ends()
    except tmebox.Timeout as trap:
        print(f"stopped: {trap}")
