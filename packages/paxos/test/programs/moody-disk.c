/*
 * A disk that is told, while it is in use, to be slow, full or broken: preloaded into a process, it stands between libuv and the kernel.
 *
 *   EVENKEEL_MOOD   a file of four 32-bit numbers that both sides have in memory:
 *     0  milliseconds that each sync takes longer
 *     1  errno that writes at a position fail with (28: the disk is full), 0 for none
 *     2  errno that syncs fail with (5), 0 for none; what they should have written is not said to be there
 *     3  syncs that have ended, counted here
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

static volatile uint32_t *mood;

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("EVENKEEL_MOOD");
  int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
  if (fd < 0) return;
  void *mapped = mmap(NULL, 16, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (mapped != MAP_FAILED) mood = mapped;
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off_t at) {
  static ssize_t (*real)(int, const void *, size_t, off_t);
  if (!real) real = (ssize_t(*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite64");
  if (mood && mood[1]) {
    errno = (int)mood[1];
    return -1;
  }
  return real(fd, bytes, count, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) { return pwrite64(fd, bytes, count, at); }

static int synced(int fd, const char *name) {
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
  if (!mood) return real(fd);
  for (uint32_t waited = 0; waited < mood[0]; waited += 5) usleep(5000);
  int result = real(fd);
  if (mood[2]) {
    errno = (int)mood[2];
    result = -1;
  }
  __sync_fetch_and_add(&mood[3], 1);
  return result;
}

int fdatasync(int fd) { return synced(fd, "fdatasync"); }
int fsync(int fd) { return synced(fd, "fsync"); }
