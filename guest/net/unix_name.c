// SPDX-License-Identifier: Apache-2.0
/* Names of AF_UNIX sockets: in the file system and abstract. unix(7). */
#include "abi/linux/errno.h"
#include "abi/linux/stat.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/fs/file.h"
#include "guest/fs/inode.h"
#include "guest/fs/namei.h"
#include "guest/net/unix_impl.h"

#define PATH_AT   offsetof(struct lx_sockaddr_un, path)
#define SUN_MAX   sizeof(struct lx_sockaddr_un)
#define BUCKETS   64u
#define AUTO_MASK 0xfffffu

static struct list buckets[BUCKETS]; /* struct unix_sock.hash_node */

/* --- the table; unix_lock held --- */

static struct list *bucket_at(uint64_t hash)
{
    struct list *b = &buckets[hash % BUCKETS];
    if (b->next == NULL)
        list_init(b);
    return b;
}

static struct list *bucket_of_inode(const struct inode *i)
{
    return bucket_at((uintptr_t)i / sizeof(*i));
}

static struct list *bucket_of_addr(const struct net_addr *a)
{
    uint64_t h = 5381;
    for (uint32_t i = 0; i < a->size; i++)
        h = h * 33 + a->data[i];
    return bucket_at(h);
}

/* Sockets of different types do not share abstract names. */
static struct unix_sock *find_abstract(const struct net_addr *a, uint16_t type)
{
    struct list *b = bucket_of_addr(a);
    LIST_FOR(it, b)
    {
        struct unix_sock *u = LIST_ENTRY(it, struct unix_sock, hash_node);
        if (u->inode == NULL && u->s.type == type &&
            u->name->addr.size == a->size &&
            memcmp(u->name->addr.data, a->data, a->size) == 0)
            return u;
    }
    return NULL;
}

static struct unix_sock *find_inode(const struct inode *i)
{
    struct list *b = bucket_of_inode(i);
    LIST_FOR(it, b)
    {
        struct unix_sock *u = LIST_ENTRY(it, struct unix_sock, hash_node);
        if (u->inode == i)
            return u;
    }
    return NULL;
}

void unix_unbind(struct unix_sock *u)
{
    list_remove(&u->hash_node);
    u->inode = NULL;
}

/* --- addresses --- */

int unix_addr_check(const struct net_addr *a)
{
    return a->size <= PATH_AT || a->size > SUN_MAX || a->family != LX_AF_UNIX
               ? -EINVAL
               : 0;
}

static bool addr_is_abstract(const struct net_addr *a)
{
    return a->data[PATH_AT] == '\0';
}

static void addr_path(const struct net_addr *a, char path[SUN_MAX])
{
    size_t n = a->size - PATH_AT;
    memcpy(path, a->data + PATH_AT, n);
    path[n] = '\0';
}

static int find_path(const struct net_addr *a, uint16_t type,
                     struct unix_sock **out)
{
    char name[SUN_MAX];
    struct path p;
    addr_path(a, name);
    int r = path_walk(AT_FDCWD, name, PATH_FOLLOW, &p);
    if (r < 0)
        return r;
    const struct inode *i = p.dentry->inode;
    r = path_access(&p, 2);
    if (r == 0 && (i->mode & LX_S_IFMT) != LX_S_IFSOCK)
        r = -ECONNREFUSED;
    spin_lock(&unix_lock);
    struct unix_sock *u = r == 0 ? find_inode(i) : NULL;
    if (u != NULL && u->s.type != type)
        r = -EPROTOTYPE;
    else if (u != NULL)
        unix_get(u);
    spin_unlock(&unix_lock);
    path_put(&p);
    if (r == 0 && u == NULL)
        r = -ECONNREFUSED;
    *out = u;
    return r;
}

int unix_find(const struct net_addr *a, uint16_t type, struct unix_sock **out)
{
    if (!addr_is_abstract(a))
        return find_path(a, type, out);
    spin_lock(&unix_lock);
    *out = find_abstract(a, type);
    if (*out != NULL)
        unix_get(*out);
    spin_unlock(&unix_lock);
    return *out != NULL ? 0 : -ECONNREFUSED;
}

