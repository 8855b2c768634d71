/* Stands between one process and the kernel, for the calls that touch chosen folders: counts them, writes them down,
 * and lets one of them (or all from one on) end the process, fail, do half of its work, or take long.
 * For 64-bit Linux and one thread. Loaded with LD_PRELOAD; steered by the functions at the end, see preload.py. */

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#undef open
#undef open64
#undef openat
#undef openat64

enum { NOTHING, KILL, TEAR, FAIL, FAIL_LATE, HALF, SLOW };
/* What a call does to the folders; a fault may be limited to some kinds. */
enum { READS = 1, MAKES = 2, WRITES = 4, SYNCS = 8, REMOVES = 16, CLOSES = 32 };

#define FILES 65536
#define FOLDERS 8

static char folders[FOLDERS][1024];
static int folder_count;
static char *names[FILES]; /* of files and folders below the chosen ones that are open */
static char listed[FILES]; /* whether an open folder's entries were asked for already */
static long count, first, last, delay_ms;
static int action, number, kinds, notes = -1, with_data;

static int chosen(const char *path) {
  for (int i = 0; path && i < folder_count; i++) {
    size_t length = strlen(folders[i]);
    if (!strncmp(path, folders[i], length) && (path[length] == '/' || !path[length])) return 1;
  }
  return 0;
}

static const char *name_of(int file) { return file >= 0 && file < FILES ? names[file] : NULL; }

static void opened(int file, const char *path) {
  if (file < 0 || file >= FILES) return;
  free(names[file]);
  names[file] = strdup(path);
  listed[file] = 0;
}

static void closed(int file) {
  if (file < 0 || file >= FILES) return;
  free(names[file]);
  names[file] = NULL;
}

/* One line: number, call, kind, result, error, then what the call was about, all with tabs between. */
static void note(const char *call, int kind, long result, const char *format, ...) {
  if (notes < 0) return;
  int error = errno;
  char *about = NULL, *line = NULL;
  va_list values;
  va_start(values, format);
  if (vasprintf(&about, format, values) < 0) abort();
  va_end(values);
  int size = asprintf(&line, "%ld\t%s\t%d\t%ld\t%d\t%s\n", count, call, kind, result, result < 0 ? error : 0, about);
  for (int done = 0; done < size;) {
    long some = syscall(SYS_write, notes, line + done, (size_t)(size - done));
    if (some <= 0) abort();
    done += (int)some;
  }
  free(about);
  free(line);
  errno = error;
}

static void die(void) {
  syscall(SYS_kill, getpid(), SIGKILL);
  abort();
}

/* Counts a call and says what is to befall it. */
static int meet(int kind) {
  count++;
  if (count < first || count > last || !(kind & kinds)) return NOTHING;
  if (action == KILL) die();
  if (action == SLOW) {
    struct timespec time = {delay_ms / 1000, delay_ms % 1000 * 1000000};
    nanosleep(&time, NULL);
  }
  return action;
}

static long fail(void) {
  errno = number;
  return -1;
}

#define AROUND(kind, result, call)                          \
  int fate = meet(kind);                                    \
  long result = fate == FAIL ? fail() : (call);             \
  if (fate == FAIL_LATE && result >= 0) result = fail();

static int do_open(const char *path, int flags, mode_t mode) {
  if (!chosen(path)) return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
  int kind = flags & O_CREAT ? MAKES : (flags & O_ACCMODE) == O_RDONLY ? READS : WRITES;
  int fate = meet(kind);
  long result = fate == FAIL ? fail() : syscall(SYS_openat, AT_FDCWD, path, flags, mode);
  if (result >= 0) opened((int)result, path);
  note("open", kind, result, "%s\t%d", path, flags & ~O_CLOEXEC);
  return (int)result;
}

#define OPEN(name)                                          \
  int name(const char *path, int flags, ...) {              \
    va_list values;                                         \
    va_start(values, flags);                                \
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(values, mode_t) : 0; \
    va_end(values);                                         \
    return do_open(path, flags, mode);                      \
  }
OPEN(open)
OPEN(open64)
/* What calls without a mode become where a program was compiled with fortified headers. */
int __open_2(const char *path, int flags) { return do_open(path, flags, 0); }
int __open64_2(const char *path, int flags) { return do_open(path, flags, 0); }

int close(int file) {
  if (!name_of(file)) return (int)syscall(SYS_close, file);
  char *path = strdup(names[file]);
  int fate = meet(CLOSES);
  long result = syscall(SYS_close, file);
  /* Linux closes the file also where it reports an error. */
  if (fate == FAIL || fate == FAIL_LATE) result = fail();
  closed(file);
  note("close", CLOSES, result, "%d\t%s", file, path);
  free(path);
  return (int)result;
}

static char *hex(const char *data, long size) {
  char *text = malloc((size_t)(size > 0 ? 2 * size + 1 : 1));
  text[0] = 0;
  for (long i = 0; i < size; i++) sprintf(text + 2 * i, "%02x", (unsigned char)data[i]);
  return text;
}

