// SPDX-License-Identifier: Apache-2.0
/* What the monitor writes: exit record, container log, kernel log, symbols. */
#include <elf.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/klog.h"
#include "tests/unit/vmm_driver.h"
#include "vmm/crilog.h"
#include "vmm/report.h"

/* All of a memfd as text. */
static char *content(int fd)
{
    static char text[8192];
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    assert_true(n >= 0);
    text[n] = '\0';
    return text;
}

static void record_is_json_whatever_the_guest_says(void **state)
{
    (void)state;
    struct {
        struct ctl_exit x;
        char msg[CTL_MSG_MAX];
    } frame = {.x = {.kind = CTL_PANIC,
                     .code = 3,
                     .user_tsc = UINT64_MAX,
                     .msg_size = UINT32_MAX}};
    for (int i = 0; i < CTL_MSG_MAX; i++)
        frame.msg[i] = (char)i;
    struct report r;
    char json[REPORT_JSON_MAX];
    assert_true(report_from_guest(&r, &frame, sizeof(frame)));
    size_t size = report_json(&r, json);
    assert_true(size < sizeof(json) && json[size - 1] == '\n');
    json_error_t je;
    json_t *o = json_loadb(json, size, JSON_ALLOW_NUL, &je);
    assert_non_null(o);
    assert_string_equal(json_string_value(json_object_get(o, "kind")), "panic");
    assert_int_equal(json_string_length(json_object_get(o, "message")),
                     256 + 128); /* the upper half is two UTF-8 bytes each */
    json_decref(o);
    uint8_t out[CTL_FRAME_MAX];
    assert_int_equal(report_frame(&r, out), 8 + 48 + CTL_MSG_MAX);
    assert_false(report_from_guest(&r, &frame, sizeof(frame.x) - 1));
    frame.x.kind = 17;
    assert_false(report_from_guest(&r, &frame, sizeof(frame)));
}

static void container_log_splits_lines(void **state)
{
    (void)state;
    int fd = memfd_create("log", MFD_CLOEXEC);
    const struct crilog l = {fd, "stdout"};
    crilog_write(&l, "a\n\nbc", 5);
    unsigned y;
    unsigned mo;
    unsigned d;
    char *text = content(fd);
    assert_int_equal(sscanf(text, "%4u-%2u-%2uT", &y, &mo, &d), 3);
    assert_true(y >= 2024 && mo >= 1 && mo <= 12 && d >= 1 && d <= 31);
    assert_int_equal(text[29], 'Z');
    assert_non_null(strstr(text, "Z stdout F a\n"));
    assert_non_null(strstr(text, "Z stdout F \n"));
    assert_non_null(strstr(text, "Z stdout P bc\n"));
    (void)close(fd);
}

/* An ELF file with one function, "panic", at 0x1000. */
static int symbol_file(void)
{
    struct {
        Elf64_Ehdr h;
        Elf64_Shdr s[2];
        Elf64_Sym sym[2];
        char names[8];
    } x = {.h = {.e_shentsize = sizeof(Elf64_Shdr),
                 .e_shnum = 2,
                 .e_shoff = sizeof(Elf64_Ehdr)},
           .names = "\0panic"};
    x.s[0] = (Elf64_Shdr){.sh_type = SHT_SYMTAB,
                          .sh_link = 1,
                          .sh_offset = offsetof(__typeof__(x), sym),
                          .sh_size = sizeof(x.sym)};
    x.s[1] = (Elf64_Shdr){.sh_type = SHT_STRTAB,
                          .sh_offset = offsetof(__typeof__(x), names),
                          .sh_size = sizeof(x.names)};
    x.sym[1] = (Elf64_Sym){.st_name = 1,
                           .st_shndx = 1,
                           .st_value = 0x1000,
                           .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC)};
    int fd = memfd_create("symbols", MFD_CLOEXEC);
    assert_int_equal(write(fd, &x, sizeof(x)), sizeof(x));
    return fd;
}

static void kernel_log_is_cleaned_and_symbolised(void **state)
{
    (void)state;
    int fd = memfd_create("log", MFD_CLOEXEC);
    int symbols = symbol_file();
    static struct klog k;
    static const char text[] = "at [<0000000000001010>] and "
                               "[<0000000000000001>] [<12>] [<\033[2J\n"
                               "half";
    klog_init(&k, fd, symbols);
    klog_write(&k, text, sizeof(text) - 1);
    assert_string_equal(content(fd),
                        "guest: at [<0000000000001010>] panic+0x10 and "
                        "[<0000000000000001>] [<12>] [<?[2J\n");
    klog_flush(&k);
    assert_non_null(strstr(content(fd), "guest: half\n"));
    (void)close(fd);
    (void)close(symbols);
}

static void kernel_log_is_bounded(void **state)
{
    (void)state;
    int fd = memfd_create("log", MFD_CLOEXEC);
    static struct klog k;
    static char text[65536];
    klog_init(&k, fd, -1);
    memset(text, '[', sizeof(text));
    for (int i = 0; i < 200; i++)
        klog_write(&k, text, sizeof(text));
    off_t size = lseek(fd, 0, SEEK_END);
    assert_true(size > (1 << 20) && size < (6 << 20));
    (void)close(fd);
}

static void symbols_survive_rubbish(void **state)
{
    (void)state;
    struct symbols s;
    char out[96];
    int fd = memfd_create("rubbish", MFD_CLOEXEC);
    unsigned char bytes[4096];
    for (unsigned round = 0; round < 64; round++) {
        for (unsigned i = 0; i < sizeof(bytes); i++)
            bytes[i] = (unsigned char)(round * 31 + i * (round + 7));
        assert_int_equal(pwrite(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
        symbols_init(&s, fd);
        symbols_find(&s, 0x1000, out, sizeof(out));
    }
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(record_is_json_whatever_the_guest_says),
        cmocka_unit_test(container_log_splits_lines),
        cmocka_unit_test(kernel_log_is_cleaned_and_symbolised),
        cmocka_unit_test(kernel_log_is_bounded),
        cmocka_unit_test(symbols_survive_rubbish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
