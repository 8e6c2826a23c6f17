// SPDX-License-Identifier: Apache-2.0
/* read, write and their positioned, vectored and copying forms; lseek,
 * fallocate, truncate, fsync; limits on file size. */
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#include "tests/guest/conform/t.h"

#ifndef FIGETBSZ
#define FIGETBSZ 2
#endif

#ifndef FALLOC_FL_KEEP_SIZE
#define FALLOC_FL_KEEP_SIZE      1
#define FALLOC_FL_PUNCH_HOLE     2
#define FALLOC_FL_COLLAPSE_RANGE 8
#define FALLOC_FL_ZERO_RANGE     16
#define FALLOC_FL_INSERT_RANGE   32
#endif
#ifndef SEEK_DATA
#define SEEK_DATA 3
#define SEEK_HOLE 4
#endif

static off_t size_of(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 ? st.st_size : -1;
}

static void plain(void)
{
    char b[64];
    int p[2], fd = t_file("f", 26);

    T("read", read(fd, b, 10));
    T("read_rest", read(fd, b, 64));
    T("read_eof", read(fd, b, 64));
    T("read_zero", read(fd, b, 0));
    T("read_ptr_eof", SC(read, fd, BAD_PTR, 10));
    lseek(fd, 0, SEEK_SET);
    T("read_ptr", SC(read, fd, BAD_PTR, 10));
    T("read_kernel_ptr", SC(read, fd, KERNEL_PTR, 10));
    T("read_ptr_zero", SC(read, fd, BAD_PTR, 0));
    T("read_huge", SC(read, fd, b, (size_t)-1));
    T("read_neg", SC(read, fd, b, SSIZE_MAX));
    T("write_ptr", SC(write, fd, BAD_PTR, 10));
    T("write_zero", write(fd, b, 0));
    T("read_dir", read(open(".", O_RDONLY), b, 1));
    T("read_bad", read(999, b, 1));
    T("read_neg_fd", read(-1, b, 1));
    T("pread", pread(fd, b, 5, 20));
    T("pread_short", pread(fd, b, 10, 20));
    T("pread_past", pread(fd, b, 10, 100));
    T("pread_neg", pread(fd, b, 10, -1));
    T("pwrite_neg", pwrite(fd, b, 10, -1));
    T("pwrite_past", pwrite(fd, "xyz", 3, 100));
    T("pwrite_size", size_of(fd));
    T("pread_hole", pread(fd, b, 64, 50));
    YES("hole_zero", b[0] == 0 && b[49] == 0 && b[50] == 'x');
    pipe(p);
    T("pread_pipe", pread(p[0], b, 1, 0));
    T("pwrite_pipe", pwrite(p[1], b, 1, 0));
    T("seek_pipe", lseek(p[0], 0, SEEK_CUR));
    T("pwrite_max", pwrite(fd, "x", 1, LLONG_MAX));
    T("pwrite_max2", pwrite(fd, "xx", 2, LLONG_MAX - 1));
    int ap = open("f", O_WRONLY | O_APPEND);
    T("append_pos", lseek(ap, 0, SEEK_CUR));
    T("append_write", write(ap, "end", 3));
    T("append_pos2", lseek(ap, 0, SEEK_CUR));
    T("append_pwrite", pwrite(ap, "!", 1, 0));
    T("append_size", size_of(fd));
}

static void seeks(void)
{
    int fd = t_file("s", 100);

    T("set", lseek(fd, 10, SEEK_SET));
    T("cur", lseek(fd, 5, SEEK_CUR));
    T("end", lseek(fd, -5, SEEK_END));
    T("past", lseek(fd, 1000, SEEK_SET));
    T("neg", lseek(fd, -1, SEEK_SET));
    T("cur_neg", lseek(fd, -2000, SEEK_CUR));
    T("end_neg", lseek(fd, -101, SEEK_END));
    T("whence", lseek(fd, 0, 77));
    T("kept", lseek(fd, 0, SEEK_CUR));
    T("overflow", lseek(fd, LLONG_MAX, SEEK_CUR));
    T("max", lseek(fd, LLONG_MAX, SEEK_SET) >= 0 ? 0 : -1);
    T("data", lseek(fd, 0, SEEK_DATA));
    T("hole", lseek(fd, 0, SEEK_HOLE));
    T("data_past", lseek(fd, 100, SEEK_DATA));
    T("hole_past", lseek(fd, 101, SEEK_HOLE));
    T("data_neg", lseek(fd, -1, SEEK_DATA));
    ftruncate(fd, 1 << 20);
    pwrite(fd, "x", 1, 512 << 10);
    T("data2", lseek(fd, 8192, SEEK_DATA));
    T("hole2", lseek(fd, 0, SEEK_HOLE));
    T("hole3", lseek(fd, 512 << 10, SEEK_HOLE));
    T("data3", lseek(fd, 600 << 10, SEEK_DATA));
    T("hole4", lseek(fd, 600 << 10, SEEK_HOLE));
    T("dev_null", lseek(open("/dev/null", O_RDWR), 5, SEEK_SET));
    T("dev_zero", lseek(open("/dev/zero", O_RDWR), 5, SEEK_SET));
    T("bad", lseek(999, 0, SEEK_SET));
}

