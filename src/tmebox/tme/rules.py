"""The rules that the model follows: one table. Each has a name, where it stands, what it says, and the test
that holds it.

`basis` says how much is known. "public": a public document says so. "inferred": public documents leave it
open, and the model decides; where they contradict each other, an option decides. Nobody can say what a part
really does from this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Basis = Literal["public", "inferred"]

DOCUMENTS = {
    "AMET": "Intel Architecture Memory Encryption Technologies Specification, revision 1.4 (336907-004)",
    "SDM": "Intel 64 and IA-32 Architectures Software Developer's Manual, volumes 2 to 4",
    "TDX": "Intel TDX Module Base Architecture Specification",
    "VT-d": "Intel Virtualization Technology for Directed I/O Architecture Specification",
    "FIPS 202": "SHA-3 Standard, NIST 2015",
    "SP 800-38E": "The XTS-AES Mode, NIST 2010, by reference to IEEE 1619",
    "TME-Box": "Unterguggenberger et al., TME-Box, NDSS 2025",
    "IntegriTag": "the code published with IntegriTag, EuroS&P 2024",
    "Linux": "the MKTME series of 2018 and 2019",
    "model": "decided here",
}


@dataclass(frozen=True)
class Rule:
    """One row. `test`: a test's name, below tests/tme/."""

    name: str
    section: str
    says: str
    test: str
    basis: Basis = "public"


def _table(*rows: Rule) -> dict[str, Rule]:
    found = {row.name: row for row in rows}
    if len(found) != len(rows):
        raise ValueError("two rules of one name")
    return found