static ssize_t do_write(int file, const char *data, size_t size, long offset) {
  const char *path = name_of(file);
  int fate = path ? meet(WRITES) : NOTHING;
  if (fate == TEAR || fate == HALF) size = (size + 1) / 2;
  long where = offset >= 0 ? offset : path ? syscall(SYS_lseek, file, 0L, SEEK_CUR) : 0;
  long result = fate == FAIL  ? fail()
                : offset >= 0 ? syscall(SYS_pwrite64, file, data, size, offset)
                              : syscall(SYS_write, file, data, size);
  if (fate == TEAR) die();
  if (path && notes >= 0) {
    char *text = hex(data, with_data ? result : 0);
    note("write", WRITES, result, "%d\t%s\t%ld\t%s", file, path, where, text);
    free(text);
  }
  return result;
}

ssize_t write(int file, const void *data, size_t size) { return do_write(file, data, size, -1); }
ssize_t pwrite(int file, const void *data, size_t size, off_t offset) { return do_write(file, data, size, offset); }
ssize_t pwrite64(int file, const void *data, size_t size, off64_t offset) { return do_write(file, data, size, offset); }

ssize_t read(int file, void *data, size_t size) {
  if (!name_of(file)) return syscall(SYS_read, file, data, size);
  AROUND(READS, result, syscall(SYS_read, file, data, fate == HALF ? (size + 1) / 2 : size))
  note("read", READS, result, "%d\t%s", file, names[file]);
  return result;
}

static ssize_t do_pread(int file, void *data, size_t size, off_t offset) {
  if (!name_of(file)) return syscall(SYS_pread64, file, data, size, offset);
  AROUND(READS, result, syscall(SYS_pread64, file, data, fate == HALF ? (size + 1) / 2 : size, offset))
  note("read", READS, result, "%d\t%s", file, names[file]);
  return result;
}
ssize_t pread(int file, void *data, size_t size, off_t offset) { return do_pread(file, data, size, offset); }
ssize_t pread64(int file, void *data, size_t size, off64_t offset) { return do_pread(file, data, size, offset); }

/* Python gives one buffer, and calls preadv2 where there is one. */
static ssize_t do_preadv(int file, const struct iovec *parts, int count, off_t offset, int flags) {
  if (count == 1 && !flags) return do_pread(file, parts->iov_base, parts->iov_len, offset);
  return syscall(SYS_preadv2, file, parts, (long)count, offset, 0L, flags);
}
ssize_t preadv(int file, const struct iovec *parts, int count, off_t offset) {
  return do_preadv(file, parts, count, offset, 0);
}
ssize_t preadv64(int file, const struct iovec *parts, int count, off64_t offset) {
  return do_preadv(file, parts, count, offset, 0);
}
ssize_t preadv2(int file, const struct iovec *parts, int count, off_t offset, int flags) {
  return do_preadv(file, parts, count, offset, flags);
}
ssize_t preadv64v2(int file, const struct iovec *parts, int count, off64_t offset, int flags) {
  return do_preadv(file, parts, count, offset, flags);
}

#define ON_FILE(name, kind, parameters, call)               \
  int name parameters {                                     \
    if (!name_of(file)) return (int)(call);                 \
    AROUND(kind, result, call)                              \
    note(#name, kind, result, "%d\t%s", file, names[file]); \
    return (int)result;                                     \
  }
ON_FILE(fsync, SYNCS, (int file), syscall(SYS_fsync, file))
ON_FILE(fdatasync, SYNCS, (int file), syscall(SYS_fdatasync, file))
ON_FILE(fstat, READS, (int file, struct stat *found), syscall(SYS_fstat, file, found))
ON_FILE(fstat64, READS, (int file, struct stat64 *found), syscall(SYS_fstat, file, found))

static int do_truncate(int file, long size) {
  if (!name_of(file)) return (int)syscall(SYS_ftruncate, file, size);
  AROUND(WRITES, result, syscall(SYS_ftruncate, file, size))
  note("ftruncate", WRITES, result, "%d\t%s\t%ld", file, names[file], size);
  return (int)result;
}
int ftruncate(int file, off_t size) { return do_truncate(file, size); }
int ftruncate64(int file, off64_t size) { return do_truncate(file, size); }

static off_t do_seek(int file, off_t offset, int whence) {
  if (!name_of(file)) return syscall(SYS_lseek, file, offset, whence);
  AROUND(READS, result, syscall(SYS_lseek, file, offset, whence))
  note("lseek", READS, result, "%d\t%s", file, names[file]);
  return result;
}
off_t lseek(int file, off_t offset, int whence) { return do_seek(file, offset, whence); }
off64_t lseek64(int file, off64_t offset, int whence) { return do_seek(file, offset, whence); }

#define ON_PATH(name, kind, parameters, call)               \
  int name parameters {                                     \
    if (!chosen(path)) return (int)(call);                  \
    AROUND(kind, result, call)                              \
    note(#name, kind, result, "%s", path);                  \
    return (int)result;                                     \
  }
ON_PATH(unlink, REMOVES, (const char *path), syscall(SYS_unlinkat, AT_FDCWD, path, 0))
ON_PATH(rmdir, REMOVES, (const char *path), syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR))
ON_PATH(mkdir, MAKES, (const char *path, mode_t mode), syscall(SYS_mkdirat, AT_FDCWD, path, mode))
#define STAT(name, type) \
  ON_PATH(name, READS, (const char *path, struct type *found), syscall(SYS_newfstatat, AT_FDCWD, path, found, 0))
#define LSTAT(name, type)                                                 \
  ON_PATH(name, READS, (const char *path, struct type *found),            \
          syscall(SYS_newfstatat, AT_FDCWD, path, found, AT_SYMLINK_NOFOLLOW))
STAT(stat, stat)
STAT(stat64, stat64)
LSTAT(lstat, stat)
LSTAT(lstat64, stat64)

#define FSTATAT(name, type)                                                                 \
  int name(int folder, const char *path, struct type *found, int flags) {                   \
    if (!chosen(path) && !name_of(folder)) return (int)syscall(SYS_newfstatat, folder, path, found, flags); \
    AROUND(READS, result, syscall(SYS_newfstatat, folder, path, found, flags))              \
    note("fstatat", READS, result, "%s", path);                                             \
    return (int)result;                                                                     \
  }
FSTATAT(fstatat, stat)
FSTATAT(fstatat64, stat64)

static int two_names(const char *call, const char *from, const char *to, long (*act)(const char *, const char *)) {
  if (!chosen(from) && !chosen(to)) return (int)act(from, to);
  AROUND(MAKES, result, act(from, to))
  note(call, MAKES, result, "%s\t%s", from, to);
  return (int)result;
}
static long do_link(const char *from, const char *to) { return syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0); }
static long do_rename(const char *from, const char *to) {
  return syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}
