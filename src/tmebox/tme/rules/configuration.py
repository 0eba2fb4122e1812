"""Rules of CPUID, registers, PCONFIG and a machine's options."""

from __future__ import annotations

from tmebox.tme.rules.rule import Rule

ROWS = (
    # -- enumeration and registers
    Rule(
        "cpuid-tme",
        "AMET 4, enumeration",
        "CPUID.7.0:ECX[13] enumerates TME; EDX[18] PCONFIG",
        "test_cpuid_enumerates_tme_and_its_targets",
    ),
    Rule(
        "cpuid-pconfig-targets",
        "SDM 2, CPUID 1BH",
        "leaf 1BH lists target 1, TME-MK",
        "test_cpuid_enumerates_tme_and_its_targets",
    ),
    Rule(
        "cpuid-width",
        "AMET 5, physical address",
        "80000008H MAXPHYADDR does not change on activation",
        "test_cpuid_enumerates_tme_and_its_targets",
    ),
    Rule("msr-known", "SDM 2, RDMSR", "an MSR that is not there gives #GP", "test_unknown_msrs_fault"),
    Rule(
        "msr-privilege",
        "SDM 2, RDMSR",
        "RDMSR and WRMSR need privilege level 0",
        "test_registers_need_privilege_level_0",
    ),
    Rule("msr-read-only", "AMET Table 4-1", "writing a read-only MSR gives #GP", "test_read_only_msrs_fault"),
    Rule(
        "activate-locked",
        "AMET Table 4-3",
        "a write of 982H after the lock gives #GP",
        "test_activate_rules",
        "inferred",
    ),
    Rule("activate-reserved", "AMET Table 4-3", "reserved bits of 982H give #GP", "test_activate_rules"),
    Rule(
        "activate-policy",
        "AMET Table 4-3",
        "a policy that 981H does not list gives #GP",
        "test_activate_rules",
    ),
    Rule(
        "activate-bypass",
        "AMET Table 4-2",
        "bypass without the capability gives #GP",
        "test_bypass_needs_the_capability",
    ),
    Rule(
        "activate-key-bits",
        "AMET Table 4-3",
        "more KeyID bits than 981H allows give #GP",
        "test_activate_rules",
    ),
    Rule(
        "activate-needs-enable", "AMET Table 4-3", "KeyID bits without enable give #GP", "test_activate_rules"
    ),
    Rule("activate-tdx-bits", "SDM 4, 982H", "more TDX bits than KeyID bits give #GP", "test_activate_rules"),
    Rule(
        "activate-algorithms",
        "AMET Table 4-3",
        "algorithms that 981H does not list give #GP",
        "test_activate_rules",
    ),
    Rule(
        "activate-locks",
        "AMET Table 4-3",
        "a write that succeeds sets the lock",
        "test_a_successful_write_locks",
    ),
    Rule(
        "activate-entropy",
        "AMET Table 4-3",
        "without entropy nothing is enabled or locked",
        "test_entropy_fails_and_nothing_is_locked",
    ),
    Rule(
        "activate-restore",
        "AMET Table 4-3",
        "restoring no saved key enables nothing",
        "test_the_platform_key_is_restored",
    ),
    Rule(
        "core-activate",
        "AMET Table 4-4",
        "9FFH gives a core the KeyID bits; it is written as 0",
        "test_core_activate_gives_the_key_id_bits",
    ),
    Rule(
        "exclude-locked",
        "AMET Table 4-5",
        "983H and 984H cannot be written after the lock",
        "test_exclusion_rules",
    ),
    Rule("exclude-reserved", "AMET Tables 4-5, 4-6", "reserved bits give #GP", "test_exclusion_rules"),
    Rule("exclude-contiguous", "AMET Table 4-5", "the mask is contiguous", "test_exclusion_rules"),
    Rule(
        "exclude-key-0",
        "AMET Table 4-5",
        "the range is plain text for KeyID 0 only",
        "test_the_excluded_range_is_plain_for_key_id_0_only",
    ),
    Rule(
        "bypass-key-0",
        "AMET Table 4-2",
        "with bypass, KeyID 0 is plain text",
        "test_bypass_leaves_key_id_0_plain",
    ),
    Rule(
        "partitioning",
        "SDM 4, 87H",
        "TDX takes KeyID bits from the top",
        "test_partitioning_takes_tdx_key_ids_from_the_top",
    ),
    Rule(
        "alias-forbidden",
        "IntegriTag",
        "6FH bit 8: no line under two KeyIDs",
        "test_forbidden_aliases_are_refused",
    ),
    Rule(
        "reset-loses-keys",
        "AMET 2",
        "keys are lost at reset; the platform key is fresh",
        "test_reset_loses_all_keys",
    ),
    # -- PCONFIG
    Rule(
        "pconfig-privilege",
        "SDM 2, PCONFIG",
        "PCONFIG above privilege level 0 gives #UD",
        "test_pconfig_faults",
    ),
    Rule("pconfig-leaf", "AMET Table 6-2", "leaves other than 0 give #GP", "test_pconfig_faults"),
    Rule(
        "pconfig-active",
        "SDM 2, PCONFIG",
        "not locked, enabled, or no KeyID bits: #GP",
        "test_pconfig_faults",
    ),
    Rule("pconfig-aligned", "SDM 2, PCONFIG", "the structure is aligned to 256 bytes", "test_pconfig_faults"),
    Rule(
        "pconfig-reserved",
        "AMET 6",
        "reserved bytes and bits are 0, or #GP",
        "test_pconfig_faults_on_reserved_bits",
    ),
    Rule("pconfig-command", "AMET Table 6-6", "status 1: no such command", "test_pconfig_status_codes"),
    Rule(
        "pconfig-entropy",
        "AMET Table 6-6",
        "status 2: no entropy for a random key",
        "test_pconfig_without_entropy_or_the_key_table",
    ),
    Rule(
        "pconfig-key-id",
        "AMET Table 6-6",
        "status 3: KeyID 0, too large, or TDX's",
        "test_pconfig_status_codes",
    ),
    Rule(
        "pconfig-algorithm",
        "AMET Table 6-6",
        "status 4: not exactly one allowed algorithm",
        "test_pconfig_status_codes",
    ),
    Rule(
        "pconfig-busy",
        "AMET Table 6-6",
        "status 5: another core has the key table",
        "test_pconfig_without_entropy_or_the_key_table",
    ),
    Rule(
        "pconfig-checks",
        "SDM 2, PCONFIG",
        "the manual has #GP for statuses 1, 3, 4",
        "test_the_manuals_checks_fault_instead",
        "inferred",
    ),
    Rule(
        "pconfig-random",
        "AMET Table 6-5",
        "command 1: hardware's key, with the fields mixed in",
        "test_random_keys_mix_in_what_is_given",
    ),
    Rule(
        "pconfig-clear",
        "AMET Table 6-5",
        "command 2: the KeyID has the platform's key again",
        "test_clear_and_plain",
    ),
    Rule(
        "pconfig-no-encrypt",
        "AMET Table 6-5",
        "command 3: the KeyID's memory is plain text",
        "test_clear_and_plain",
    ),
    Rule(
        "pconfig-touches-no-cache",
        "AMET 6",
        "programming flushes no cache and no TLB",
        "test_programming_flushes_nothing",
    ),
    # -- options
    Rule(
        "option-value",
        "model",
        "an option is one of its values",
        "test_options_are_refused_with_their_rule",
        "inferred",
    ),
    Rule(
        "option-memory",
        "model",
        "memory is whole pages, and fits below the KeyID bits",
        "test_options_are_refused_with_their_rule",
        "inferred",
    ),
    Rule(
        "option-key-bits",
        "AMET Table 4-1",
        "at most 15 KeyID bits",
        "test_options_are_refused_with_their_rule",
    ),
    Rule(
        "option-algorithm",
        "AMET Table 4-1",
        "the algorithm is one that the part has",
        "test_options_are_refused_with_their_rule",
    ),
    Rule(
        "option-cache",
        "model",
        "a cache is a whole number of sets",
        "test_options_are_refused_with_their_rule",
        "inferred",
    ),
    Rule(
        "option-aliases",
        "model",
        "aliases are not both coherent and forbidden",
        "test_options_are_refused_with_their_rule",
        "inferred",
    ),
    Rule(
        "option-mac",
        "model",
        "a MAC has 1 to 28 bits, and needs integrity",
        "test_options_are_refused_with_their_rule",
        "inferred",
    ),
    Rule(
        "option-exclusion",
        "AMET Table 4-5",
        "a power of two, aligned, of at least a page",
        "test_options_are_refused_with_their_rule",
    ),
)
