/*
 * A recorder, preloaded into the server: it writes down every change of the files below one folder,
 * every sync of them, and every send through a socket, in one order.
 *
 * The order is true because a call and its entry are made under one lock: a mutex among the threads,
 * and a lock on the trace file that the test takes too when it kills the process, so that no call is
 * done and not written down. Sends are in the same order, so that the test can tell what had been
 * answered at any moment of the disk.
 *
 * It keeps no table of descriptors: what a descriptor is, is asked of /proc at each call. It knows
 * only the calls that the server makes. That none was missed is for the test to check: the trace,
 * carried out, has to give the folder as it is.
 *
 * Told by the environment:
 *   RECORDER_TRACE    the file to append to
 *   RECORDER_FOLDER   the folder, an absolute path without links
 *   RECORDER_SKIP     "fdatasync" or "fsync": this call does nothing and says that it did
 *   RECORDER_KILL_AT  the process is killed right after so many entries about files
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* Also in trace.rs. */
enum kind {
    START = 1,
    CREATE = 2,
    MAKE_FOLDER = 3,
    WRITE = 4,
    TRUNCATE = 5,
    ALLOCATE = 6,
    RENAME = 7,
    UNLINK = 8,
    SYNC = 9,
    SYNC_DATA = 10,
    SYNC_FOLDER = 11,
    SYNC_RANGE = 12,
    SEND = 13,
};

/* The path and the data follow. The path is below the folder; of a send it is the socket's name.
   The data of a renaming is the new path. */
struct entry {
    uint32_t kind;
    uint32_t path_bytes;
    uint64_t offset;
    uint64_t length;
    uint64_t data_bytes;
};

#define PATH_BYTES 4096
#define PIECES_MAX 1024

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int trace = -1;
static char folder[PATH_BYTES];
static size_t folder_bytes;
static const char *skip = "";
static long kill_at, entries;

/* A trace with a hole would prove nothing: better to end. */
static void give_up(const char *why) {
    syscall(SYS_write, 2, why, strlen(why));
    abort();
}

static void lock(void) {
    pthread_mutex_lock(&mutex);
    while (syscall(SYS_flock, trace, LOCK_EX) != 0)
        if (errno != EINTR) give_up("recorder: the trace can't be locked\n");
}

/* Keeps the call's errno for its caller. */
static void unlock(int error) {
    syscall(SYS_flock, trace, LOCK_UN);
    pthread_mutex_unlock(&mutex);
    errno = error;
}

static void put(enum kind kind, const char *path, uint64_t offset, uint64_t length,
                const struct iovec *data, int pieces, uint64_t data_bytes) {
    struct iovec all[PIECES_MAX + 2];
    struct entry entry = {kind, strlen(path), offset, length, data_bytes};
    all[0] = (struct iovec){&entry, sizeof entry};
    all[1] = (struct iovec){(void *)path, entry.path_bytes};
    int count = 2;
    uint64_t left = data_bytes;
    for (int i = 0; i < pieces && left > 0; i++) {
        size_t bytes = data[i].iov_len < left ? data[i].iov_len : left;
        if (count == PIECES_MAX + 2) give_up("recorder: a write of too many pieces\n");
        all[count++] = (struct iovec){data[i].iov_base, bytes};
        left -= bytes;
    }
    size_t wanted = sizeof entry + entry.path_bytes + data_bytes;
    if (syscall(SYS_writev, trace, all, count) != (ssize_t)wanted)
        give_up("recorder: the trace can't be written\n");
    if (kind != SEND && kind != START && ++entries == kill_at) {
        kill(getpid(), SIGKILL);
        for (;;) pause();
    }
}

static void put_plain(enum kind kind, const char *path, uint64_t offset, uint64_t length) {
    put(kind, path, offset, length, NULL, 0, 0);
}

