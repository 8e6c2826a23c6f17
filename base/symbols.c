// SPDX-License-Identifier: Apache-2.0
/* Kernel addresses -> names. Reads with pread only: it runs in the jail. */
#include "base/symbols.h"

#include <elf.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "base/auto.h"

enum { SYMBOLS_LOOKUPS = 256, SYMBOLS_MAX = 65536 };

static bool read_at(int fd, void *out, size_t size, uint64_t off)
{
    return off <= INT64_MAX &&
           pread(fd, out, size, (off_t)off) == (ssize_t)size;
}

static bool find_table(struct symbols *s)
{
    Elf64_Ehdr h;
    Elf64_Shdr sh;
    Elf64_Shdr names;
    if (!read_at(s->fd, &h, sizeof(h), 0) || h.e_shentsize != sizeof(sh))
        return false;
    for (unsigned i = 0; i < h.e_shnum; i++) {
        if (!read_at(s->fd, &sh, sizeof(sh), h.e_shoff + i * sizeof(sh)))
            return false;
        if (sh.sh_type != SHT_SYMTAB || sh.sh_link >= h.e_shnum)
            continue;
        if (!read_at(s->fd, &names, sizeof(names),
                     h.e_shoff + sh.sh_link * sizeof(sh)))
            return false;
        s->table_off = sh.sh_offset;
        s->table_count = sh.sh_size / sizeof(Elf64_Sym);
        s->names_off = names.sh_offset;
        s->names_size = names.sh_size;
        return s->table_count <= SYMBOLS_MAX;
    }
    return false;
}

void symbols_init(struct symbols *s, int fd)
{
    *s = (struct symbols){.fd = fd, .lookups = SYMBOLS_LOOKUPS};
    if (fd >= 0 && !find_table(s))
        s->fd = -1;
}

/* The last code symbol at or below `address`. */
static bool find_symbol(const struct symbols *s, uint64_t address,
                        Elf64_Sym *best)
{
    Elf64_Sym part[64];
    bool found = false;
    for (uint64_t at = 0; at < s->table_count; at += ARRAY_COUNT(part)) {
        uint64_t n = s->table_count - at;
        if (n > ARRAY_COUNT(part))
            n = ARRAY_COUNT(part);
        if (!read_at(s->fd, part, n * sizeof(part[0]),
                     s->table_off + at * sizeof(part[0])))
            return found;
        for (uint64_t i = 0; i < n; i++) {
            unsigned type = ELF64_ST_TYPE(part[i].st_info);
            if ((type != STT_FUNC && type != STT_NOTYPE) ||
                part[i].st_shndx == SHN_UNDEF ||
                part[i].st_shndx >= SHN_LORESERVE ||
                part[i].st_value > address ||
                (found && part[i].st_value < best->st_value))
                continue;
            *best = part[i];
            found = true;
        }
    }
    return found;
}

void symbols_find(struct symbols *s, uint64_t address, char *out, size_t room)
{
    Elf64_Sym sym;
    char name[64] = "";
    out[0] = '\0';
    if (s->fd < 0 || s->lookups == 0)
        return;
    s->lookups--;
    if (!find_symbol(s, address, &sym) || sym.st_name >= s->names_size)
        return;
    uint64_t left = s->names_size - sym.st_name;
    size_t size = left < sizeof(name) - 1 ? left : sizeof(name) - 1;
    if (!read_at(s->fd, name, size, s->names_off + sym.st_name))
        return;
    (void)snprintf(out, room, "%s+0x%llx", name,
                   (unsigned long long)(address - sym.st_value));
}