RULES = _table(
    # -- enumeration and registers
    Rule(
        "cpuid-tme",
        "AMET 4.1",
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
        "AMET 5.1",
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
        "AMET 4.2",
        "9FFH gives a core the KeyID bits; it is written as 0",
        "test_core_activate_gives_the_key_id_bits",
    ),
    Rule(
        "exclude-locked", "AMET 4.3", "983H and 984H cannot be written after the lock", "test_exclusion_rules"
    ),
    Rule("exclude-reserved", "AMET Tables 4-5, 4-6", "reserved bits give #GP", "test_exclusion_rules"),
    Rule("exclude-contiguous", "AMET Table 4-5", "the mask is contiguous", "test_exclusion_rules"),
    Rule(
        "exclude-key-0",
        "AMET 4.3",
        "the range is plain text for KeyID 0 only",
        "test_the_excluded_range_is_plain_for_key_id_0_only",
    ),
    Rule(
        "bypass-key-0", "AMET 4.2", "with bypass, KeyID 0 is plain text", "test_bypass_leaves_key_id_0_plain"
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
    # -- addresses
    Rule(
        "key-id-in-address",
        "AMET 5.1",
        "the KeyID is the top bits of a physical address",
        "test_key_id_in_the_address",
    ),
    Rule(
        "key-id-range",
        "AMET 5.1",
        "KeyIDs above the configured ones are not there",
        "test_key_ids_out_of_range",
    ),
    Rule(
        "address-in-memory",
        "model",
        "an access lies in the machine's memory",
        "test_outside_memory",
        "inferred",
    ),
    Rule(
        "key-id-once",
        "model",
        "key_id= and KeyID bits in the address agree",
        "test_two_key_ids_contradict",
        "inferred",
    ),
    Rule(
        "private-needs-seam",
        "TDX",
        "private KeyIDs are used in SEAM mode only",
        "test_private_key_ids_need_seam",
    ),
    Rule(
        "default-key",
        "AMET 3",
        "a KeyID that was not programmed has the platform's key",
        "test_the_default_key_is_the_platforms",
    ),
    Rule(
        "paging-key-id",
        "AMET 5.2",
        "every level of host paging, and CR3, carry KeyIDs",
        "test_host_tables_carry_key_ids_at_every_level",
    ),
    Rule(
        "paging-reserved",
        "SDM 3, 4.7",
        "reserved bits of an entry give a page fault",
        "test_reserved_bits_fault",
    ),
    Rule(
        "paging-present",
        "SDM 3, 4.7",
        "an entry that is not present gives a page fault",
        "test_not_present_entries_fault",
    ),
    Rule("paging-canonical", "SDM 1, 3.3", "a linear address is canonical", "test_canonical_addresses_only"),
    Rule("ept-key-id", "AMET 5.3", "every level of EPT carries KeyIDs", "test_ept_carries_key_ids"),
    Rule(
        "ept-misconfigured", "SDM 3, 29.3", "a malformed EPT entry is a misconfiguration", "test_ept_faults"
    ),
    Rule("ept-violation", "SDM 3, 29.3", "what EPT does not map is a violation", "test_ept_faults"),
    Rule(
        "guest-no-key-id",
        "AMET 5.3",
        "guest tables hold guest addresses: no KeyID",
        "test_guest_tables_have_no_key_ids",
    ),
    Rule("iommu-key-id", "AMET 5.4", "DMA remapping tables carry KeyIDs", "test_iommu_tables_carry_key_ids"),
    Rule(
        "iommu-fault",
        "VT-d 7",
        "a device's access that is not mapped is blocked",
        "test_iommu_tables_carry_key_ids",
    ),
    # -- cryptography
    Rule("xts", "SP 800-38E", "AES-XTS; a line of 64 bytes is one data unit", "test_xts_known_answers"),
    Rule(
        "tweak-address",
        "AMET 2",
        "the tweak is made from the physical address",
        "test_the_tweak_is_the_lines_address",
    ),
    Rule(
        "tweak-encoding",
        "model",
        "the data unit's number is the line's address in bytes",
        "test_the_tweak_is_the_lines_address",
        "inferred",
    ),
    Rule(
        "key-id-not-in-tweak",
        "AMET 5.1",
        "the KeyID never leaves the package: no tweak",
        "test_the_key_id_is_in_no_tweak",
    ),
    Rule(
        "mac-inputs", "TDX", "SHA-3-256 of key, cipher text, tweak, TD bit; 28 bits", "test_every_bit_counts"
    ),
    Rule(
        "mac-order",
        "model",
        "in this order, a byte for the TD bit, the low 28 bits",
        "test_sha3_known_answers",
        "inferred",
    ),
    # -- the memory path
    Rule(
        "cache-tag",
        "AMET 5.1",
        "caches see the KeyID as a part of the address",
        "test_caches_are_tagged_by_key_id",
    ),
    Rule(
        "cache-plain",
        "AMET 2",
        "caches hold plain text; only DRAM is encrypted",
        "test_dram_is_ciphertext_and_caches_are_plain",
    ),
    Rule(
        "aliases",
        "AMET 5.1",
        "aliases are not coherent, says Intel; the paper differs",
        "test_aliases_that_are_coherent_do_not",
        "inferred",
    ),
    Rule(
        "write-unchecked",
        "TDX",
        "writes do not check the MAC",
        "test_detection_follows_the_chosen_rule",
        "public",
    ),
    Rule(
        "ownership-read",
        "model",
        "a store of less than a line reads it first",
        "test_detection_follows_the_chosen_rule",
        "inferred",
    ),
    Rule(
        "integrity-mismatch",
        "TDX",
        "a read whose MAC is wrong is a machine check",
        "test_detection_follows_the_chosen_rule",
    ),
    Rule(
        "poison-sticky",
        "TDX",
        "a line found bad stays poisoned",
        "test_poison_stays_until_a_line_is_stored_directly",
    ),
    Rule(
        "poison-cleared",
        "TDX",
        "a whole line stored directly clears poison",
        "test_poison_stays_until_a_line_is_stored_directly",
    ),
    Rule("td-mismatch", "TDX", "a private read of a line with TD=0 is a machine check", "test_td_bit"),
    Rule("td-hidden", "TDX", "a shared read of a line with TD=1 gives zeros", "test_td_bit"),
    Rule("replay", "AMET 1", "old cipher text with its MAC verifies", "test_replay_succeeds"),
    Rule(
        "mc-codes",
        "IntegriTag",
        "82AH integrity, 82BH TD bit, 82DH poison",
        "test_records_hold_what_hardware_logs",
    ),
    Rule(
        "mc-address",
        "IntegriTag",
        "the logged address carries the KeyID bits",
        "test_records_hold_what_hardware_logs",
    ),
    Rule(
        "mc-layout",
        "SDM 3, 16.3",
        "IA32_MCi_STATUS; a second error sets OVER",
        "test_banks_are_read_and_cleared_as_a_kernel_does",
    ),
    Rule(
        "mc-banks",
        "model",
        "banks 13 to 20, a channel each, by line number",
        "test_banks_are_read_and_cleared_as_a_kernel_does",
        "inferred",
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

ONLY_HARDWARE_KNOWS = (
    "when a machine check is delivered, and to which instruction; here it is the access itself",
    "how long anything takes; nothing here has a duration",
    "how the engine joins MAC key, cipher text, tweak and TD bit, and which 28 of the 256 bits it keeps",
    "how the address becomes the XTS data unit, and how memory's channels are interleaved",
    "where the MAC, the TD bit and poison are kept, and whether an attacker at the DIMM can write them",
    "what a part without coherent aliases does when two of them are dirty, beyond losing one",
    "whether an ownership read faults, poisons, or is dropped, on each stepping",
    "what stays in caches and buffers over a reset, and for how long DRAM stays readable without power",
    "speculation, prefetching, and every side channel",
)
"""What no public document says, and no model can."""


def markdown() -> str:
    """The table as docs/tme.md has it."""
    lines = ["| rule | where | what it says | basis |", "|---|---|---|---|"]
    lines += [f"| `{rule.name}` | {rule.section} | {rule.says} | {rule.basis} |" for rule in RULES.values()]
    return "\n".join(lines)
