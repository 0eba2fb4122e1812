/* Small matrices and vectors by value, as geometry code has them. */
#include "../bench.h"

typedef struct {
	float x, y, z;
} vector;
typedef struct {
	float m[3][4];
} transform;
typedef struct {
	vector low, high;
} box;
typedef struct {
	transform place;
	box bounds;
	int parent, visible;
} node;

enum { NODES = 600 };

static node nodes[NODES];
static transform world[NODES];

static transform combine(transform a, transform b)
{
	transform c;
	for (int i = 0; i < 3; i++) {
		for (int j = 0; j < 4; j++) {
			c.m[i][j] = a.m[i][0] * b.m[0][j] + a.m[i][1] * b.m[1][j] + a.m[i][2] * b.m[2][j];
		}
		c.m[i][3] += a.m[i][3];
	}
	return c;
}

static vector apply(transform t, vector v)
{
	float r[3];
	for (int i = 0; i < 3; i++) r[i] = t.m[i][0] * v.x + t.m[i][1] * v.y + t.m[i][2] * v.z + t.m[i][3];
	return (vector){r[0], r[1], r[2]};
}

static box enclose(box b, vector v)
{
	if (v.x < b.low.x) b.low.x = v.x;
	if (v.y < b.low.y) b.low.y = v.y;
	if (v.z < b.low.z) b.low.z = v.z;
	if (v.x > b.high.x) b.high.x = v.x;
	if (v.y > b.high.y) b.high.y = v.y;
	if (v.z > b.high.z) b.high.z = v.z;
	return b;
}

static box moved(transform t, box b)
{
	vector first = apply(t, b.low);
	box result = {first, first};
	for (int corner = 1; corner < 8; corner++) {
		vector v = {corner & 1 ? b.high.x : b.low.x, corner & 2 ? b.high.y : b.low.y, corner & 4 ? b.high.z : b.low.z};
		result = enclose(result, apply(t, v));
	}
	return result;
}

int main(int argc, char **argv)
{
	int rounds = work(argc, argv);
	uint64_t sum = 0;
	for (int i = 0; i < NODES; i++) {
		node *n = &nodes[i];
		n->parent = i ? (i - 1) / 3 : -1;
		for (int k = 0; k < 3; k++) n->place.m[k][k] = 1 - (float)(i % 5) / 64;
		n->place.m[0][1] = 0.25f;
		n->place.m[1][0] = -0.25f;
		n->place.m[i % 3][3] = (float)(i % 7) - 3;
		n->bounds = (box){{-1, -1, -1}, {1, 1, 1 + (float)(i % 3)}};
	}
	for (int round = 0; round < rounds; round++) {
		int visible = 0;
		nodes[0].place.m[2][3] = (float)(round % 16) / 4;
		for (int i = 0; i < NODES; i++) {
			node *n = &nodes[i];
			world[i] = n->parent < 0 ? n->place : combine(world[n->parent], n->place);
			box around = moved(world[i], n->bounds);
			n->visible = around.high.z > 0 && around.low.x < 4 && around.high.x > -4;
			visible += n->visible;
		}
		sum = mix(sum, (uint64_t)visible);
	}
	return finish(sum);
}
