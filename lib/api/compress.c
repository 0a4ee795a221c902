/* SPDX-License-Identifier: MIT */
/* Which codec a batch gets, and the batch made smaller by it. */
#include "api/producer.h"
#include "base/hash.h"
#include "base/memory.h"
#include "format/codec.h"

int kfl__producer_codec(const kfl_producer *producer, const struct kfl__topic_shape *shape)
{
    int32_t type = shape->settings->compression_type;
    if (type == KFL_COMPRESSION_PRODUCER)
        type = producer->settings->compression_type;
    return type == KFL_COMPRESSION_LZ4 ? KFL_CODEC_LZ4 : type == KFL_COMPRESSION_ZSTD ? KFL_CODEC_ZSTD : KFL_CODEC_NONE;
}

int kfl__producer_pack(struct kfl__payload *payload, int codec, uint8_t **out_bytes)
{
    size_t bound = kfl__codec_bound(codec, payload->size), packed = 0;
    uint8_t *plain = payload->bytes == NULL ? kfl__alloc(payload->size) : NULL;
    uint8_t *bytes = kfl__alloc(bound);
    int r = bytes == NULL || (payload->bytes == NULL && plain == NULL) ? kfl__fail(KFL_E_NOMEM, "compression: out of memory") : 0;
    if (r == 0 && plain != NULL)
        payload->fill(payload, plain);
    if (r == 0)
        r = kfl__codec_pack(codec, plain != NULL ? plain : payload->bytes, payload->size, bytes, bound, &packed);
    kfl__free(plain);
    if (r < 0 || packed >= payload->size) {
        kfl__free(bytes);
        return r;
    }
    payload->unpacked_size = payload->size;
    payload->size = (uint32_t)packed;
    payload->flags |= (uint16_t)codec;
    payload->bytes = bytes;
    payload->hash = kfl__hash64(bytes, packed);
    *out_bytes = bytes;
    return 0;
}
