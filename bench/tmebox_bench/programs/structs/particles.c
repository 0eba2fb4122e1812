/* An array of large structs, of which each pass uses other fields. */
#include "../bench.h"

enum { COUNT = 1500 };

struct particle {
	double position[3], speed[3], force[3];
	float mass, charge;
	int cell, next;
	short kind, bonds[4];
	unsigned char alive, hot, marked;
};

static struct particle particles[COUNT];
static int cells[512];

static void sort_into_cells(void)
{
	for (int i = 0; i < 512; i++) cells[i] = -1;
	for (int i = 0; i < COUNT; i++) {
		struct particle *p = &particles[i];
		int x = (int)p->position[0] & 7, y = (int)p->position[1] & 7, z = (int)p->position[2] & 7;
		p->cell = x << 6 | y << 3 | z;
		p->next = cells[p->cell];
		cells[p->cell] = i;
	}
}

static void push(void)
{
	for (int cell = 0; cell < 512; cell++) {
		for (int i = cells[cell]; i >= 0; i = particles[i].next) {
			struct particle *p = &particles[i];
			for (int j = p->next; j >= 0; j = particles[j].next) {
				struct particle *q = &particles[j];
				double strength = p->charge * q->charge / 64;
				for (int k = 0; k < 3; k++) {
					double by = (p->position[k] - q->position[k]) * strength;
					p->force[k] += by;
					q->force[k] -= by;
				}
			}
		}
	}
}

static int move(void)
{
	int hot = 0;
	for (int i = 0; i < COUNT; i++) {
		struct particle *p = &particles[i];
		if (!p->alive) continue;
		double energy = 0;
		for (int k = 0; k < 3; k++) {
			p->speed[k] = p->speed[k] * 0.875 + p->force[k] / p->mass;
			p->position[k] += p->speed[k] * 0.125;
			if (p->position[k] < 0) p->position[k] += 8;
			if (p->position[k] >= 8) p->position[k] -= 8;
			if (!(p->position[k] >= 0 && p->position[k] < 8)) p->position[k] = 4;
			p->force[k] = 0;
			energy += p->speed[k] * p->speed[k];
		}
		p->hot = energy > 0.25;
		hot += p->hot;
		p->bonds[p->kind & 3] = (short)(p->bonds[p->kind & 3] + p->hot);
	}
	return hot;
}

int main(int argc, char **argv)
{
	int rounds = work(argc, argv);
	uint32_t random = 521288629u;
	uint64_t sum = 0;
	for (int i = 0; i < COUNT; i++) {
		struct particle *p = &particles[i];
		for (int k = 0; k < 3; k++) p->position[k] = (next_random(&random) & 0xffff) / 8192.0;
		p->mass = 1 + (float)(i & 3);
		p->charge = i & 1 ? 1.0f : -1.0f;
		p->kind = (short)i;
		p->alive = i % 31 != 0;
	}
	for (int round = 0; round < rounds; round++) {
		sort_into_cells();
		push();
		sum = mix(sum, (uint64_t)move());
	}
	for (int i = 0; i < COUNT; i++) sum = mix(sum, (uint64_t)particles[i].bonds[i & 3] ^ (uint64_t)particles[i].cell << 16);
	return finish(sum);
}
