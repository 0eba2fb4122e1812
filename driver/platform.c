// SPDX-License-Identifier: GPL-2.0
/* What this machine has: the processor's registers, or parameters that stand for them. */
#include <linux/cpu.h>
#include <linux/ioport.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <asm/msr.h>
#include <asm/processor.h>
#include <asm/special_insns.h>

#include "tmebox.h"

static unsigned int simulate_bits;
module_param(simulate_bits, uint, 0444);
MODULE_PARM_DESC(simulate_bits, "KeyID bits of a machine without TME-MK: nothing is encrypted (tests)");

static unsigned int simulate_shift;
module_param(simulate_shift, uint, 0444);
MODULE_PARM_DESC(simulate_shift, "the lowest of them");

static bool coherent_aliases;
module_param(coherent_aliases, bool, 0444);
MODULE_PARM_DESC(coherent_aliases, "this processor keeps aliases with different KeyIDs coherent");

struct tmebox_platform tmebox_platform;

static bool has_mktme_target(void)
{
	unsigned int leaf, eax, ebx, ecx, edx;

	if (boot_cpu_data.cpuid_level < 0x1b)
		return false;
	/* A leaf of type 0 ends the list. The bound is against a CPU that never says so. */
	for (leaf = 0; leaf < 64; leaf++) {
		cpuid_count(0x1b, leaf, &eax, &ebx, &ecx, &edx);
		if ((eax & 0xfff) == 0)
			return false;
		if ((eax & 0xfff) == 1 && (ebx == 1 || ecx == 1 || edx == 1))
			return true;
	}
	return false;
}

static bool read_register(unsigned int msr, u64 *value)
{
	return !rdmsrl_safe(msr, value);
}

static void read_registers(struct tmebox_registers *r)
{
	unsigned int eax, ebx, ecx = 0, edx = 0;

	if (boot_cpu_data.cpuid_level >= 7)
		cpuid_count(7, 0, &eax, &ebx, &ecx, &edx);
	r->has_tme = ecx & BIT(13);
	r->has_movdir64b = ecx & BIT(28);
	r->has_pconfig = edx & BIT(18);
	r->has_mktme_target = has_mktme_target();
	/* Not what the kernel keeps: it takes the KeyID bits off. */
	r->address_bits = cpuid_eax(0x80000008) & 0xff;
	r->has_capability = read_register(TMEBOX_MSR_CAPABILITY, &r->capability) &&
			    read_register(TMEBOX_MSR_ACTIVATE, &r->activate);
	r->has_partitioning = read_register(TMEBOX_MSR_PARTITIONING, &r->partitioning);
	r->has_aliases = read_register(TMEBOX_MSR_ALIASES, &r->aliases);
	r->has_core_activate = read_register(TMEBOX_MSR_CORE_ACTIVATE, &r->core_activate);
}

/* Each package has registers of its own, and each core one. They must agree. */
static bool processors_agree(const struct tmebox_registers *r)
{
	unsigned int cpu;
	bool agree = true;
	u64 value;

	cpus_read_lock();
	for_each_online_cpu(cpu) {
		if (rdmsrl_safe_on_cpu(cpu, TMEBOX_MSR_ACTIVATE, &value) || value != r->activate)
			agree = false;
		else if (!rdmsrl_safe_on_cpu(cpu, TMEBOX_MSR_CORE_ACTIVATE, &value) &&
			 !tmebox_core_agrees(r->activate, value))
			agree = false;
	}
	cpus_read_unlock();
	return agree;
}

/*
 * Memory at the keys' addresses would be in every view of theirs: the
 * kernel's, and everybody's.
 */
static bool memory_at_keys(const struct tmebox_layout *layout)
{
	const u64 first = 1ULL << layout->key_shift, end = first << layout->key_bits;

	return region_intersects(first, end - first, IORESOURCE_SYSTEM_RAM, IORES_DESC_NONE) != REGION_DISJOINT;
}

static int simulate(const struct tmebox_registers *r)
{
	struct tmebox_layout *layout = &tmebox_platform.layout;

	if (r->has_tme && r->has_capability && tmebox_active(r->activate)) {
		pr_err("tmebox: TME-MK is active here: it is not simulated\n");
		return -EINVAL;
	}
	if (!tmebox_layout_fits(simulate_bits, simulate_shift, r->address_bits)) {
		pr_err("tmebox: simulate_bits=%u simulate_shift=%u do not fit addresses of %u bits\n",
		       simulate_bits, simulate_shift, r->address_bits);
		return -EINVAL;
	}
	layout->key_bits = simulate_bits;
	layout->key_shift = simulate_shift;
	layout->keys = BIT(simulate_bits) - 1;
	layout->algorithms = 0;
	if (memory_at_keys(layout)) {
		pr_err("tmebox: this machine has memory at simulate_shift=%u and above\n", simulate_shift);
		return -EINVAL;
	}
	tmebox_platform.simulated = true;
	return 0;
}

/* Without a handler the first wrong key ends the machine. mce=off leaves the bit in CR4 out. */
static bool handles_machine_checks(void)
{
	return IS_ENABLED(CONFIG_X86_MCE) && (native_read_cr4() & X86_CR4_MCE);
}

int tmebox_platform_find(void)
{
	struct tmebox_registers registers = {};
	enum tmebox_refusal refusal;

	read_registers(&registers);
	tmebox_platform.coherent = coherent_aliases;
	if (simulate_bits || simulate_shift)
		return simulate(&registers);
	refusal = tmebox_hardware_layout(&registers, &tmebox_platform.layout);
	if (refusal != TMEBOX_USABLE) {
		pr_info("tmebox: not usable: %s\n", tmebox_refusal_text(refusal));
		return -ENODEV;
	}
	if (!handles_machine_checks()) {
		pr_info("tmebox: not usable: this kernel does not handle machine checks\n");
		return -ENODEV;
	}
	if (!processors_agree(&registers)) {
		pr_info("tmebox: not usable: TME_ACTIVATE or MK_TME_CORE_ACTIVATE differs between CPUs\n");
		return -ENODEV;
	}
	if (memory_at_keys(&tmebox_platform.layout)) {
		pr_info("tmebox: not usable: memory lies where KeyIDs are\n");
		return -ENODEV;
	}
	return 0;
}