int link(const char *from, const char *to) { return two_names("link", from, to, do_link); }
int rename(const char *from, const char *to) { return two_names("rename", from, to, do_rename); }
int linkat(int here, const char *from, int there, const char *to, int flags) {
  if (here != AT_FDCWD || there != AT_FDCWD || flags) return (int)syscall(SYS_linkat, here, from, there, to, flags);
  return two_names("link", from, to, do_link);
}

#define REAL(name)                     \
  static __typeof__(name) *real;       \
  if (!real) real = dlsym(RTLD_NEXT, #name);

DIR *opendir(const char *path) {
  REAL(opendir)
  if (!chosen(path)) return real(path);
  int fate = meet(READS);
  DIR *folder = NULL;
  if (fate == FAIL) fail();
  else folder = real(path);
  if (folder) opened(dirfd(folder), path);
  note("opendir", READS, folder ? dirfd(folder) : -1, "%s", path);
  return folder;
}

static struct dirent *do_readdir(DIR *folder, struct dirent *(*real)(DIR *)) {
  int file = dirfd(folder);
  if (!name_of(file) || listed[file]) return real(folder);
  listed[file] = 1;
  if (meet(READS) == FAIL) {
    fail();
    note("readdir", READS, -1, "%s", names[file]);
    return NULL;
  }
  note("readdir", READS, 0, "%s", names[file]);
  return real(folder);
}
struct dirent *readdir(DIR *folder) {
  REAL(readdir)
  return do_readdir(folder, real);
}
struct dirent64 *readdir64(DIR *folder) {
  REAL(readdir64)
  return (struct dirent64 *)do_readdir(folder, (struct dirent *(*)(DIR *))real);
}

int closedir(DIR *folder) {
  REAL(closedir)
  closed(dirfd(folder));
  return real(folder);
}

#define STATVFS(name, type)                                   \
  int name(const char *path, struct type *found) {            \
    REAL(name)                                                \
    if (!chosen(path)) return real(path, found);              \
    AROUND(READS, result, real(path, found))                  \
    note("statvfs", READS, result, "%s", path);               \
    return (int)result;                                       \
  }
STATVFS(statvfs, statvfs)
STATVFS(statvfs64, statvfs64)

/* From here on calls below `path` count; without a path none does, and counting begins anew. */
void preload_watch(const char *path) {
  if (!path) {
    folder_count = 0;
    count = 0;
    first = last = 0;
    return;
  }
  if (folder_count == FOLDERS || strlen(path) >= sizeof folders[0]) abort();
  strcpy(folders[folder_count++], path);
}

/* Let `what` befall the calls from number `from` to `to` that are of one of the kinds `of`. */
void preload_arm(long from, long to, int what, int error, int of, long milliseconds) {
  first = from;
  last = to;
  action = what;
  number = error;
  kinds = of;
  delay_ms = milliseconds;
}

/* Write every call down in the open file `file` (-1: none), with the bytes that are written if `data`. */
void preload_note(int file, int data) {
  notes = file;
  with_data = data;
}

/* Write a line of the program's own down between the calls. */
void preload_mark(const char *text) { note("mark", 0, 0, "%s", text); }

long preload_count(void) { return count; }
