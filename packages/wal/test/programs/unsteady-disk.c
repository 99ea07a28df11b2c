/*
 * A disk that loses, tears, refuses and lies: preloaded into a process, it stands between libuv and the kernel for the files of one directory.
 *
 * It remembers what every page written since the last sync held before, and every creation, rename and removal since the directory's last sync. At
 * the power cut it puts a random part of the pages back and takes a random number of the last changes of the directory back, as a journalling
 * file system may after a crash, and kills the process: what was not synced is really gone, also for who reads the files afterwards.
 *
 *   EVENKEEL_DISK   the directory; a sibling with ".gone" behind its name must exist and is where removed files wait
 *   EVENKEEL_SEED   what the random choices begin with
 *   EVENKEEL_FAULT  what happens at the n-th call of a kind, as kind@n, comma-separated:
 *     cut          the power cut, before the n-th change of any kind (also: removing "power-cut", which need not exist)
 *     eio-write, enospc-write, erofs-write    the n-th write fails
 *     short-write  it writes half and says so
 *     torn-write   it writes half and says all
 *     flip-write   it writes one bit wrong
 *                  (what is written to a descriptor with O_DSYNC is a write, and then a sync of just that)
 *     eio-sync     the n-th sync fails; later ones succeed, and what this one should have written is lost all the same, as on Linux
 *     drop-sync    it says yes, and what it should have written is gone at once
 *     lie-sync     from the n-th on no sync does anything
 *     eio-read, flip-read    the n-th read fails, or has one bit wrong
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096
#define REAL(result, name, ...)                                  \
  static result (*real)(__VA_ARGS__);                            \
  if (!real) real = (result (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

/* What a page held before the writes that are not synced yet. */
struct page {
  struct page *next;
  dev_t device;
  ino_t inode;
  off_t at;
  ssize_t held;
  int lost; /* a sync of it failed: no later sync makes it durable */
  char bytes[PAGE];
};

/* A file that was written: a descriptor of our own, and its size when it was last synced. */
struct file {
  struct file *next;
  dev_t device;
  ino_t inode;
  int fd;
  off_t synced_size;
};

enum kind { CREATED, RENAMED, REMOVED };
struct change {
  struct change *before;
  enum kind kind;
  char from[512], to[512];
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct page *pages;
static struct file *files;
static struct change *changes;
static int changed, changes_count, removals, writes, syncs, reads, lying;
static unsigned long long random_state;
static const char *disk, *faults;
static __thread int inside; /* our own calls pass */

static unsigned next_random(void) {
  random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
  return (unsigned)(random_state >> 33);
}

__attribute__((constructor)) static void begin(void) {
  const char *seed = getenv("EVENKEEL_SEED");
  disk = getenv("EVENKEEL_DISK");
  faults = getenv("EVENKEEL_FAULT");
  random_state = (seed ? strtoull(seed, NULL, 10) : 1) * 2654435761ULL + 1;
}

static int is_due(const char *kind, int count) {
  char wanted[64];
  int length = snprintf(wanted, sizeof wanted, "%s@%d", kind, count);
  for (const char *at = faults; at && (at = strstr(at, wanted)); at += length)
    if (at[length] == 0 || at[length] == ',') return 1;
  return 0;
}

static int is_ours(const char *path) {
  size_t length = disk ? strlen(disk) : 0;
  return !inside && length > 0 && path && strncmp(path, disk, length) == 0 && (path[length] == '/' || path[length] == 0);
}

/* 1: a file of ours, 2: the directory itself, 0: none of our business. */
static int kind_of(int fd, struct stat *status) {
  char link[64], path[512];
  if (inside || !disk) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0) return 0;
  path[length] = 0;
  if (!is_ours(path) || fstat(fd, status) != 0) return 0;
  return S_ISDIR(status->st_mode) ? 2 : S_ISREG(status->st_mode) ? 1 : 0;
}

static struct file *file_of(int fd, const struct stat *status) {
  for (struct file *file = files; file; file = file->next)
    if (file->device == status->st_dev && file->inode == status->st_ino) return file;
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  struct file *file = calloc(1, sizeof *file);
  *file = (struct file){files, status->st_dev, status->st_ino, open(link, O_RDWR | O_CLOEXEC), status->st_size};
  return files = file;
}