static void vectors(void)
{
    char a[8] = "aaaaaaa", b[8] = "bbbbbbb";
    struct iovec v[4] = {{a, 4}, {NULL, 0}, {b, 3}, {a, 1}};
    struct iovec bad[2] = {{a, 4}, {BAD_PTR, 4}};
    struct iovec neg[2] = {{a, 4}, {b, (size_t)-1}};
    static struct iovec many[1025];
    int fd = t_file("v", 0);

    for (int i = 0; i < 1025; i++)
        many[i] = (struct iovec){a, 1};
    T("writev", writev(fd, v, 4));
    T("writev_zero", writev(fd, v, 0));
    T("writev_neg", SC(writev, fd, v, -1));
    T("writev_1024", writev(fd, many, 1024));
    T("writev_1025", SC(writev, fd, many, 1025));
    T("writev_ptr", SC(writev, fd, BAD_PTR, 1));
    T("writev_neg_len", writev(fd, neg, 2));
    ftruncate(fd, 0);
    lseek(fd, 0, SEEK_SET);
    T("writev_part", SC(writev, fd, bad, 2));
    T("writev_part_size", size_of(fd));
    T("writev_all_bad", SC(writev, fd, bad + 1, 1));
    lseek(fd, 0, SEEK_SET);
    T("readv", readv(fd, v, 3));
    lseek(fd, 0, SEEK_SET);
    T("readv_bad", SC(readv, fd, bad + 1, 1));
    T("preadv", preadv(fd, v, 1, 1));
    T("preadv_neg", preadv(fd, v, 1, -1));
    T("pwritev", pwritev(fd, v, 3, 2));
    T("preadv2_cur", SC(preadv2, fd, v, 1, -1L, -1L, 0));
    T("preadv2_pos", lseek(fd, 0, SEEK_CUR));
    T("preadv2_flag", SC(preadv2, fd, v, 1, 0, 0, 0x1000));
    T("preadv2_hipri", SC(preadv2, fd, v, 1, 0, 0, 1));
    T("preadv2_nowait", SC(preadv2, fd, v, 1, 0, 0, 8));
    T("pwritev2_append", SC(pwritev2, fd, v, 1, 0, 0, 0x10));
    T("pwritev2_append_size", size_of(fd));
    T("pwritev2_dsync", SC(pwritev2, fd, v, 1, 0, 0, 2));
    T("preadv2_append", SC(preadv2, fd, v, 1, 0, 0, 0x10));
    int p[2];
    pipe(p);
    T("preadv_pipe", preadv(p[0], v, 1, 0));
    T("preadv2_pipe_nowait", SC(preadv2, p[0], v, 1, -1L, -1L, 8));
    T("pwritev2_pipe", SC(pwritev2, p[1], v, 1, -1L, -1L, 0));
    T("preadv2_pipe", SC(preadv2, p[0], v, 1, -1L, -1L, 8));
}

