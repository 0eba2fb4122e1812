/* Files that are opened to be read, again and again, beneath directories that Python granted: a server's. The rules
 * are those of runtime/system/paths.py and walking.py. What is not plain is for Python.
 *
 * A file that was opened stays open in a small table. When its path is opened again, the kernel only finds what the
 * path leads to, which opens nothing. If that is the same file, unchanged, the row refers to the descriptor that is
 * there, and has a position of its own. So a path that leads to a device or a pipe by now is never opened. */
#include "enter/datapath.h"
#include "enter/kernelcall.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FILES 32
#define OWNER 1000  /* as in runtime/system/process.py */
#define BLOCK 4096

struct known_files {
    uint32_t next; /* whose turn it is to go */
    struct known_file files[FILES];
};

static const bool PYTHON = false;

static bool done(int64_t *result, int64_t value) {
    *result = value;
    return true;
}

/* -- paths ---------------------------------------------------------------------------------------------- */
/* The guest's string, up to GUEST_PATH bytes with its end. */
static bool read_path(const struct instance *instance, uint64_t offset, char *path) {
    uint64_t done_bytes = 0;
    while (done_bytes < GUEST_PATH) {
        uint64_t piece = TMEBOX_PAGE_SIZE - (offset + done_bytes) % TMEBOX_PAGE_SIZE;
        piece = piece < GUEST_PATH - done_bytes ? piece : GUEST_PATH - done_bytes;
        if (!tmebox_guest_copy_in(instance, path + done_bytes, offset + done_bytes, piece)) {
            return false;
        }
        if (memchr(path + done_bytes, 0, piece) != NULL) {
            return true;
        }
        done_bytes += piece;
    }
    return false;
}

/* Absolute, and nothing in it that has to be cleaned. */
static bool is_clean(const char *path) {
    if (path[0] != '/' || path[1] == 0) {
        return false;
    }
    for (const char *at = path; *at != 0; at++) {
        if (at[0] == '/' && (at[1] == '/' || at[1] == 0 || at[1] == '.')) {
            return false;
        }
    }
    return true;
}

/* The grant that a clean path lies in, and where its rest begins; NULL where Python has to look. */
static const struct guest_grant *find_grant(const struct guest_descriptors *all, const char *path, const char **rest) {
    for (uint32_t i = 0; i < all->grant_count; i++) {
        const struct guest_grant *grant = &all->grants[i];
        if (strncmp(path, grant->path, grant->length) == 0 && path[grant->length] == '/') {
            *rest = path + grant->length + 1;
            /* In the root's grant there may be what every guest has. */
            bool own = grant->length == 0 && (strncmp(path, "/dev/", 5) == 0 || strncmp(path, "/etc/", 5) == 0);
            return grant->plain && !own ? grant : NULL;
        }
        if (strcmp(path, grant->path) == 0) {
            return NULL;
        }
    }
    return NULL;
}

/* Guests have no /proc, unless something there, or the root, was granted. Servers ask for numbers of their own there, ten
 * times a second, and go on without. */
static bool is_in_no_proc(const struct guest_descriptors *all, const char *path) {
    if (strncmp(path, "/proc/", 6) != 0) {
        return false;
    }
    for (uint32_t i = 0; i < all->grant_count; i++) {
        const struct guest_grant *grant = &all->grants[i];
        if (grant->length == 0 || strncmp(grant->path, "/proc", 5) == 0) {
            return false;
        }
    }
    return true;
}