static void remember(int fd, const struct stat *status, off_t from, size_t length) {
  struct file *file = file_of(fd, status);
  for (off_t at = from / PAGE * PAGE; at < from + (off_t)length; at += PAGE) {
    struct page *page = pages;
    while (page && (page->inode != file->inode || page->device != file->device || page->at != at)) page = page->next;
    if (!page) {
      page = calloc(1, sizeof *page);
      page->next = pages;
      page->device = file->device;
      page->inode = file->inode;
      page->at = at;
      page->held = pread(file->fd, page->bytes, PAGE, at);
      pages = page;
    }
    page->lost = 0;
  }
}

/* Puts pages back: all of one file, or of every file those that chance or a failed sync took. */
static void put_back(const struct file *only) {
  for (struct file *file = files; file; file = file->next) {
    if (only && file != only) continue;
    struct stat status;
    if (fstat(file->fd, &status) != 0) continue;
    unsigned mode = next_random() % 4; /* 0: every page made it, 1: none, else: any subset */
    off_t size = file->synced_size;
    struct page **link = &pages;
    struct page *back = NULL;
    while (*link) {
      struct page *page = *link;
      if (page->inode != file->inode || page->device != file->device) {
        link = &page->next;
        continue;
      }
      *link = page->next;
      int kept = !only && !page->lost && mode != 1 && (mode == 0 || next_random() % 2);
      if (kept && page->at + PAGE > size) size = page->at + PAGE < status.st_size ? page->at + PAGE : status.st_size;
      if (kept) continue;
      page->next = back;
      back = page;
    }
    for (; back; back = back->next) {
      off_t end = back->at + PAGE < size ? back->at + PAGE : size;
      if (end > back->at && pwrite(file->fd, back->bytes, (size_t)(end - back->at), back->at) < 0) abort();
    }
    if (ftruncate(file->fd, size) != 0) abort();
  }
}

static void power_cut(void) {
  inside = 1;
  put_back(NULL);
  for (int lost = (int)(next_random() % (unsigned)(changes_count + 1)); lost > 0; lost--) {
    if (changes->kind == CREATED) unlink(changes->to);
    else rename(changes->to, changes->from);
    changes = changes->before;
  }
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

/* Before each change of the disk. */
static void enter(void) {
  pthread_mutex_lock(&mutex);
  if (is_due("cut", ++changed)) power_cut();
  inside = 1;
}

static void leave(void) {
  inside = 0;
  pthread_mutex_unlock(&mutex);
}

static void note(enum kind kind, const char *from, const char *to) {
  struct change *change = calloc(1, sizeof *change);
  change->before = changes;
  change->kind = kind;
  snprintf(change->from, sizeof change->from, "%s", from);
  snprintf(change->to, sizeof change->to, "%s", to);
  changes = change;
  changes_count++;
}

/* With the mutex: `to` < 0 for all of the file, else the pages between. Returns what is wrong. */
static int sync_file(int fd, struct stat *status, off_t from, off_t to) {
  syncs++;
  if (is_due("lie-sync", syncs)) lying = 1;
  int fails = is_due("eio-sync", syncs);
  if (lying) return 0;
  struct file *file = file_of(fd, status);
  if (is_due("drop-sync", syncs)) put_back(file);
  for (struct page **link = &pages; *link;) {
    struct page *page = *link;
    int meant = to < 0 || (page->at < to && page->at + PAGE > from);
    if (!meant || page->inode != file->inode || page->device != file->device || page->lost) link = &page->next;
    else if (fails) page->lost = 1, link = &page->next;
    else {
      *link = page->next;
      free(page);
    }
  }
  if (!fails && fstat(fd, status) == 0) {
    off_t end = to < 0 || to > status->st_size ? status->st_size : to;
    if (to < 0 || end > file->synced_size) file->synced_size = end;
  }
  return fails ? EIO : 0;
}

static int synced(int fd, int (*real)(int)) {
  struct stat status;
  int kind = kind_of(fd, &status);
  if (!kind) return real(fd);
  enter();
  int error = 0;
  if (kind == 1) error = sync_file(fd, &status, 0, -1);
  else {
    syncs++;
    if (is_due("lie-sync", syncs)) lying = 1;
    if (is_due("eio-sync", syncs)) error = EIO;
    else if (!lying) {
      for (; changes; changes = changes->before)
        if (changes->kind == REMOVED) unlink(changes->to);
      changes_count = 0;
    }
  }
  leave();
  errno = error;
  return error ? -1 : 0;
}

static ssize_t written(int fd, const char *bytes, size_t length, off_t at) {
  REAL(ssize_t, "pwrite64", int, const void *, size_t, off_t);
  struct stat status;
  if (kind_of(fd, &status) != 1) return real(fd, bytes, length, at);
  enter();
  writes++;
  ssize_t result = -1;
  int error = is_due("eio-write", writes)      ? EIO
              : is_due("enospc-write", writes) ? ENOSPC
              : is_due("erofs-write", writes)  ? EROFS
                                               : 0;
  if (!error) {
    size_t half = length / 2 ? length / 2 : length;
    remember(fd, &status, at, length);
    if (is_due("short-write", writes)) result = real(fd, bytes, half, at);
    else if (is_due("torn-write", writes)) result = real(fd, bytes, half, at) < 0 ? -1 : (ssize_t)length;
    else if (is_due("flip-write", writes)) {
      char *copy = malloc(length);
      memcpy(copy, bytes, length);
      copy[next_random() % length] ^= (char)(1 << next_random() % 8);
      result = real(fd, copy, length, at);
      free(copy);
    } else result = real(fd, bytes, length, at);
    error = errno;
  }
  /* What a descriptor with O_DSYNC was given is synced before the call returns: that, and nothing else of the file. */
  if (result > 0 && fcntl(fd, F_GETFL) & O_DSYNC) {
    if (is_due("cut", ++changed)) power_cut();
    error = sync_file(fd, &status, at, at + result);
    if (error) result = -1;
  }
  leave();
  errno = error;
  return result;
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t at) { return written(fd, bytes, length, at); }
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) { return written(fd, bytes, length, at); }