__attribute__((constructor)) static void begin(void) {
    const char *to = getenv("RECORDER_TRACE"), *of = getenv("RECORDER_FOLDER");
    if (!to || !of) return;
    const char *which = getenv("RECORDER_SKIP"), *when = getenv("RECORDER_KILL_AT");
    if (which) skip = which;
    if (when) kill_at = atol(when);
    folder_bytes = (size_t)snprintf(folder, sizeof folder, "%s", of);
    trace = syscall(SYS_openat, AT_FDCWD, to, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (trace < 0 || folder_bytes >= sizeof folder) give_up("recorder: it can't begin\n");
    lock();
    put_plain(START, "", 0, 0);
    unlock(0);
}

/* The part of a path below the folder; NULL if it lies elsewhere. */
static const char *below(const char *path) {
    if (trace < 0 || strncmp(path, folder, folder_bytes) != 0) return NULL;
    if (path[folder_bytes] == 0) return path + folder_bytes;
    return path[folder_bytes] == '/' ? path + folder_bytes + 1 : NULL;
}

/* What a descriptor is: the path of a file below the folder, or the name of a socket. NULL for
   everything else. `room` takes the text. */
static const char *named(int fd, char *room, int *is_socket) {
    char link[64];
    *is_socket = 0;
    if (trace < 0) return NULL;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t bytes = syscall(SYS_readlinkat, AT_FDCWD, link, room, PATH_BYTES - 1);
    if (bytes < 0) return NULL;
    room[bytes] = 0;
    if (strncmp(room, "socket:", 7) == 0) {
        *is_socket = 1;
        return room;
    }
    return below(room);
}

static int opened(const char *path, int flags, mode_t mode) {
    const char *name = below(path);
    if (!name || (flags & O_ACCMODE) == O_RDONLY)
        return syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    lock();
    struct stat before;
    int was_there = syscall(SYS_newfstatat, AT_FDCWD, path, &before, 0) == 0;
    int fd = syscall(SYS_openat, AT_FDCWD, path, flags, mode), error = errno;
    if (fd >= 0 && !was_there) put_plain(CREATE, name, 0, 0);
    if (fd >= 0 && was_there && (flags & O_TRUNC) && before.st_size > 0)
        put_plain(TRUNCATE, name, 0, 0);
    unlock(error);
    return fd;
}

#define MODE_OF(flags)                                                                             \
    mode_t mode = 0;                                                                               \
    if ((flags) & O_CREAT) {                                                                       \
        va_list more;                                                                              \
        va_start(more, flags);                                                                     \
        mode = va_arg(more, mode_t);                                                               \
        va_end(more);                                                                              \
    }

int open(const char *path, int flags, ...) {
    MODE_OF(flags)
    return opened(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    MODE_OF(flags)
    return opened(path, flags, mode);
}

/* All ways to write: at an offset, or where the file stands (offset -1), or through a socket. */
static ssize_t written(int fd, const struct iovec *pieces, int count, int64_t offset,
                       ssize_t (*call)(int, const struct iovec *, int, int64_t)) {
    char room[PATH_BYTES];
    int is_socket;
    if (!named(fd, room, &is_socket)) return call(fd, pieces, count, offset);
    lock();
    /* Once more: it may have been renamed until now. */
    const char *name = named(fd, room, &is_socket);
    int64_t at = offset;
    if (!is_socket && at < 0)
        at = syscall(SYS_lseek, fd, 0, fcntl(fd, F_GETFL) & O_APPEND ? SEEK_END : SEEK_CUR);
    ssize_t bytes = call(fd, pieces, count, offset);
    int error = errno;
    if (name && bytes > 0)
        put(is_socket ? SEND : WRITE, name, is_socket ? 0 : at, bytes, pieces, count, bytes);
    unlock(error);
    return bytes;
}

static ssize_t plain_write(int fd, const struct iovec *pieces, int count, int64_t offset) {
    (void)count, (void)offset;
    return syscall(SYS_write, fd, pieces->iov_base, pieces->iov_len);
}

static ssize_t plain_writev(int fd, const struct iovec *pieces, int count, int64_t offset) {
    (void)offset;
    return syscall(SYS_writev, fd, pieces, count);
}

static ssize_t plain_pwrite(int fd, const struct iovec *pieces, int count, int64_t offset) {
    (void)count;
    return syscall(SYS_pwrite64, fd, pieces->iov_base, pieces->iov_len, offset);
}

static ssize_t plain_send(int fd, const struct iovec *pieces, int count, int64_t offset) {
    (void)count, (void)offset;
    return syscall(SYS_sendto, fd, pieces->iov_base, pieces->iov_len, MSG_NOSIGNAL, NULL, 0);
}

ssize_t write(int fd, const void *data, size_t bytes) {
    struct iovec piece = {(void *)data, bytes};
    return written(fd, &piece, 1, -1, plain_write);
}

ssize_t writev(int fd, const struct iovec *pieces, int count) {
    return written(fd, pieces, count, -1, plain_writev);
}

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t offset) {
    struct iovec piece = {(void *)data, bytes};
    return written(fd, &piece, 1, offset, plain_pwrite);
}

ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t offset) {
    return pwrite(fd, data, bytes, offset);
}