/* -- files ---------------------------------------------------------------------------------------------- */
static bool is_same(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_mode == b->st_mode && a->st_uid == b->st_uid &&
           a->st_gid == b->st_gid && a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static void close_file(struct known_file *file) {
    if (file->host >= 0) {
        close(file->host);
        file->host = -1;
        atomic_fetch_sub_explicit(&tmebox_open_descriptors, 1, memory_order_relaxed);
    }
}

/* Nothing may refer to them any more. */
void tmebox_guest_forget_files(struct guest_descriptors *all) {
    for (uint32_t i = 0; all->files != NULL && i < FILES; i++) {
        close_file(&all->files->files[i]);
    }
    free(all->files);
    all->files = NULL;
}

static bool make_table(struct guest_descriptors *all) {
    all->files = calloc(1, sizeof *all->files);
    for (uint32_t i = 0; all->files != NULL && i < FILES; i++) {
        all->files->files[i].host = -1;
    }
    return all->files != NULL;
}

static struct known_file *find_known(struct known_files *known, const char *path, const struct guest_grant *grant) {
    for (uint32_t i = 0; i < FILES; i++) {
        struct known_file *file = &known->files[i];
        if (file->host >= 0 && file->mount == grant->mount && strcmp(file->path, path) == 0) {
            return file;
        }
    }
    return NULL;
}

/* One that nobody uses. */
static struct known_file *free_entry(struct known_files *known) {
    for (uint32_t tried = 0; tried < FILES; tried++) {
        struct known_file *file = &known->files[known->next++ % FILES];
        if (file->users == 0) {
            close_file(file);
            return file;
        }
    }
    return NULL;
}

/* The file that `found` leads to, a regular one, opened. Negative: it cannot be opened so, and Python says why. */
static int open_found(int found) {
    char name[32];
    snprintf(name, sizeof name, "/proc/self/fd/%d", found);
    return open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

static struct known_file *know(struct guest_descriptors *all, const char *path, const struct guest_grant *grant,
                               int found, const struct stat *status) {
    struct known_file *file = find_known(all->files, path, grant);
    if (file != NULL && is_same(&file->status, status)) {
        return file;
    }
    if (file != NULL && file->users == 0) {
        close_file(file); /* something else is there now */
    } else {
        file = free_entry(all->files);
    }
    if (file == NULL) {
        return NULL;
    }
    int host = open_found(found);
    if (host < 0) {
        return NULL;
    }
    *file = (struct known_file){.host = host, .mount = grant->mount, .status = *status};
    strcpy(file->path, path);
    atomic_fetch_add_explicit(&tmebox_open_descriptors, 1, memory_order_relaxed);
    return file;
}

/* A known file whose name is still that of the same one, right in the granted directory. No link is followed, so it leads
 * nowhere else, and one call finds out what takes three below. */
static struct known_file *still_there(const struct guest_descriptors *all, const char *path,
                                      const struct guest_grant *grant, const char *name, struct stat *status) {
    struct known_file *file = strchr(name, '/') == NULL ? find_known(all->files, path, grant) : NULL;
    bool same = file != NULL &&
                tmebox_kernel_call4(SYS_newfstatat, grant->host, (long)name, (long)status, AT_SYMLINK_NOFOLLOW) == 0 &&
                is_same(&file->status, status);
    return same ? file : NULL;
}

/* What the path leads to now. NULL: Python has to look, or nothing is there, and *missing says so. */
static struct known_file *look_up(struct guest_descriptors *all, const char *path, const struct guest_grant *grant,
                                  const char *rest, struct stat *status, bool *missing) {
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    int found = (int)syscall(SYS_openat2, grant->host, rest, &how, sizeof how);
    *missing = found < 0 && errno == ENOENT;
    if (found < 0) {
        return NULL;
    }
    bool regular = fstat(found, status) == 0 && S_ISREG(status->st_mode);
    struct known_file *file = regular ? know(all, path, grant, found, status) : NULL;
    close(found);
    return file;
}

static bool open_beneath(struct guest_descriptors *all, const char *path, int64_t flags, int64_t *result) {
    const char *rest = NULL;
    const struct guest_grant *grant = find_grant(all, path, &rest);
    int64_t number;
    struct guest_descriptor *row = tmebox_guest_new_row(all, &number);
    if (row != NULL && is_in_no_proc(all, path)) {
        return done(result, -ENOENT);
    }
    if (row == NULL || grant == NULL || (all->files == NULL && !make_table(all))) {
        return PYTHON;
    }
    struct stat status;
    bool missing = false;
    struct known_file *file = still_there(all, path, grant, rest, &status);
    if (file == NULL && (file = look_up(all, path, grant, rest, &status, &missing)) == NULL) {
        return missing ? done(result, -ENOENT) : PYTHON;
    }
    file->users++;
    /* It counts by itself, too: Python may have to open it once more. */
    atomic_fetch_add_explicit(&tmebox_open_descriptors, 1, memory_order_relaxed);
    *row = (struct guest_descriptor){
        .file = file,
        .host = file->host,
        .flags = GUEST_FILE | GUEST_PLACED | GUEST_READS | GUEST_NEW | (flags & O_CLOEXEC ? GUEST_CLOEXEC : 0),
        .mount = grant->mount,
        .status = (uint32_t)(flags & O_NONBLOCK),
        .limit = INT64_MAX,
    };
    all->news++;
    file->status = status;
    all->fresh = row;
    return done(result, number);
}

bool tmebox_guest_open(const struct guest_call *call, bool at, int64_t *result) {
    char path[GUEST_PATH];
    int64_t flags = call->arguments[at ? 2 : 1] & UINT32_MAX;
    /* 0100000: O_LARGEFILE, as guests have it */
    if (flags & ~(int64_t)(O_NONBLOCK | O_CLOEXEC | O_NOCTTY | 0100000) || call->all->grant_count == 0 ||
        !read_path(call->instance, (uint64_t)call->arguments[at ? 1 : 0], path) || !is_clean(path)) {
        return PYTHON;
    }
    return open_beneath(call->all, path, flags, result);
}

/* -- status and close ----------------------------------------------------------------------------------- */
/* pack_status of runtime/system/files.py: owner and device are the guest's view. */
bool tmebox_guest_file_status(const struct guest_call *call, int64_t *result) {
    const struct guest_descriptor *row = tmebox_guest_find(call, call->arguments[0], GUEST_FILE);
    struct stat host;
    if (row == NULL || row->mount == 0) {
        return PYTHON;
    }
    /* Whoever asks right after opening may be told what opening has seen. */
    if (row == call->all->fresh && row->file != NULL) {
        host = row->file->status;
    } else if (fstat(row->host, &host) < 0) {
        return PYTHON;
    }
    struct stat guest = {
        .st_dev = row->mount,
        .st_ino = host.st_ino,
        .st_nlink = host.st_nlink,
        .st_mode = host.st_mode,
        .st_uid = OWNER,
        .st_gid = OWNER,
        .st_size = host.st_size,
        .st_blksize = BLOCK,
        .st_blocks = (host.st_size + 511) / 512,
        .st_atim = host.st_atim,
        .st_mtim = host.st_mtim,
        .st_ctim = host.st_ctim,
    };
    return tmebox_guest_copy_out(call->instance, (uint64_t)call->arguments[1], &guest, sizeof guest) ? done(result, 0)
                                                                                                    : PYTHON;
}

/* Of what only the core has opened. */
bool tmebox_guest_close(const struct guest_call *call, int64_t *result) {
    struct guest_descriptor *row = tmebox_guest_find(call, call->arguments[0], GUEST_NEW);
    if (row == NULL) {
        return PYTHON;
    }
    /* The kernel only takes it from epolls by itself where no child of the host's has the same open file. */
    for (uint32_t i = 0; row->flags & GUEST_SOCKET && i < call->all->count; i++) {
        if (call->all->rows[i].flags & GUEST_EPOLL) {
            struct epoll_event none = {0};
            epoll_ctl(call->all->rows[i].host, EPOLL_CTL_DEL, row->host, &none);
        }
    }
    tmebox_guest_release(call->all, row);
    *row = (struct guest_descriptor){.host = -1};
    return done(result, 0);
}
