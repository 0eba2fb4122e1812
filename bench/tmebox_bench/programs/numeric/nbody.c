/* Gravity between a few bodies: square roots, divisions, short dependent loops. */
#include <math.h>

#include "../bench.h"

enum { BODIES = 6 };

struct body {
	double position[3], velocity[3], mass;
};

static void attract(struct body *one, struct body *other, double dt)
{
	double apart[3], squared = 0.01;
	for (int k = 0; k < 3; k++) {
		apart[k] = one->position[k] - other->position[k];
		squared += apart[k] * apart[k];
	}
	double strength = dt / (squared * sqrt(squared));
	for (int k = 0; k < 3; k++) {
		one->velocity[k] -= apart[k] * other->mass * strength;
		other->velocity[k] += apart[k] * one->mass * strength;
	}
}

static void advance(struct body *bodies, double dt)
{
	for (int i = 0; i < BODIES; i++)
		for (int j = i + 1; j < BODIES; j++) attract(&bodies[i], &bodies[j], dt);
	for (int i = 0; i < BODIES; i++)
		for (int k = 0; k < 3; k++) bodies[i].position[k] += dt * bodies[i].velocity[k];
}

int main(int argc, char **argv)
{
	int steps = work(argc, argv) * 1000;
	struct body bodies[BODIES];
	uint32_t random = 12345;
	for (int i = 0; i < BODIES; i++) {
		for (int k = 0; k < 3; k++) {
			bodies[i].position[k] = next_random(&random) % 1000 / 100.0;
			bodies[i].velocity[k] = next_random(&random) % 100 / 1000.0;
		}
		bodies[i].mass = i ? 0.1 * i : 10;
	}
	for (int i = 0; i < steps; i++) advance(bodies, 0.001);
	uint64_t sum = 0;
	for (int i = 0; i < BODIES; i++)
		for (int k = 0; k < 3; k++) sum = mix_double(sum, bodies[i].position[k]);
	return finish(sum);
}