/* --- bind --- */

static struct unix_name *name_new(const struct net_addr *a)
{
    struct unix_name *n = kzalloc(sizeof(*n));
    if (n != NULL) {
        n->refs = 1;
        n->addr = *a;
    }
    return n;
}

static int bind_abstract(struct unix_sock *u, const struct net_addr *a)
{
    struct unix_name *n = name_new(a);
    if (n == NULL)
        return -ENOMEM;
    int r = 0;
    spin_lock(&unix_lock);
    if (u->name != NULL) {
        r = -EINVAL;
    } else if (find_abstract(a, u->s.type) != NULL) {
        r = -EADDRINUSE;
    } else {
        u->name = n;
        list_add_tail(bucket_of_addr(a), &u->hash_node);
    }
    spin_unlock(&unix_lock);
    if (r < 0)
        kfree(n);
    return r;
}

int unix_autobind(struct unix_sock *u)
{
    static const char hex[] = "0123456789abcdef";
    struct net_addr a = {.size = PATH_AT + 6};
    int r = -ENOSPC;
    uint32_t first = (uint32_t)krandom_u64();
    a.family = LX_AF_UNIX;
    if (__atomic_load_n(&u->name, __ATOMIC_ACQUIRE) != NULL)
        return 0;
    for (uint32_t i = 0; i <= AUTO_MASK; i++) {
        uint32_t v = (first + i) & AUTO_MASK;
        for (unsigned d = 0; d < 5; d++)
            a.data[PATH_AT + 1 + d] = (uint8_t)hex[v >> (16 - 4 * d) & 0xf];
        r = bind_abstract(u, &a);
        if (r != -EADDRINUSE)
            break;
    }
    if (r == -EADDRINUSE)
        return -ENOSPC;
    return r == -EINVAL ? 0 : r; /* somebody else named it meanwhile */
}

static int bind_path(struct unix_sock *u, struct net_addr *a)
{
    char path[SUN_MAX];
    struct path p;
    addr_path(a, path);
    /* The name ends at its first NUL, which counts. */
    a->size = (uint32_t)(PATH_AT + strlen(path) + 1);
    struct unix_name *n = name_new(a);
    if (n == NULL)
        return -ENOMEM;
    n->addr.data[a->size - 1] = '\0';
    uint32_t mode = u->s.file->inode->mode & 0777;
    int r = fs_mknod(AT_FDCWD, path, LX_S_IFSOCK | mode, 0);
    if (r == -EEXIST)
        r = -EADDRINUSE;
    if (r == 0)
        r = path_walk(AT_FDCWD, path, 0, &p);
    if (r < 0) {
        kfree(n);
        return r;
    }
    spin_lock(&unix_lock);
    if (u->name == NULL) {
        u->name = n;
        u->path = p;
        u->inode = p.dentry->inode;
        list_add_tail(bucket_of_inode(u->inode), &u->hash_node);
    } else {
        r = -EINVAL;
    }
    spin_unlock(&unix_lock);
    if (r < 0) {
        (void)namei_unlink(AT_FDCWD, path, false);
        path_put(&p);
        kfree(n);
    }
    return r;
}

int unix_bind(struct socket *s, const struct net_addr *a)
{
    struct unix_sock *u = unix_of(s);
    struct net_addr copy = *a;
    if (a->size == PATH_AT && a->family == LX_AF_UNIX)
        return unix_autobind(u);
    int r = unix_addr_check(a);
    if (r < 0)
        return r;
    return addr_is_abstract(a) ? bind_abstract(u, a) : bind_path(u, &copy);
}

int unix_name_of(struct socket *s, bool peer, struct net_addr *out)
{
    const struct unix_sock *u = unix_of(s);
    int r = 0;
    spin_lock(&unix_lock);
    if (peer)
        u = u->peer;
    if (u == NULL)
        r = -ENOTCONN;
    else if (u->name != NULL)
        *out = u->name->addr;
    spin_unlock(&unix_lock);
    if (u != NULL && out->size == 0) {
        out->size = PATH_AT;
        out->family = LX_AF_UNIX;
    }
    return r;
}
