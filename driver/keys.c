// SPDX-License-Identifier: GPL-2.0
/* Which KeyIDs are taken, by any file; the keys behind them are programmed by PCONFIG. */
#include <linux/bitmap.h>
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/suspend.h>
#include <linux/topology.h>

#include "tmebox.h"

#define TRIES 100

static DEFINE_MUTEX(keys_lock);
static unsigned long *taken;	/* bit 0: key 0, always */
static unsigned int taken_count;
static unsigned int last_given;
static bool going_to_sleep;
static int hotplug_state;

struct program_call {
	struct tmebox_key_program *program;
	unsigned int status;
};

/* On a CPU of the package that is to learn the key. */
static void program_here(void *data)
{
	struct program_call *call = data;
	unsigned long status = 0;

	/* PCONFIG; RBX is the structure's linear address. */
	asm volatile(".byte 0x0f, 0x01, 0xc5"
		     : "+a"(status)
		     : "b"(call->program), "c"(0), "d"(0)
		     : "memory", "cc");
	call->status = status;
}

static bool first_of_package(unsigned int cpu)
{
	return cpumask_first_and(topology_core_cpumask(cpu), cpu_online_mask) == cpu;
}

/* Every package has tables of its own. */
static int program_everywhere(unsigned int key, enum tmebox_key_command command)
{
	struct program_call call;
	unsigned int cpu, tries;
	int error = 0;

	if (tmebox_platform.simulated)
		return 0;
	call.program = kzalloc(sizeof(*call.program), GFP_KERNEL);	/* a power of two: aligned */
	if (!call.program)
		return -ENOMEM;
	tmebox_key_program_set(call.program, key, command, TMEBOX_AES_XTS_128_INTEGRITY);
	if (command == TMEBOX_KEY_RANDOM) {
		get_random_bytes(call.program->data_key, sizeof(call.program->data_key));
		get_random_bytes(call.program->tweak_key, sizeof(call.program->tweak_key));
	}
	cpus_read_lock();
	for_each_online_cpu(cpu) {
		if (!first_of_package(cpu))
			continue;
		for (tries = 0; tries < TRIES; tries++) {
			error = smp_call_function_single(cpu, program_here, &call, true);
			if (error || !tmebox_worth_another_try(call.status))
				break;
			usleep_range(10, 100);
		}
		if (!error && call.status) {
			pr_err("tmebox: PCONFIG %u for key %u on CPU %u: status %u\n", command, key, cpu,
			       call.status);
			error = -EIO;
		}
		if (error)
			break;
	}
	cpus_read_unlock();
	kfree_sensitive(call.program);
	return error;
}

/* In turn, so that a key rests for as long as possible before it is given again. */
static unsigned int next_free(void)
{
	unsigned int end = tmebox_platform.layout.keys + 1;
	unsigned int found = find_next_zero_bit(taken, end, last_given + 1);

	return found < end ? found : find_next_zero_bit(taken, end, 1);
}

/*
 * Its number, or -ENOSPC, or -EBUSY while the machine goes to sleep. A key
 * that no package could learn stays taken: its state is unknown.
 */
int tmebox_keys_take(void)
{
	unsigned int id;
	int error;

	mutex_lock(&keys_lock);
	id = next_free();
	error = going_to_sleep ? -EBUSY : id > tmebox_platform.layout.keys ? -ENOSPC : 0;
	if (error) {
		mutex_unlock(&keys_lock);
		return error;
	}
	__set_bit(id, taken);
	taken_count++;
	last_given = id;
	error = program_everywhere(id, TMEBOX_KEY_RANDOM);
	mutex_unlock(&keys_lock);
	return error ?: id;
}

/* No entry has it any more, and no cache a line. */
void tmebox_keys_give_back(unsigned int id)
{
	mutex_lock(&keys_lock);
	if (!program_everywhere(id, TMEBOX_KEY_CLEAR)) {
		__clear_bit(id, taken);
		taken_count--;
	} else {
		pr_err("tmebox: key %u is not used again\n", id);
	}
	mutex_unlock(&keys_lock);
}

/* A package that was away while keys were programmed does not know them. */
static int cpu_comes(unsigned int cpu)
{
	int answer = 0;

	if (cpumask_weight(topology_core_cpumask(cpu)) > 1)
		return 0;
	/* Who programs holds keys_lock and waits for us: do not wait for it. */
	if (!mutex_trylock(&keys_lock))
		return -EBUSY;
	if (taken_count)
		answer = -EBUSY;
	mutex_unlock(&keys_lock);
	return answer;
}

/*
 * Keys are lost when the packages lose power, and with them the kernel that
 * a saved image takes the place of. User space runs on after it was asked
 * here: so no key is given until all of that is over. Where we refuse, or
 * somebody else does after us, it is over at once.
 */
static int power_changes(struct notifier_block *block, unsigned long event, void *data)
{
	int error = 0;

	mutex_lock(&keys_lock);
	switch (event) {
	case PM_SUSPEND_PREPARE:
	case PM_HIBERNATION_PREPARE:
	case PM_RESTORE_PREPARE:
		if (taken_count)
			error = -EBUSY;
		else
			going_to_sleep = true;
		break;
	case PM_POST_SUSPEND:
	case PM_POST_HIBERNATION:
	case PM_POST_RESTORE:
		going_to_sleep = false;
		break;
	}
	mutex_unlock(&keys_lock);
	return notifier_from_errno(error);
}

static struct notifier_block power_notifier = { .notifier_call = power_changes };

int tmebox_keys_start(void)
{
	int error;

	taken = bitmap_zalloc(tmebox_platform.layout.keys + 1, GFP_KERNEL);
	if (!taken)
		return -ENOMEM;
	__set_bit(0, taken);
	error = register_pm_notifier(&power_notifier);
	if (error)
		goto free;
	if (tmebox_platform.simulated)
		return 0;
	error = cpuhp_setup_state_nocalls(CPUHP_AP_ONLINE_DYN, "tmebox:online", cpu_comes, NULL);
	if (error < 0)
		goto unregister;
	hotplug_state = error;
	return 0;

unregister:
	unregister_pm_notifier(&power_notifier);
free:
	bitmap_free(taken);
	return error;
}

void tmebox_keys_stop(void)
{
	if (!tmebox_platform.simulated)
		cpuhp_remove_state_nocalls(hotplug_state);
	unregister_pm_notifier(&power_notifier);
	bitmap_free(taken);
}
