// SPDX-License-Identifier: Apache-2.0
/* Formatted text. */
#include "guest/core/klib.h"
#include "guest/core/types.h"

struct out {
    char *to;
    size_t size; /* room in `to`, terminator included */
    size_t used; /* characters produced, kept or not */
};

struct spec {
    bool left, zero, space, plus, alt;
    int width, precision; /* precision -1: none */
    unsigned bytes;       /* size of the integer argument */
};

static void out_char(struct out *o, char c)
{
    if (o->used + 1 < o->size)
        o->to[o->used] = c;
    o->used++;
}

static void out_pad(struct out *o, char c, int n)
{
    while (n-- > 0)
        out_char(o, c);
}

static void out_text(struct out *o, const struct spec *s, const char *text,
                     size_t len)
{
    int pad = s->width - (int)len;
    if (!s->left)
        out_pad(o, ' ', pad);
    for (size_t i = 0; i < len; i++)
        out_char(o, text[i]);
    if (s->left)
        out_pad(o, ' ', pad);
}

static void out_number(struct out *o, const struct spec *s, uint64_t v,
                       bool negative, unsigned base)
{
    bool upper = (base & 0x80) != 0;
    base &= 0x7f;
    char digits[24];
    int n = 0;
    do {
        unsigned d = (unsigned)(v % base);
        digits[n++] = (char)(d < 10 ? '0' + d : (upper ? 'A' : 'a') + d - 10);
        v /= base;
    } while (v != 0);

    char sign = (char)(negative ? '-' : s->plus ? '+' : s->space ? ' ' : 0);
    const char *prefix = s->alt && base == 16 ? "0x" : "";
    int zeros = s->precision > n ? s->precision - n : 0;
    int total = n + zeros + (sign != 0) + (int)strlen(prefix);
    bool zero = s->zero && !s->left && s->precision < 0;
    if (!s->left && !zero)
        out_pad(o, ' ', s->width - total);
    if (sign != 0)
        out_char(o, sign);
    for (; *prefix != '\0'; prefix++)
        out_char(o, *prefix);
    if (zero)
        out_pad(o, '0', s->width - total);
    out_pad(o, '0', zeros);
    while (n > 0)
        out_char(o, digits[--n]);
    if (s->left)
        out_pad(o, ' ', s->width - total);
}

static const char *parse_flags(const char *f, struct spec *s)
{
    for (;; f++) {
        switch (*f) {
        case '-': s->left = true; break;
        case '0': s->zero = true; break;
        case ' ': s->space = true; break;
        case '+': s->plus = true; break;
        case '#': s->alt = true; break;
        default: return f;
        }
    }
}

static const char *parse_number(const char *f, int *out, va_list *ap)
{
    if (*f == '*') {
        *out = va_arg(*ap, int);
        return f + 1;
    }
    int n = 0;
    while (*f >= '0' && *f <= '9')
        n = n * 10 + (*f++ - '0');
    *out = n;
    return f;
}

static const char *parse_size(const char *f, struct spec *s)
{
    s->bytes = sizeof(int);
    for (;; f++) {
        if (*f == 'h')
            s->bytes = s->bytes == 4 ? 2 : 1;
        else if (*f == 'l' || *f == 'z')
            s->bytes = 8;
        else
            return f;
    }
}

static void out_integer(struct out *o, const struct spec *s, char kind,
                        va_list *ap)
{
    uint64_t v =
        s->bytes == 8 ? va_arg(*ap, uint64_t) : (uint64_t)va_arg(*ap, unsigned);
    unsigned shift = 64 - 8 * s->bytes;
    if (kind == 'd' || kind == 'i') {
        int64_t n = (int64_t)(v << shift) >> shift;
        uint64_t magnitude = n < 0 ? -(uint64_t)n : (uint64_t)n;
        out_number(o, s, magnitude, n < 0, 10);
        return;
    }
    v = v << shift >> shift;
    out_number(o, s, v, false,
               kind == 'x'   ? 16
               : kind == 'X' ? 16 | 0x80
               : kind == 'o' ? 8
                             : 10);
}

static void out_directive(struct out *o, struct spec *s, char kind, va_list *ap)
{
    switch (kind) {
    case 's': {
        const char *text = va_arg(*ap, const char *);
        if (text == NULL)
            text = "(null)";
        size_t max = s->precision >= 0 ? (size_t)s->precision : SIZE_MAX;
        out_text(o, s, text, strnlen(text, max));
        break;
    }
    case 'c': {
        char c = (char)va_arg(*ap, int);
        out_text(o, s, &c, 1);
        break;
    }
    case 'p':
        s->alt = true;
        out_number(o, s, (uintptr_t)va_arg(*ap, void *), false, 16);
        break;
    case '%': out_char(o, '%'); break;
    default: out_integer(o, s, kind, ap); break;
    }
}

int kvsnprintf(char *to, size_t size, const char *fmt, va_list ap)
{
    struct out o = {to, size, 0};
    va_list args;
    va_copy(args, ap);
    for (const char *f = fmt; *f != '\0'; f++) {
        if (*f != '%') {
            out_char(&o, *f);
            continue;
        }
        struct spec s = {.precision = -1};
        f = parse_flags(f + 1, &s);
        f = parse_number(f, &s.width, &args);
        if (s.width < 0) {
            s.left = true;
            s.width = -s.width;
        }
        if (*f == '.')
            f = parse_number(f + 1, &s.precision, &args);
        f = parse_size(f, &s);
        if (*f == '\0')
            break;
        out_directive(&o, &s, *f, &args);
    }
    va_end(args);
    if (size > 0)
        to[MIN(o.used, size - 1)] = '\0';
    return (int)o.used;
}

int ksnprintf(char *to, size_t size, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = kvsnprintf(to, size, fmt, ap);
    va_end(ap);
    return n;
}

size_t kstrcpy(char *to, const char *from, size_t size)
{
    size_t len = strlen(from);
    if (size > 0) {
        size_t n = MIN(len, size - 1);
        memcpy(to, from, n);
        to[n] = '\0';
    }
    return len;
}