static void copies(void)
{
    off_t off = 5;
    loff_t in = 0, out = 10;
    int p[2], from = t_file("from", 100), to = t_file("to", 0);

    T("sendfile", sendfile(to, from, NULL, 10));
    T("sendfile_pos", lseek(from, 0, SEEK_CUR));
    T("sendfile_off", sendfile(to, from, &off, 1000));
    T("sendfile_off_is", off);
    T("sendfile_off_pos", lseek(from, 0, SEEK_CUR));
    T("sendfile_eof", sendfile(to, from, &off, 1));
    off = -1;
    T("sendfile_neg", sendfile(to, from, &off, 1));
    T("sendfile_ptr", SC(sendfile, to, from, BAD_PTR, 1));
    T("sendfile_zero", sendfile(to, from, NULL, 0));
    pipe(p);
    off = 0;
    T("sendfile_pipe", sendfile(p[1], from, &off, 50));
    T("sendfile_from_pipe", sendfile(to, p[0], NULL, 5));
    T("sendfile_from_pipe_off", sendfile(to, p[0], &off, 5));
    T("sendfile_ro", sendfile(open("from", O_RDONLY), from, NULL, 1));
    T("sendfile_wo", sendfile(to, open("from", O_WRONLY), NULL, 1));
    T("sendfile_append",
      sendfile(open("to", O_WRONLY | O_APPEND), from, NULL, 1));
    T("sendfile_bad", sendfile(999, from, NULL, 1));
    T("sendfile_null",
      sendfile(open("/dev/null", O_WRONLY), from, &(off_t){0}, 100));
    T("copy", SC(copy_file_range, from, &in, to, &out, 20, 0));
    t_say("copy_pos", "%ld %ld", (long)in, (long)out);
    T("copy_eof", SC(copy_file_range, from, &(loff_t){100}, to, &out, 20, 0));
    T("copy_flags", SC(copy_file_range, from, &in, to, &out, 20, 1));
    in = 0, out = 5;
    T("copy_overlap", SC(copy_file_range, from, &in, from, &out, 20, 0));
    T("copy_pipe", SC(copy_file_range, p[0], NULL, to, NULL, 20, 0));
    T("copy_dir",
      SC(copy_file_range, open(".", O_RDONLY), NULL, to, NULL, 20, 0));
    T("copy_append", SC(copy_file_range, from, &in,
                        open("to", O_WRONLY | O_APPEND), NULL, 2, 0));
}

static long blocks(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 ? (long)st.st_blocks : -1;
}

static void sizes(void)
{
    char b[16];
    int fd = t_file("t", 100), ro = open("t", O_RDONLY), p[2];

    pipe(p);
    T("ftruncate", ftruncate(fd, 50));
    T("ftruncate_up", ftruncate(fd, 10000));
    T("ftruncate_zero", pread(fd, b, 16, 45) == 16 && b[5] == 0 && b[4] != 0);
    T("ftruncate_neg", ftruncate(fd, -1));
    T("ftruncate_ro", ftruncate(ro, 0));
    T("ftruncate_pipe", ftruncate(p[1], 0));
    T("ftruncate_dir", ftruncate(open(".", O_RDONLY), 0));
    T("ftruncate_null", ftruncate(open("/dev/null", O_RDWR), 0));
    T("truncate", truncate("t", 10));
    T("truncate_neg", truncate("t", -1));
    T("truncate_dir", truncate(".", 0));
    T("truncate_missing", truncate("no", 0));
    T("truncate_empty", truncate("", 0));
    T("truncate_ptr", SC(truncate, BAD_PTR, 0));
    mkfifo("ff", 0600);
    T("truncate_fifo", truncate("ff", 0));
    T("falloc", fallocate(fd, 0, 0, 8192));
    T("falloc_size", size_of(fd));
    T("falloc_blocks", blocks(fd));
    T("falloc_keep", fallocate(fd, FALLOC_FL_KEEP_SIZE, 8192, 8192));
    T("falloc_keep_size", size_of(fd));
    T("falloc_keep_blocks", blocks(fd));
    T("falloc_neg", fallocate(fd, 0, -1, 10));
    T("falloc_zero", fallocate(fd, 0, 0, 0));
    T("falloc_neg_len", fallocate(fd, 0, 0, -1));
    T("falloc_big", fallocate(fd, 0, LLONG_MAX, 10));
    T("falloc_ro", fallocate(ro, 0, 0, 10));
    T("falloc_pipe", fallocate(p[1], 0, 0, 10));
    T("falloc_dir", fallocate(open(".", O_RDONLY), 0, 0, 10));
    T("falloc_null", fallocate(open("/dev/null", O_RDWR), 0, 0, 10));
    T("falloc_mode", fallocate(fd, 0x1000, 0, 10));
    pwrite(fd, "0123456789abcdef", 16, 0);
    T("punch_no_keep", fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 10));
    T("punch", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 2, 3));
    pread(fd, b, 16, 0);
    YES("punch_is", b[1] == '1' && b[2] == 0 && b[4] == 0 && b[5] == '5');
    T("punch_page",
      fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
    T("punch_size", size_of(fd));
    T("fsync", fsync(fd));
    T("fsync_ro", fsync(ro));
    T("fsync_pipe", fsync(p[0]));
    T("fsync_dir", fsync(open(".", O_RDONLY)));
    T("fdatasync", fdatasync(fd));
    T("fdatasync_pipe", fdatasync(p[1]));
    T("fsync_bad", fsync(999));
    T("syncfs", SC(syncfs, fd));
    T("syncfs_bad", SC(syncfs, 999));
    T("sync_range", SC(sync_file_range, fd, 0, 0, 7));
    T("sync_range_flag", SC(sync_file_range, fd, 0, 0, 8));
    T("sync_range_neg", SC(sync_file_range, fd, -1, 0, 7));
    T("sync_range_pipe", SC(sync_file_range, p[0], 0, 0, 7));
    T("fadvise", SC(fadvise64, fd, 0, 0, 4));
    T("fadvise_bad", SC(fadvise64, fd, 0, 0, 77));
    T("fadvise_pipe", SC(fadvise64, p[0], 0, 0, 0));
    T("fadvise_badfd", SC(fadvise64, 999, 0, 0, 0));
    T("fadvise_neg", SC(fadvise64, fd, 0, -1, 0));
    T("readahead", SC(readahead, fd, 0, 4096));
    T("readahead_pipe", SC(readahead, p[0], 0, 4096));
    T("readahead_wo", SC(readahead, open("t", O_WRONLY), 0, 4096));
}