static ssize_t written_all(int fd, const struct iovec *parts, int count, off_t at) {
  ssize_t sum = 0;
  for (int n = 0; n < count; n++) {
    ssize_t result = written(fd, parts[n].iov_base, parts[n].iov_len, at + sum);
    if (result < 0) return sum > 0 ? sum : -1;
    sum += result;
    if ((size_t)result < parts[n].iov_len) break;
  }
  return sum;
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t at) { return written_all(fd, parts, count, at); }
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) { return written_all(fd, parts, count, at); }

ssize_t pread64(int fd, void *into, size_t length, off_t at) {
  REAL(ssize_t, "pread64", int, void *, size_t, off_t);
  struct stat status;
  if (kind_of(fd, &status) != 1) return real(fd, into, length, at);
  pthread_mutex_lock(&mutex);
  reads++;
  int fails = is_due("eio-read", reads), flips = is_due("flip-read", reads);
  pthread_mutex_unlock(&mutex);
  if (fails) return errno = EIO, -1;
  ssize_t result = real(fd, into, length, at);
  if (flips && result > 0) ((char *)into)[next_random() % (size_t)result] ^= 4;
  return result;
}
ssize_t pread(int fd, void *into, size_t length, off_t at) { return pread64(fd, into, length, at); }

int fdatasync(int fd) {
  REAL(int, "fdatasync", int);
  return synced(fd, real);
}

int fsync(int fd) {
  REAL(int, "fsync", int);
  return synced(fd, real);
}

int open64(const char *path, int flags, ...) {
  REAL(int, "open64", const char *, int, ...);
  va_list more;
  va_start(more, flags);
  mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;
  va_end(more);
  if (!(flags & O_CREAT) || !is_ours(path)) return real(path, flags, mode);
  enter();
  int existed = access(path, F_OK) == 0;
  int fd = real(path, flags, mode), error = errno;
  if (fd >= 0 && !existed) note(CREATED, "", path);
  leave();
  errno = error;
  return fd;
}

int rename(const char *from, const char *to) {
  REAL(int, "rename", const char *, const char *);
  if (!is_ours(from)) return real(from, to);
  enter();
  int result = real(from, to), error = errno;
  if (result == 0) note(RENAMED, from, to);
  leave();
  errno = error;
  return result;
}

int unlink(const char *path) {
  REAL(int, "unlink", const char *);
  if (!is_ours(path)) return real(path);
  enter();
  const char *name = strrchr(path, '/');
  if (name && strcmp(name, "/power-cut") == 0) power_cut();
  char kept[512];
  snprintf(kept, sizeof kept, "%s.gone/%d", disk, removals++);
  int result = rename(path, kept), error = errno;
  if (result == 0) note(REMOVED, path, kept);
  leave();
  errno = error;
  return result;
}
