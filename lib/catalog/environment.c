/* SPDX-License-Identifier: MIT */
/*
 * How we use LMDB: one file, its default sync mode and no other (a writable map dies of a full
 * disk, the lazier modes lose or corrupt), short transactions that belong to no thread, a large
 * fixed map that is address space only. An environment is open at most once a process, because
 * closing any descriptor of the lock file gives up the locks of all.
 */
#include "catalog/environment.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "catalog/gate.h"

#define MAP_SIZE ((size_t)64 << 30)
#define MAP_SIZE_LEAST ((size_t)16 << 20)

int kfl__environment_fail(int answer, const char *operation, const char *path)
{
    assert(answer != 0);
    if (answer == KFL_E_INTR)
        return answer;
    if (answer == EDQUOT)
        answer = ENOSPC;
    if (answer > 0 && answer != EINVAL)
        return kfl__fail_errno(0, answer, "catalog %s: %s", path, operation);

    int code = KFL_E_IO;
    const char *remedy = "";
    switch (answer) {
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
        code = KFL_E_NO_SPACE;
        break;
    case MDB_READERS_FULL:
        code = KFL_E_BUSY;
        break;
    case MDB_VERSION_MISMATCH:
        code = KFL_E_VERSION;
        break;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_CURSOR_FULL:
        code = KFL_E_CORRUPT;
        remedy = KFL_CATALOG_REMEDY;
        break;
    default:
        break;
    }
    kfl__fail(code, "catalog %s: %s: %s%s", path, operation, mdb_strerror(answer), remedy);
    return kfl__fail_in(code, path);
}

static int open_with_map(const char *path, size_t map_size, bool read_only, uint32_t file_mode,
                         unsigned more_flags, MDB_env **out_env)
{
    MDB_env *env;
    int answer = mdb_env_create(&env);
    if (answer != 0)
        return answer;
    unsigned flags = MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD | more_flags;
    if (read_only)
        flags |= MDB_RDONLY;
    answer = mdb_env_set_maxreaders(env, KFL_READERS_MAX);
    if (answer == 0)
        answer = mdb_env_set_mapsize(env, map_size);
    if (answer == 0)
        answer = mdb_env_open(env, path, flags, file_mode);
    if (answer != 0) {
        mdb_env_close(env); /* also after a failed open: LMDB's rule */
        return answer;
    }
    *out_env = env;
    return 0;
}

/*
 * Where the address space is limited, the map takes a quarter of the largest half, quarter, … of
 * ours that fits: the program has other uses for the rest.
 */
static int open_with_fitting_map(const char *path, size_t map_size, bool read_only,
                                 uint32_t file_mode, unsigned more_flags, MDB_env **out_env)
{
    size_t size = map_size;
    int answer = open_with_map(path, size, read_only, file_mode, more_flags, out_env);
    /* Valgrind answers EINVAL for a map that is too large for it. */
    while ((answer == ENOMEM || answer == EINVAL) && size / 2 >= MAP_SIZE_LEAST) {
        size /= 2;
        answer = open_with_map(path, size, read_only, file_mode, more_flags, out_env);
    }
    if (answer != 0 || size == map_size)
        return answer;
    mdb_env_close(*out_env);
    size = size / 4 > MAP_SIZE_LEAST ? size / 4 : MAP_SIZE_LEAST;
    return open_with_map(path, size, read_only, file_mode, more_flags, out_env);
}

int kfl__environment_open(const char *path, int64_t map_size, bool read_only, uint32_t file_mode,
                          struct kfl__environment *environment)
{
    size_t size = map_size != 0 ? (size_t)map_size : MAP_SIZE;
    MDB_env *env = NULL;
    int answer = open_with_fitting_map(path, size, read_only, file_mode, 0, &env);
    /* The lock file may be what we may not write. Rows are hashed, and looks are short. */
    if (read_only && (answer == EACCES || answer == EPERM || answer == EROFS))
        answer = open_with_fitting_map(path, size, true, file_mode, MDB_NOLOCK, &env);
    if (answer != 0)
        return kfl__environment_fail(answer, "open", path);

    environment->env = env;
    MDB_txn *mdb = NULL;
    answer = kfl__environment_begin(environment, true, &mdb);
    if (answer == 0) {
        answer = mdb_dbi_open(mdb, NULL, 0, &environment->rows);
        mdb_txn_abort(mdb);
    }
    if (answer != 0) {
        kfl__environment_close(environment);
        return kfl__environment_fail(answer, "open", path);
    }
    return 0;
}

void kfl__environment_close(struct kfl__environment *environment)
{
    if (environment->env != NULL)
        mdb_env_close(environment->env);
    environment->env = NULL;
}

int kfl__environment_begin(struct kfl__environment *environment, bool read_only, MDB_txn **out_mdb)
{
    assert(environment->env != NULL);
    unsigned flags = read_only ? MDB_RDONLY : 0;
    /* A writer too: where the one before it was killed LMDB looks through the readers. */
    bool entered;
    int answer = kfl__gate_enter(environment->readers, KFL_RANK_LEAF, &entered);
    if (answer != 0)
        return answer;
    answer = mdb_txn_begin(environment->env, NULL, flags, out_mdb);
    if (answer == MDB_READERS_FULL || answer == MDB_BAD_RSLOT) {
        int dead;
        answer = mdb_reader_check(environment->env, &dead);
        if (answer == 0)
            answer = mdb_txn_begin(environment->env, NULL, flags, out_mdb);
    }
    kfl__gate_leave(environment->readers, KFL_RANK_LEAF, entered);
    return answer;
}

int kfl__environment_clear_readers(struct kfl__environment *environment)
{
    int dead;
    bool entered;
    int answer = kfl__gate_enter(environment->readers, KFL_RANK_LEAF, &entered);
    if (answer != 0)
        return answer;
    answer = mdb_reader_check(environment->env, &dead);
    kfl__gate_leave(environment->readers, KFL_RANK_LEAF, entered);
    return answer;
}

int kfl__environment_grow(struct kfl__environment *environment)
{
    MDB_envinfo info;
    MDB_stat stat;
    int answer = mdb_env_info(environment->env, &info);
    if (answer == 0)
        answer = mdb_env_stat(environment->env, &stat);
    if (answer != 0)
        return answer;
    size_t needed = (info.me_last_pgno + 1) * stat.ms_psize;
    size_t size = info.me_mapsize;
    while (size <= needed)
        size *= 2;
    return mdb_env_set_mapsize(environment->env, size);
}
