"""Rules of addresses, cryptography and the memory path."""

from __future__ import annotations

from tmebox.tme.rules.rule import Rule

ROWS = (
    # -- addresses
    Rule(
        "key-id-in-address",
        "AMET 5, physical address",
        "the KeyID is the top bits of a physical address",
        "test_key_id_in_the_address",
    ),
    Rule(
        "key-id-range",
        "AMET 5, physical address",
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
        "AMET 5, IA paging",
        "every level of host paging, and CR3, carry KeyIDs",
        "test_host_tables_carry_key_ids_at_every_level",
    ),
    Rule(
        "paging-reserved",
        "SDM 3, paging",
        "reserved bits of an entry give a page fault",
        "test_reserved_bits_fault",
    ),
    Rule(
        "paging-present",
        "SDM 3, paging",
        "an entry that is not present gives a page fault",
        "test_not_present_entries_fault",
    ),
    Rule(
        "paging-canonical",
        "SDM 1, canonical addresses",
        "a linear address is canonical",
        "test_canonical_addresses_only",
    ),
    Rule("ept-key-id", "AMET 5, EPT paging", "every level of EPT carries KeyIDs", "test_ept_carries_key_ids"),
    Rule("ept-misconfigured", "SDM 3, EPT", "a malformed EPT entry is a misconfiguration", "test_ept_faults"),
    Rule("ept-violation", "SDM 3, EPT", "what EPT does not map is a violation", "test_ept_faults"),
    Rule(
        "guest-no-key-id",
        "AMET 5, EPT paging",
        "guest tables hold guest addresses: no KeyID",
        "test_guest_tables_have_no_key_ids",
    ),
    Rule(
        "iommu-key-id",
        "AMET 5, other addresses",
        "DMA remapping tables carry KeyIDs",
        "test_iommu_tables_carry_key_ids",
    ),
    Rule(
        "iommu-fault",
        "VT-d, faults",
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
        "AMET 5, physical address",
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
        "AMET 5, physical address",
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
        "AMET 5, physical address",
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
    Rule("replay", "AMET 2", "old cipher text with its MAC verifies", "test_replay_succeeds"),
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
        "SDM 3, machine check",
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
)
