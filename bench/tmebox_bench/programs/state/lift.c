/* A controller of lifts as model-based tools write them: one large state machine whose inputs, outputs and states
   are all globals. */
#include "../bench.h"

enum { FLOORS = 12 };
enum mode { IDLE, STARTING, UP, DOWN, STOPPING, OPENING, OPEN, CLOSING };

static int position, speed, target = -1, door, patience, served;
static enum mode mode;
static char call_up[FLOORS], call_down[FLOORS], inside[FLOORS];
static char motor_on, brake_on = 1, light_on, alarm_on, overloaded;
static unsigned ticks, moving_ticks, idle_ticks, trips[FLOORS];

static int next_target(void)
{
	int floor = position / 10;
	for (int distance = 0; distance < FLOORS; distance++) {
		int above = floor + distance, below = floor - distance;
		if (above < FLOORS && (inside[above] || call_up[above] || call_down[above])) return above;
		if (below >= 0 && (inside[below] || call_up[below] || call_down[below])) return below;
	}
	return -1;
}

static void step(void)
{
	ticks++;
	switch (mode) {
	case IDLE:
		idle_ticks++;
		light_on = 0;
		target = next_target();
		if (target >= 0) mode = target * 10 == position ? OPENING : STARTING;
		break;
	case STARTING:
		light_on = 1;
		brake_on = 0;
		motor_on = 1;
		speed = 1;
		mode = target * 10 > position ? UP : DOWN;
		break;
	case UP:
		moving_ticks++;
		position += speed;
		if (speed < 3 && target * 10 - position > 6) speed++;
		if (target * 10 - position <= 3) speed = 1;
		if (position % 10 == 0 && call_up[position / 10] && !overloaded) target = position / 10;
		if (position >= target * 10) mode = STOPPING;
		break;
	case DOWN:
		moving_ticks++;
		position -= speed;
		if (speed < 3 && position - target * 10 > 6) speed++;
		if (position - target * 10 <= 3) speed = 1;
		if (position % 10 == 0 && call_down[position / 10] && !overloaded) target = position / 10;
		if (position <= target * 10) mode = STOPPING;
		break;
	case STOPPING:
		motor_on = 0;
		brake_on = 1;
		speed = 0;
		position = target * 10;
		mode = OPENING;
		break;
	case OPENING:
		if (++door == 3) {
			mode = OPEN;
			patience = 4;
			trips[target]++;
			served += call_up[target] + call_down[target] + inside[target];
			call_up[target] = call_down[target] = inside[target] = 0;
		}
		break;
	case OPEN:
		if (overloaded) {
			alarm_on = 1;
			patience = 4;
			if (ticks % 7 == 0) overloaded = 0;
		} else if (--patience == 0) {
			alarm_on = 0;
			mode = CLOSING;
		}
		break;
	case CLOSING:
		if (--door == 0) mode = IDLE;
		break;
	}
}

int main(int argc, char **argv)
{
	int rounds = work(argc, argv);
	uint32_t random = 2463534242u;
	uint64_t sum = 0;
	for (int round = 0; round < rounds; round++) {
		for (int i = 0; i < 20000; i++) {
			if (i % 16 == 0) {
				uint32_t value = next_random(&random);
				char *buttons = value & 256 ? call_up : value & 512 ? call_down : inside;
				buttons[value % FLOORS] = 1;
				overloaded = value >> 28 == 0;
			}
			step();
		}
		sum = mix(sum, (uint64_t)position << 32 | (uint64_t)served);
		sum = mix(sum, moving_ticks ^ idle_ticks << 8 ^ (unsigned)(motor_on + brake_on + light_on + alarm_on));
	}
	return finish(mix_bytes(sum, trips, sizeof trips));
}
