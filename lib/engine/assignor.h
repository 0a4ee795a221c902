/* SPDX-License-Identifier: MIT */
/*
 * Members and topics in, partitions out: Kafka's range, roundrobin, sticky and cooperative-sticky.
 *
 * Pure: no I/O, no clock, no lock; the same input gives the same output, in whatever order the
 * members are named. Racks are not known.
 */
#ifndef KFL_ENGINE_ASSIGNOR_H
#define KFL_ENGINE_ASSIGNOR_H

#include <stddef.h>
#include <stdint.h>

enum {
    KFL_ASSIGNOR_RANGE,
    KFL_ASSIGNOR_ROUNDROBIN,
    KFL_ASSIGNOR_STICKY,
    KFL_ASSIGNOR_COOPERATIVE_STICKY, /* its target is sticky's; see kfl__assignment_adjust() */
    KFL_ASSIGNOR_COUNT
};

/* Kafka's "no generation": what a member that never had an assignment claims with. */
#define KFL_ASSIGNOR_NO_GENERATION (-1)

/* All structs of the input are borrowed for the call. */
struct kfl__assignor_topic {
    const char *name;        /* unique in the list */
    int32_t partition_count; /* 0: not there (yet), nothing of it is assigned */
};

struct kfl__assignor_partition {
    int32_t topic; /* its place in the list of topics */
    int32_t partition;
};

struct kfl__assignor_member {
    const char *member_id;   /* unique in the list */
    const char *instance_id; /* group.instance.id, NULL for a dynamic member */
    const int32_t *topics;   /* subscribed: places in the list of topics, each once, any order */
    size_t topic_count;
    /*
     * What the member has had, of use to sticky and cooperative-sticky: in the order it was given,
     * each once. Partitions that are gone or no longer subscribed may be among them.
     */
    const struct kfl__assignor_partition *owned;
    size_t owned_count;
    int32_t generation; /* the one it has had them in, or KFL_ASSIGNOR_NO_GENERATION */
};

/* Owned by who asked for it: one block, given back with kfl__assignment_destroy(). */
struct kfl__assignment {
    size_t member_count;
    size_t partition_count;
    const size_t *starts; /* member_count + 1 of them, the last is partition_count */
    const struct kfl__assignor_partition
        *partitions; /* those of members[i]: starts[i] to starts[i + 1] */
};

/* Kafka's name of it: "range", "roundrobin", "sticky", "cooperative-sticky". */
const char *kfl__assignor_name(int32_t kind);
/* KFL_ASSIGNOR_..., or KFL_E_UNSUPPORTED for a name that is none of ours. */
int32_t kfl__assignor_find(const char *name);

/*
 * The target: what each member is to own, parallel to `members`, each member's partitions in the
 * order in which Kafka's assignor lists them. No members: an empty assignment.
 *
 * Returns 0 or KFL_E_NOMEM.
 */
int kfl__assignor_assign(int32_t kind, const struct kfl__assignor_topic *topics, size_t topic_count,
                         const struct kfl__assignor_member *members, size_t member_count,
                         struct kfl__assignment **out_assignment);

/*
 * Cooperative-sticky's first round: the target without what another member still claims to own.
 * Who gives up a partition has a second round, in which its new owner gets it.
 *
 *   target  what kfl__assignor_assign() answered for the same members
 *
 * Returns the number of partitions left out, or KFL_E_NOMEM.
 */
int kfl__assignment_adjust(const struct kfl__assignment *target,
                           const struct kfl__assignor_topic *topics, size_t topic_count,
                           const struct kfl__assignor_member *members,
                           struct kfl__assignment **out_assignment);

/* Takes NULL. */
void kfl__assignment_destroy(struct kfl__assignment *assignment);

/* The assignors that a member can work with, the one it likes best first. */
struct kfl__assignor_ballot {
    const char *const *names; /* no name twice; of more than 64 the rest is not looked at */
    size_t name_count;
};

/*
 * The assignor of a group: among those that all members list, the one that most members like best.
 * Of two with as many votes, the one that the first ballot lists first.
 *
 * Returns its name, borrowed from ballots[0]; NULL when they have none in common: the group's
 * KFL_E_INCONSISTENT_GROUP_PROTOCOL. count > 0.
 */
const char *kfl__assignor_choose(const struct kfl__assignor_ballot *ballots, size_t count);

#endif