/* The server sends with MSG_NOSIGNAL alone; with other flags the bytes would not all be an answer. */
ssize_t send(int fd, const void *data, size_t bytes, int flags) {
    if (trace >= 0 && flags != MSG_NOSIGNAL) give_up("recorder: a send with unknown flags\n");
    struct iovec piece = {(void *)data, bytes};
    return trace < 0 ? syscall(SYS_sendto, fd, data, bytes, flags, NULL, 0)
                     : written(fd, &piece, 1, -1, plain_send);
}

static int truncated(int fd, int64_t length) {
    char room[PATH_BYTES];
    int is_socket;
    if (!named(fd, room, &is_socket)) return syscall(SYS_ftruncate, fd, length);
    lock();
    const char *name = named(fd, room, &is_socket);
    int result = syscall(SYS_ftruncate, fd, length), error = errno;
    if (name && result == 0) put_plain(TRUNCATE, name, 0, length);
    unlock(error);
    return result;
}

int ftruncate(int fd, off_t length) { return truncated(fd, length); }

int ftruncate64(int fd, off64_t length) { return truncated(fd, length); }

int fallocate64(int fd, int mode, off64_t offset, off64_t length) {
    char room[PATH_BYTES];
    int is_socket;
    if (!named(fd, room, &is_socket)) return syscall(SYS_fallocate, fd, mode, offset, length);
    if (mode != 0) give_up("recorder: an allocation of an unknown mode\n");
    lock();
    const char *name = named(fd, room, &is_socket);
    int result = syscall(SYS_fallocate, fd, mode, offset, length), error = errno;
    if (name && result == 0) put_plain(ALLOCATE, name, offset, length);
    unlock(error);
    return result;
}

int fallocate(int fd, int mode, off_t offset, off_t length) {
    return fallocate64(fd, mode, offset, length);
}

int sync_file_range(int fd, off64_t offset, off64_t length, unsigned int flags) {
    char room[PATH_BYTES];
    int is_socket;
    if (!named(fd, room, &is_socket))
        return syscall(SYS_sync_file_range, fd, offset, length, flags);
    lock();
    const char *name = named(fd, room, &is_socket);
    int result = syscall(SYS_sync_file_range, fd, offset, length, flags), error = errno;
    if (name && result == 0) put_plain(SYNC_RANGE, name, offset, length);
    unlock(error);
    return result;
}

static int synced(int fd, long call, enum kind kind, const char *call_name) {
    char room[PATH_BYTES];
    int is_socket;
    if (!named(fd, room, &is_socket)) return syscall(call, fd);
    if (strcmp(skip, call_name) == 0) return 0;
    lock();
    const char *name = named(fd, room, &is_socket);
    struct stat found;
    if (syscall(SYS_fstat, fd, &found) == 0 && S_ISDIR(found.st_mode)) kind = SYNC_FOLDER;
    int result = syscall(call, fd), error = errno;
    if (name && result == 0) put_plain(kind, name, 0, 0);
    unlock(error);
    return result;
}

int fsync(int fd) { return synced(fd, SYS_fsync, SYNC, "fsync"); }

int fdatasync(int fd) { return synced(fd, SYS_fdatasync, SYNC_DATA, "fdatasync"); }

int rename(const char *from, const char *to) {
    const char *name = below(from), *new_name = below(to);
    if (!name || !new_name) return syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    lock();
    int result = syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0), error = errno;
    struct iovec piece = {(void *)new_name, strlen(new_name)};
    if (result == 0) put(RENAME, name, 0, 0, &piece, 1, piece.iov_len);
    unlock(error);
    return result;
}

int unlink(const char *path) {
    const char *name = below(path);
    if (!name) return syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    lock();
    int result = syscall(SYS_unlinkat, AT_FDCWD, path, 0), error = errno;
    if (result == 0) put_plain(UNLINK, name, 0, 0);
    unlock(error);
    return result;
}

int mkdir(const char *path, mode_t mode) {
    const char *name = below(path);
    if (!name) return syscall(SYS_mkdirat, AT_FDCWD, path, mode);
    lock();
    int result = syscall(SYS_mkdirat, AT_FDCWD, path, mode), error = errno;
    if (result == 0) put_plain(MAKE_FOLDER, name, 0, 0);
    unlock(error);
    return result;
}
