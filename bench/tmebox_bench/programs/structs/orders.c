/* An order book: structs in structs, passed and returned by value, kept in linked levels. */
#include "../bench.h"

enum { LEVELS = 256, ORDERS = 4096 };

struct money {
	int64_t units;
	int32_t cents;
};

struct order {
	struct money price;
	uint32_t id, amount, trader;
	int next;
	uint8_t buys, active;
};

struct level {
	int first, last;
	uint32_t amount, count;
};

struct book {
	struct level buy[LEVELS], sell[LEVELS];
	struct order orders[ORDERS];
	int best_buy, best_sell, free;
	struct money turnover;
	uint64_t trades;
};

static struct book book;

static struct money add(struct money a, struct money b)
{
	struct money sum = {a.units + b.units, a.cents + b.cents};
	if (sum.cents >= 100) sum.cents -= 100, sum.units++;
	return sum;
}

static struct money times(struct money price, uint32_t amount)
{
	int64_t cents = (price.units * 100 + price.cents) * amount;
	return (struct money){cents / 100, (int32_t)(cents % 100)};
}

static struct money price_of(int level)
{
	return (struct money){90 + level / 100, level % 100};
}

static void trade(struct level *level, struct order *taker)
{
	while (taker->amount && level->first >= 0) {
		struct order *maker = &book.orders[level->first];
		uint32_t amount = taker->amount < maker->amount ? taker->amount : maker->amount;
		taker->amount -= amount;
		maker->amount -= amount;
		level->amount -= amount;
		book.turnover = add(book.turnover, times(maker->price, amount));
		book.trades++;
		if (maker->amount == 0) {
			int done = level->first;
			level->first = maker->next;
			level->count--;
			maker->active = 0;
			maker->next = book.free;
			book.free = done;
		}
	}
}

static void rest(int at, struct order order)
{
	if (book.free < 0) return;
	int slot = book.free;
	book.free = book.orders[slot].next;
	struct level *level = order.buys ? &book.buy[at] : &book.sell[at];
	order.next = -1;
	order.active = 1;
	book.orders[slot] = order;
	if (level->first < 0) level->first = slot;
	else book.orders[level->last].next = slot;
	level->last = slot;
	level->amount += order.amount;
	level->count++;
	if (order.buys && at > book.best_buy) book.best_buy = at;
	if (!order.buys && at < book.best_sell) book.best_sell = at;
}

static void enter(struct order order, int at)
{
	if (order.buys) {
		for (; order.amount && book.best_sell <= at && book.best_sell < LEVELS; book.best_sell++) {
			trade(&book.sell[book.best_sell], &order);
			if (book.sell[book.best_sell].first >= 0) break;
		}
	} else {
		for (; order.amount && book.best_buy >= at && book.best_buy >= 0; book.best_buy--) {
			trade(&book.buy[book.best_buy], &order);
			if (book.buy[book.best_buy].first >= 0) break;
		}
	}
	if (order.amount) rest(at, order);
}

int main(int argc, char **argv)
{
	int rounds = work(argc, argv);
	uint32_t random = 362436069u;
	uint64_t sum = 0;
	for (int i = 0; i < LEVELS; i++) book.buy[i].first = book.sell[i].first = -1;
	for (int i = 0; i < ORDERS; i++) book.orders[i].next = i + 1 < ORDERS ? i + 1 : -1;
	book.best_buy = -1;
	book.best_sell = LEVELS;
	for (int round = 0; round < rounds; round++) {
		for (int i = 0; i < 2000; i++) {
			uint32_t value = next_random(&random);
			int at = 64 + (int)(value >> 8) % 128;
			struct order order = {price_of(at), value, 1 + value % 97, value >> 20, -1, value & 1, 0};
			enter(order, at);
		}
		sum = mix(sum, book.trades);
		sum = mix(sum, (uint64_t)book.turnover.units * 100 + (uint64_t)book.turnover.cents);
	}
	return finish(sum);
}
