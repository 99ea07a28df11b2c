/*
 * A file system in memory that knows what was synced, and forgets the rest on command: creating a file named "forget" anywhere in it fails with
 * ECANCELED, after every page written since its file's last sync was put back or kept as chance will have it, and the changes of each
 * directory since its last sync were kept up to a random one. What a process wrote and did not sync is gone for everybody, as after a power cut.
 *
 *   forgetful-fs -f -s [-o allow_other] MOUNTPOINT      (one thread: calls come one after the other)
 */
#define FUSE_USE_VERSION 31
#include <errno.h>
#include <fuse.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 4096

struct bytes {
  char *at;
  size_t size, room;
};

struct inode {
  struct inode *next;
  ino_t number;
  int directory;
  struct bytes seen, durable;
  unsigned char *dirty; /* one a page */
  size_t dirty_pages;
};

struct name {
  struct name *next;
  struct inode *inode;
  char path[512];
};

/* A name that came (inode) or went (no inode): renames are one that went and one that came, kept or lost together. */
struct change {
  struct change *next;
  struct inode *inode;
  char gone[512], came[512];
};

static struct inode *inodes;
static struct name *seen, *durable;
static struct change *changes, **changes_end = &changes;
static ino_t numbers = 1;

static void *given(size_t size) {
  void *memory = calloc(1, size);
  if (!memory) abort();
  return memory;
}

static struct inode *find(const struct name *names, const char *path) {
  for (; names; names = names->next)
    if (strcmp(names->path, path) == 0) return names->inode;
  return NULL;
}

static void take(struct name **names, const char *path) {
  for (; *names; names = &(*names)->next)
    if (strcmp((*names)->path, path) == 0) {
      struct name *name = *names;
      *names = name->next;
      free(name);
      return;
    }
}

static void put(struct name **names, const char *path, struct inode *inode) {
  take(names, path);
  struct name *name = given(sizeof *name);
  *name = (struct name){*names, inode, ""};
  snprintf(name->path, sizeof name->path, "%s", path);
  *names = name;
}

static void apply(struct name **names, const struct change *change) {
  if (change->gone[0]) take(names, change->gone);
  if (change->came[0]) put(names, change->came, change->inode);
}

static void note(const char *gone, const char *came, struct inode *inode) {
  struct change *change = given(sizeof *change);
  change->inode = inode;
  snprintf(change->gone, sizeof change->gone, "%s", gone);
  snprintf(change->came, sizeof change->came, "%s", came);
  apply(&seen, change);
  *changes_end = change;
  changes_end = &change->next;
}

static int is_in(const struct change *change, const char *directory) {
  const char *path = change->came[0] ? change->came : change->gone;
  size_t length = strrchr(path, '/') - path;
  return strlen(directory) == (length ? length : 1) && strncmp(path, directory, length ? length : 1) == 0;
}

/* The first `count` changes of the directory, or all, become durable; what is left of them is forgotten if `rest` says so. */
static void settle(const char *directory, int count, int rest) {
  for (struct change **link = &changes; *link;) {
    struct change *change = *link;
    if (!is_in(change, directory) || (count == 0 && !rest)) {
      link = &change->next;
      continue;
    }
    if (count != 0) apply(&durable, change), count--;
    *link = change->next;
    free(change);
  }
  for (changes_end = &changes; *changes_end;) changes_end = &(*changes_end)->next;
}

static void grow(struct bytes *bytes, size_t size) {
  if (size > bytes->room) {
    size_t room = size * 2;
    char *more = given(room);
    if (bytes->size) memcpy(more, bytes->at, bytes->size);
    free(bytes->at);
    bytes->at = more;
    bytes->room = room;
  }
  if (size > bytes->size) bytes->size = size;
}

static void flush_page(struct inode *inode, size_t page) {
  size_t from = page * PAGE, to = from + PAGE < inode->seen.size ? from + PAGE : inode->seen.size;
  if (to <= from) return;
  grow(&inode->durable, to);
  memcpy(inode->durable.at + from, inode->seen.at + from, to - from);
}

static void forget(void) {
  for (struct inode *directory = inodes; directory; directory = directory->next) {
    if (!directory->directory) continue;
    for (struct name *name = seen; name; name = name->next)
      if (name->inode == directory) {
        int count = 0;
        for (struct change *change = changes; change; change = change->next) count += is_in(change, name->path);
        settle(name->path, rand() % (count + 1), 1);
        break;
      }
  }
  while (seen) take(&seen, seen->path);
  for (struct name *name = durable; name; name = name->next) put(&seen, name->path, name->inode);
  for (struct inode *inode = inodes; inode; inode = inode->next) {
    int mode = rand() % 4; /* 0: every page made it, 1: none, else: any subset */
    for (size_t page = 0; page < inode->dirty_pages; page++)
      if (inode->dirty[page] && mode != 1 && (mode == 0 || rand() % 2)) flush_page(inode, page);
    memset(inode->dirty, 0, inode->dirty_pages);
    inode->seen.size = 0;
    if (inode->seen.at) memset(inode->seen.at, 0, inode->seen.room);
    grow(&inode->seen, inode->durable.size);
    if (inode->durable.size) memcpy(inode->seen.at, inode->durable.at, inode->durable.size);
  }
}