#define LIMIT (1 << 20) /* stdout may be a file, too */

static void file_limit(void)
{
    struct rlimit rl = {.rlim_cur = LIMIT, .rlim_max = LIMIT};
    char b[1500] = {0};
    int fd = t_file("lim", 0);

    T("fsize_set", setrlimit(RLIMIT_FSIZE, &rl));
    lseek(fd, LIMIT - 1000, SEEK_SET);
    t_catch(SIGXFSZ, 0);
    T("fsize_short", write(fd, b, 1500));
    T("fsize_none", write(fd, b, 1));
    T("fsize_signal", t_hits);
    T("fsize_truncate", ftruncate(fd, LIMIT + 1));
    T("fsize_signal2", t_hits);
    T("fsize_falloc", fallocate(fd, 0, 0, LIMIT + 1));
    T("fsize_signal3", t_hits);
    T("fsize_pwrite", pwrite(fd, b, 10, LIMIT - 5));
    T("fsize_pwrite_past", pwrite(fd, b, 10, LIMIT + 5));
    signal(SIGXFSZ, SIG_DFL);
    write(fd, b, 1);
    t_say("fsize_alive", "1");
}

static void null_devices(void)
{
    char b[8] = "1234567";
    int n = open("/dev/null", O_RDWR), z = open("/dev/zero", O_RDWR);
    int f = open("/dev/full", O_RDWR);

    T("null_read", read(n, b, 8));
    T("null_write", write(n, b, 8));
    T("null_write_ptr", SC(write, n, BAD_PTR, 8));
    T("zero_read", read(z, b, 8));
    YES("zero_is", b[0] == 0 && b[6] == 0);
    T("zero_read_ptr", SC(read, z, BAD_PTR, 8));
    T("zero_write", write(z, b, 8));
    T("full_read", read(f, b, 8));
    T("full_write", write(f, b, 8));
    T("full_write_zero", write(f, b, 0));
    T("random_write", write(open("/dev/urandom", O_RDWR), b, 8));
    T("random_read", read(open("/dev/random", O_RDONLY), b, 8));
}

/* fcntl(2) F_*_RW_HINT and ioctl(2) FIGETBSZ. */
static void hints(void)
{
    int fd = t_file("hint", 4), p[2], size = 0;
    uint64_t v = 7;

    T("hint_get", fcntl(fd, 1035, &v));
    T("hint_none", v);
    v = 3;
    T("hint_set", fcntl(fd, 1036, &v));
    v = 0;
    T("hint_again", fcntl(open("hint", O_RDONLY), 1035, &v));
    T("hint_is", v);
    v = 6;
    T("hint_big", fcntl(fd, 1036, &v));
    v = 1ul << 32;
    T("hint_huge", fcntl(fd, 1036, &v));
    T("hint_set_ptr", fcntl(fd, 1036, BAD_PTR));
    T("hint_get_ptr", fcntl(fd, 1035, BAD_PTR));
    T("hint_past", fcntl(fd, 1039, &v));
    fd = (int)SC(memfd_create, "x", 0); /* overlayfs has none */
    T("bsz", ioctl(fd, FIGETBSZ, &size));
    T("bsz_is", size);
    pipe(p);
    T("bsz_pipe", ioctl(p[0], FIGETBSZ, &size));
    T("bsz_ptr", ioctl(fd, FIGETBSZ, BAD_PTR));
}

int main(void)
{
    t_begin("fs_io");
    plain();
    seeks();
    vectors();
    copies();
    sizes();
    null_devices();
    hints();
    t_child("file_limit", file_limit);
    return 0;
}
