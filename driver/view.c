// SPDX-License-Identifier: GPL-2.0
/* Mappings of the heap. Their entries are made one by one, at faults, from what was granted. */
#include <linux/mm.h>

#include "tmebox.h"

static u64 view_offset(unsigned int key, bool alias)
{
	return TMEBOX_OFFSET(key, 0) | (alias ? TMEBOX_ALIAS : 0);
}

void tmebox_view_unmap(struct tmebox_file *file, unsigned int key, u64 first, u64 count)
{
	unmap_mapping_range(file->inode->i_mapping, view_offset(key, false) + (first << PAGE_SHIFT),
			    count << PAGE_SHIFT, 1);
}

void tmebox_view_unmap_alias(struct tmebox_file *file, unsigned int key, u64 first, u64 count)
{
	unmap_mapping_range(file->inode->i_mapping, view_offset(key, true) + (first << PAGE_SHIFT),
			    count << PAGE_SHIFT, 1);
}

/*
 * May this view have the page? Then @id is the KeyID of the entry, and
 * @writable whether it may be written.
 */
static bool permitted(struct tmebox_file *file, const struct tmebox_place *place, unsigned int *id,
		      bool *writable)
{
	struct tmebox_key *key;

	*id = place->key;
	*writable = true;
	if (!place->key) {
		if (!place->alias)
			*id = file->owners[place->page];
		return true;
	}
	key = xa_load(&file->keys, place->key);
	if (!key)
		return false;
	if (place->alias)
		return true;
	if (test_bit(place->page, key->shared))
		*id = file->owners[place->page];
	*writable = test_bit(place->page, key->writable);
	return test_bit(place->page, key->readable);
}

static vm_fault_t insert(struct tmebox_file *file, struct vm_fault *vmf, const struct tmebox_place *place)
{
	unsigned long flags = vmf->vma->vm_flags;
	struct tmebox_key *key;
	struct page *page;
	unsigned int id;
	bool writable;
	u64 bits;

	if (!permitted(file, place, &id, &writable))
		return VM_FAULT_SIGBUS;
	if (!writable) {
		if (vmf->flags & FAULT_FLAG_WRITE)
			return VM_FAULT_SIGBUS;
		flags &= ~VM_WRITE;
	}
	page = tmebox_heap_page(file, place->page);
	if (IS_ERR(page))
		return VM_FAULT_SIGBUS;
	key = xa_load(&file->keys, id);
	if (key)
		__set_bit(place->page, key->used);
	/*
	 * Not vm_page_prot: where a pfn_mkwrite is, the kernel takes the
	 * right to write off it, and the first write would come here twice.
	 */
	bits = pgprot_val(vm_get_page_prot(flags)) | tmebox_entry_bits(&tmebox_platform.layout, id);
	return vmf_insert_pfn_prot(vmf->vma, vmf->address, page_to_pfn(page), __pgprot(bits));
}

static vm_fault_t view_fault(struct vm_fault *vmf)
{
	struct tmebox_file *file = vmf->vma->vm_file->private_data;
	struct tmebox_place place;
	vm_fault_t result;

	if (vmf->vma->vm_mm != file->mm || !tmebox_place_of(vmf->pgoff, &place) ||
	    place.page >= file->page_count)
		return VM_FAULT_SIGBUS;
	if (mutex_lock_killable(&file->lock))
		return VM_FAULT_NOPAGE;
	result = insert(file, vmf, &place);
	mutex_unlock(&file->lock);
	return result;
}

/*
 * A write where the entry is read-only. Without this function the kernel
 * would make the entry writable. It never does: either the page was granted
 * for reading, or the entry is older than the grant or was made read-only
 * by mprotect(). Then it goes, and the next fault makes a new one.
 */
static vm_fault_t view_pfn_mkwrite(struct vm_fault *vmf)
{
	struct tmebox_file *file = vmf->vma->vm_file->private_data;
	vm_fault_t result = VM_FAULT_SIGBUS;
	struct tmebox_place place;
	unsigned int id;
	bool writable;

	if (vmf->vma->vm_mm != file->mm || !tmebox_place_of(vmf->pgoff, &place) ||
	    place.page >= file->page_count)
		return VM_FAULT_SIGBUS;
	if (mutex_lock_killable(&file->lock))
		return VM_FAULT_NOPAGE;
	if (permitted(file, &place, &id, &writable) && writable) {
		unmap_mapping_range(file->inode->i_mapping, (loff_t)vmf->pgoff << PAGE_SHIFT, PAGE_SIZE, 1);
		result = VM_FAULT_NOPAGE;
	}
	mutex_unlock(&file->lock);
	return result;
}

static int view_may_split(struct vm_area_struct *vma, unsigned long address)
{
	return -EINVAL;
}

static int view_mremap(struct vm_area_struct *vma)
{
	return -EINVAL;
}

static const struct vm_operations_struct view_operations = {
	.fault = view_fault,
	.pfn_mkwrite = view_pfn_mkwrite,
	.may_split = view_may_split,
	.mremap = view_mremap,
};

static int check_place(struct tmebox_file *file, const struct tmebox_place *place, u64 count)
{
	int error = 0;

	if (mutex_lock_killable(&file->lock))
		return -EINTR;
	if (!tmebox_range_fits(file->page_count, place->page, count))
		error = -EINVAL;
	else if (place->key && !xa_load(&file->keys, place->key))
		error = -ENOENT;
	mutex_unlock(&file->lock);
	return error;
}

int tmebox_view_mmap(struct file *filp, struct vm_area_struct *vma)
{
	struct tmebox_file *file = filp->private_data;
	struct tmebox_place place;
	int error;

	if (current->mm != file->mm || vma->vm_mm != file->mm)
		return -EPERM;
	if (!(vma->vm_flags & VM_SHARED) || !tmebox_place_of(vma->vm_pgoff, &place))
		return -EINVAL;
	if (vma->vm_flags & VM_EXEC)
		return -EACCES;
	error = check_place(file, &place, vma_pages(vma));
	if (error)
		return error;
	/* VM_IO: otherwise madvise() could take VM_DONTCOPY off. */
	vm_flags_set(vma, VM_PFNMAP | VM_IO | VM_DONTCOPY | VM_DONTEXPAND | VM_DONTDUMP);
	vm_flags_clear(vma, VM_MAYEXEC);
	vma->vm_ops = &view_operations;
	return 0;
}
