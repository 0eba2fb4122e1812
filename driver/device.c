// SPDX-License-Identifier: GPL-2.0
/* /dev/tmebox: opening, ioctls, closing. Every argument is hostile until heap.c has looked at it. */
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/pseudo_fs.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "tmebox.h"

#define TMEBOX_MAGIC 0x746d6562

static int tmebox_fs_context(struct fs_context *context)
{
	return init_pseudo(context, TMEBOX_MAGIC) ? 0 : -ENOMEM;
}

/* Only for inodes: each file's views are in an address space of its own. */
static struct file_system_type tmebox_fs = {
	.name = "tmebox",
	.owner = THIS_MODULE,
	.init_fs_context = tmebox_fs_context,
	.kill_sb = kill_anon_super,
};

static struct vfsmount *fs_mount;
static int fs_users;

static int tmebox_open(struct inode *inode, struct file *filp)
{
	struct tmebox_file *file;
	int error;

	if (!current->mm)
		return -EINVAL;
	file = kzalloc(sizeof(*file), GFP_KERNEL_ACCOUNT);
	if (!file)
		return -ENOMEM;
	error = simple_pin_fs(&tmebox_fs, &fs_mount, &fs_users);
	if (error)
		goto free;
	file->inode = alloc_anon_inode(fs_mount->mnt_sb);
	if (IS_ERR(file->inode)) {
		error = PTR_ERR(file->inode);
		goto release;
	}
	mutex_init(&file->lock);
	xa_init(&file->keys);
	mmgrab(current->mm);
	file->mm = current->mm;
	filp->f_mapping = file->inode->i_mapping;
	filp->private_data = file;
	return 0;

release:
	simple_release_fs(&fs_mount, &fs_users);
free:
	kfree(file);
	return error;
}

static int tmebox_release(struct inode *inode, struct file *filp)
{
	struct tmebox_file *file = filp->private_data;

	tmebox_heap_destroy(file);
	iput(file->inode);
	simple_release_fs(&fs_mount, &fs_users);
	mmdrop(file->mm);
	kfree(file);
	return 0;
}

static int ioctl_info(struct tmebox_file *file, void __user *to)
{
	const struct tmebox_platform *platform = &tmebox_platform;
	struct tmebox_info info = {
		.version = TMEBOX_VERSION,
		.key_bits = platform->layout.key_bits,
		.key_shift = platform->layout.key_shift,
		.keys = platform->layout.keys,
		.algorithms = platform->layout.algorithms,
		.heap_pages = READ_ONCE(file->page_count),
		.heap_pages_max = TMEBOX_HEAP_PAGES_MAX,
	};

	if (platform->simulated)
		info.flags |= TMEBOX_SIMULATED;
	else
		info.flags |= TMEBOX_INTEGRITY;
	if (platform->coherent)
		info.flags |= TMEBOX_COHERENT;
	return copy_to_user(to, &info, sizeof(info)) ? -EFAULT : 0;
}

static int ioctl_create(struct tmebox_file *file, const void __user *from)
{
	struct tmebox_create create;

	if (copy_from_user(&create, from, sizeof(create)))
		return -EFAULT;
	return tmebox_heap_create(file, create.pages);
}

static int ioctl_key_alloc(struct tmebox_file *file, void __user *to)
{
	struct tmebox_key_number number = {};
	int id = tmebox_heap_key_alloc(file);

	if (id < 0)
		return id;
	number.key = id;
	if (!copy_to_user(to, &number, sizeof(number)))
		return 0;
	/* If we are being killed it stays, and goes with the file. */
	tmebox_heap_key_free(file, id);
	return -EFAULT;
}

static int ioctl_key_free(struct tmebox_file *file, const void __user *from)
{
	struct tmebox_key_number number;

	if (copy_from_user(&number, from, sizeof(number)))
		return -EFAULT;
	return number.reserved ? -EINVAL : tmebox_heap_key_free(file, number.key);
}

static int ioctl_range(struct tmebox_file *file, const void __user *from,
		       int (*act)(struct tmebox_file *file, const struct tmebox_range *range))
{
	struct tmebox_range range;

	if (copy_from_user(&range, from, sizeof(range)))
		return -EFAULT;
	return act(file, &range);
}

static long tmebox_ioctl(struct file *filp, unsigned int command, unsigned long argument)
{
	struct tmebox_file *file = filp->private_data;
	void __user *user = (void __user *)argument;

	if (command == TMEBOX_IOC_INFO)
		return ioctl_info(file, user);
	/* A descriptor that was inherited or sent gives another process nothing. */
	if (current->mm != file->mm)
		return -EPERM;
	if (!(filp->f_mode & FMODE_WRITE))
		return -EBADF;
	switch (command) {
	case TMEBOX_IOC_CREATE:
		return ioctl_create(file, user);
	case TMEBOX_IOC_KEY_ALLOC:
		return ioctl_key_alloc(file, user);
	case TMEBOX_IOC_KEY_FREE:
		return ioctl_key_free(file, user);
	case TMEBOX_IOC_GRANT:
		return ioctl_range(file, user, tmebox_heap_grant);
	case TMEBOX_IOC_REVOKE:
		return ioctl_range(file, user, tmebox_heap_revoke);
	case TMEBOX_IOC_FLUSH:
		return ioctl_range(file, user, tmebox_heap_flush);
	case TMEBOX_IOC_MOVE:
		return ioctl_range(file, user, tmebox_heap_move);
	case TMEBOX_IOC_DISCARD:
		return ioctl_range(file, user, tmebox_heap_discard);
	default:
		return -ENOTTY;
	}
}

static const struct file_operations tmebox_operations = {
	.owner = THIS_MODULE,
	.open = tmebox_open,
	.release = tmebox_release,
	.unlocked_ioctl = tmebox_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = tmebox_view_mmap,
};

static struct miscdevice tmebox_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "tmebox",
	.fops = &tmebox_operations,
	.mode = 0600,
};

static int __init tmebox_init(void)
{
	const struct tmebox_layout *layout = &tmebox_platform.layout;
	int error;

	BUILD_BUG_ON(TMEBOX_PAGE_SHIFT != PAGE_SHIFT);
	BUILD_BUG_ON(sizeof(struct tmebox_key_program) != 256);
	error = tmebox_platform_find();
	if (error)
		return error;
	error = tmebox_keys_start();
	if (error)
		return error;
	error = misc_register(&tmebox_device);
	if (error) {
		tmebox_keys_stop();
		return error;
	}
	pr_info("tmebox: %u keys, KeyID bits %u to %u%s\n", layout->keys, layout->key_shift,
		layout->key_shift + layout->key_bits - 1,
		tmebox_platform.simulated ? ", simulated: nothing is encrypted" : "");
	return 0;
}

static void __exit tmebox_exit(void)
{
	misc_deregister(&tmebox_device);
	tmebox_keys_stop();
}

module_init(tmebox_init);
module_exit(tmebox_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Views of one heap through many memory-encryption keys");