static struct inode *made(int directory) {
  struct inode *inode = given(sizeof *inode);
  *inode = (struct inode){.next = inodes, .number = ++numbers, .directory = directory};
  inode->dirty = given(1);
  return inodes = inode;
}

static struct inode *of(const char *path, const struct fuse_file_info *info) {
  return info && info->fh ? (struct inode *)(uintptr_t)info->fh : find(seen, path);
}

static int fs_getattr(const char *path, struct stat *status, struct fuse_file_info *info) {
  struct inode *inode = of(path, info);
  if (!inode) return -ENOENT;
  memset(status, 0, sizeof *status);
  status->st_ino = inode->number;
  status->st_mode = inode->directory ? S_IFDIR | 0777 : S_IFREG | 0666;
  status->st_nlink = 1;
  status->st_size = (off_t)inode->seen.size;
  return 0;
}

static int fs_readdir(const char *path, void *buffer, fuse_fill_dir_t fill, off_t offset, struct fuse_file_info *info,
                      enum fuse_readdir_flags flags) {
  (void)offset, (void)info, (void)flags;
  size_t length = strcmp(path, "/") == 0 ? 0 : strlen(path);
  for (struct name *name = seen; name; name = name->next) {
    const char *last = strrchr(name->path, '/');
    if (last[1] && (size_t)(last - name->path) == length && strncmp(name->path, path, length) == 0)
      fill(buffer, last + 1, NULL, 0, 0);
  }
  return 0;
}

static int fs_mkdir(const char *path, mode_t mode) {
  (void)mode;
  struct inode *inode = made(1);
  put(&seen, path, inode);
  put(&durable, path, inode);
  return 0;
}

static int fs_open(const char *path, struct fuse_file_info *info) {
  struct inode *inode = find(seen, path);
  if (!inode) return -ENOENT;
  info->fh = (uintptr_t)inode;
  info->direct_io = 1;
  return 0;
}

static int fs_create(const char *path, mode_t mode, struct fuse_file_info *info) {
  (void)mode;
  if (strcmp(strrchr(path, '/'), "/forget") == 0) return forget(), -ECANCELED;
  note("", path, made(0));
  return fs_open(path, info);
}

static int fs_read(const char *path, char *into, size_t length, off_t at, struct fuse_file_info *info) {
  struct bytes *bytes = &of(path, info)->seen;
  if ((size_t)at >= bytes->size) return 0;
  if (length > bytes->size - (size_t)at) length = bytes->size - (size_t)at;
  memcpy(into, bytes->at + at, length);
  return (int)length;
}

static int fs_write(const char *path, const char *from, size_t length, off_t at, struct fuse_file_info *info) {
  struct inode *inode = of(path, info);
  size_t end = (size_t)at + length, pages = (end + PAGE - 1) / PAGE;
  grow(&inode->seen, end);
  memcpy(inode->seen.at + at, from, length);
  if (pages > inode->dirty_pages) {
    unsigned char *more = given(pages * 2);
    memcpy(more, inode->dirty, inode->dirty_pages);
    free(inode->dirty);
    inode->dirty = more;
    inode->dirty_pages = pages * 2;
  }
  for (size_t page = (size_t)at / PAGE; page < pages; page++) inode->dirty[page] = 1;
  return (int)length;
}

static int fs_truncate(const char *path, off_t size, struct fuse_file_info *info) {
  struct inode *inode = of(path, info);
  if (!inode) return -ENOENT;
  if (size != 0) return -EINVAL; /* nobody asks for it */
  inode->seen.size = 0;
  if (inode->seen.at) memset(inode->seen.at, 0, inode->seen.room);
  return 0;
}

static int fs_fsync(const char *path, int data, struct fuse_file_info *info) {
  (void)data;
  struct inode *inode = of(path, info);
  for (size_t page = 0; page < inode->dirty_pages; page++)
    if (inode->dirty[page]) flush_page(inode, page), inode->dirty[page] = 0;
  return 0;
}

static int fs_fsyncdir(const char *path, int data, struct fuse_file_info *info) {
  (void)data, (void)info;
  settle(path, -1, 0);
  return 0;
}

static int fs_rename(const char *from, const char *to, unsigned flags) {
  struct inode *inode = find(seen, from);
  if (flags) return -EINVAL;
  return inode ? note(from, to, inode), 0 : -ENOENT;
}

static int fs_unlink(const char *path) { return find(seen, path) ? note(path, "", NULL), 0 : -ENOENT; }

static void *fs_init(struct fuse_conn_info *connection, struct fuse_config *config) {
  (void)connection;
  config->use_ino = 1;
  config->hard_remove = 1;
  config->entry_timeout = config->attr_timeout = config->negative_timeout = 0;
  struct inode *root = made(1);
  put(&seen, "/", root);
  put(&durable, "/", root);
  return NULL;
}

int main(int count, char **arguments) {
  static const struct fuse_operations operations = {
      .init = fs_init, .getattr = fs_getattr, .readdir = fs_readdir, .mkdir = fs_mkdir, .open = fs_open,
      .create = fs_create, .read = fs_read, .write = fs_write, .truncate = fs_truncate, .fsync = fs_fsync,
      .fsyncdir = fs_fsyncdir, .rename = fs_rename, .unlink = fs_unlink,
  };
  const char *seed = getenv("EVENKEEL_SEED");
  srand(seed ? (unsigned)atoi(seed) : 1);
  return fuse_main(count, arguments, &operations, NULL);
}
