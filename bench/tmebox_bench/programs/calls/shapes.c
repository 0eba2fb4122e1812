/* Objects with a table of methods, as compilers of object-oriented languages make them. */
#include "../bench.h"

enum { SHAPES = 1000 };

struct shape;

struct methods {
	double (*area)(const struct shape *);
	double (*border)(const struct shape *);
	void (*scale)(struct shape *, double factor);
};

struct shape {
	const struct methods *methods;
	double size[3];
};

static double circle_area(const struct shape *s)
{
	return 3.14159 * s->size[0] * s->size[0];
}

static double circle_border(const struct shape *s)
{
	return 2 * 3.14159 * s->size[0];
}

static void scale_one(struct shape *s, double factor)
{
	s->size[0] *= factor;
}

static double box_area(const struct shape *s)
{
	return s->size[0] * s->size[1];
}

static double box_border(const struct shape *s)
{
	return 2 * (s->size[0] + s->size[1]);
}

static void scale_two(struct shape *s, double factor)
{
	s->size[0] *= factor;
	s->size[1] *= factor;
}

static double prism_area(const struct shape *s)
{
	return 2 * (s->size[0] * s->size[1] + s->size[1] * s->size[2] + s->size[0] * s->size[2]);
}

static double prism_border(const struct shape *s)
{
	return 4 * (s->size[0] + s->size[1] + s->size[2]);
}

static void scale_three(struct shape *s, double factor)
{
	scale_two(s, factor);
	s->size[2] *= factor;
}

static const struct methods classes[] = {
	{ circle_area, circle_border, scale_one },
	{ box_area, box_border, scale_two },
	{ prism_area, prism_border, scale_three },
};

int main(int argc, char **argv)
{
	int rounds = work(argc, argv) * 100;
	struct shape *shapes[SHAPES];
	uint32_t random = 17;
	for (int i = 0; i < SHAPES; i++) {
		shapes[i] = need(malloc(sizeof *shapes[i]));
		shapes[i]->methods = &classes[next_random(&random) % 3];
		for (int k = 0; k < 3; k++) shapes[i]->size[k] = 1 + next_random(&random) % 100 / 10.0;
	}
	uint64_t sum = 0;
	for (int round = 0; round < rounds; round++) {
		double area = 0, border = 0;
		for (int i = 0; i < SHAPES; i++) {
			struct shape *shape = shapes[i];
			area += shape->methods->area(shape);
			border += shape->methods->border(shape);
			shape->methods->scale(shape, round & 1 ? 0.5 : 2);
		}
		sum = mix_double(mix_double(sum, area), border);
	}
	for (int i = 0; i < SHAPES; i++) free(shapes[i]);
	return finish(sum);
}
