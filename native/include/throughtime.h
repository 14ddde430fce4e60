/* throughtime: recurrent layers over whole sequences, forward and backward, on the CPU.
 *
 * Every function takes plain structs of raw pointers, returns a status, keeps no state between calls and owns no
 * memory: scratch, saved activations and packed weights are the caller's, of the sizes that throughtime_measure tells.
 * All of it may be called from several threads at once. Sizes and strides count elements, not bytes; strides are free.
 *
 * Weights are torch's: weight_ih [gates * hidden, input], weight_hh [gates * hidden, hidden], contiguous, the gates of
 * a GRU being reset, update, new, those of an LSTM input, forget, cell, output.
 */
#ifndef THROUGHTIME_H
#define THROUGHTIME_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Raised whenever a struct or a meaning changes; every layer and product carries the one it was written for. */
#define THROUGHTIME_VERSION 1

/* Scratch, saves and packed weights begin at a multiple of this many bytes. */
#define THROUGHTIME_ALIGNMENT 64

enum throughtime_kind { THROUGHTIME_RNN_TANH, THROUGHTIME_RNN_RELU, THROUGHTIME_GRU, THROUGHTIME_LSTM };

/* In which numbers products are taken; sums, states and gates are float32 always. */
enum throughtime_precision { THROUGHTIME_FLOAT32, THROUGHTIME_BFLOAT16 };

/* Sets of vector instructions, each able to do what those before it do. */
enum throughtime_set {
    THROUGHTIME_BEST, /* the last one that this machine has */
    THROUGHTIME_BASELINE,
    THROUGHTIME_AVX2,
    THROUGHTIME_AVX512,
    THROUGHTIME_AVX512_BF16
};

enum throughtime_status {
    THROUGHTIME_OK,
    THROUGHTIME_WRONG_VERSION,
    THROUGHTIME_UNKNOWN_KIND,
    THROUGHTIME_UNKNOWN_PRECISION,
    THROUGHTIME_UNKNOWN_SET,
    THROUGHTIME_SET_NOT_HERE,       /* this machine, or this build, lacks the instructions asked for */
    THROUGHTIME_PRECISION_NOT_HERE, /* bfloat16 needs THROUGHTIME_AVX512_BF16 */
    THROUGHTIME_WRONG_SIZE,         /* time or batch below 0; input, hidden, output or threads below 1 */
    THROUGHTIME_TOO_LARGE,          /* some size in bytes does not fit into 63 bits */
    THROUGHTIME_WRONG_LENGTH,       /* a length outside 0 … time */
    THROUGHTIME_POINTER_MISSING,
    THROUGHTIME_MISALIGNED /* scratch, save or packed is not aligned to THROUGHTIME_ALIGNMENT */
};

/* One layer in one direction, and the sequences it runs over. */
typedef struct throughtime_layer {
    int32_t version;   /* THROUGHTIME_VERSION */
    int32_t kind;      /* throughtime_kind */
    int32_t precision; /* throughtime_precision */
    int32_t set;       /* throughtime_set */
    int32_t reverse;   /* 1: from the end to the beginning, each sequence from its own end */
    int32_t threads;   /* at most so many; small jobs take fewer. No number depends on it */
    int64_t time, batch, input, hidden;
    const float *weight_ih, *weight_hh;
    const float *bias_ih, *bias_hh; /* [gates * hidden]; NULL: none */
    const void *packed;             /* what throughtime_pack wrote from these weights; NULL: every forward packs anew */
    const int64_t *lengths;         /* [batch]: how many steps of each sequence are real; NULL: all */
    const uint8_t *resets;          /* [time, batch]: where not 0, the state before this step is zero; NULL: nowhere */
    int64_t resets_time, resets_batch; /* strides of resets */
} throughtime_layer;

/* Sizes in bytes. */
typedef struct throughtime_sizes {
    int64_t packed;
    int64_t save;
    int64_t forward_scratch;
    int64_t backward_scratch;
    int64_t trace_parts; /* how many values throughtime_trace writes for each element of h */
} throughtime_sizes;

/* output_t, and the state after each sequence's last step. Padding is never read; its output is zero. The last state
 * may take the place of the first: h_n may be h0, and c_n c0. */
typedef struct throughtime_forward_call {
    throughtime_layer layer;
    const float *x; /* [time, batch, input] */
    int64_t x_time, x_batch, x_feature;
    const float *h0, *c0; /* [batch, hidden], features adjacent; NULL: zeros; c0 for the LSTM only */
    int64_t h0_batch, c0_batch;
    float *output; /* [time, batch, hidden], features adjacent */
    int64_t output_time, output_batch;
    float *h_n, *c_n; /* [batch, hidden], contiguous; NULL: not wanted */
    void *save;       /* written for the backward; NULL: inference */
    void *scratch;    /* forward_scratch bytes */
} throughtime_forward_call;

/* Gradients of everything; each is written, not added to, and left out where its pointer is NULL. */
typedef struct throughtime_backward_call {
    throughtime_layer layer; /* as it was in the forward */
    const float *x;          /* as they were in the forward */
    int64_t x_time, x_batch, x_feature;
    const float *h0, *c0;
    int64_t h0_batch, c0_batch;
    const float *output; /* what the forward wrote */
    int64_t output_time, output_batch;
    const void *save;      /* what the forward wrote; not changed */
    const float *d_output; /* [time, batch, hidden], features adjacent; NULL: zeros */
    int64_t d_output_time, d_output_batch;
    const float *d_h_n, *d_c_n; /* [batch, hidden], contiguous; NULL: zeros */
    float *d_x;                 /* [time, batch, input], contiguous; padding is written zero */
    float *d_h0, *d_c0;         /* [batch, hidden], contiguous */
    float *d_weight_ih, *d_weight_hh, *d_bias_ih, *d_bias_hh;
    void *scratch; /* backward_scratch bytes */
} throughtime_backward_call;

/* y = x W' + b over many rows, and its gradients. */
typedef struct throughtime_product {
    int32_t version, precision, set, threads;
    int64_t rows, input, output;
    const float *x; /* [rows, input], features adjacent */
    int64_t x_row;
    const float *weight; /* [output, input], contiguous */
    const float *bias;   /* [output]; NULL: none */
    float *y;            /* [rows, output], features adjacent; forward only */
    int64_t y_row;
    const float *d_y; /* [rows, output], features adjacent; backward only, as those that follow */
    int64_t d_y_row;
    float *d_x; /* [rows, input], contiguous; NULL: not wanted */
    float *d_weight, *d_bias;
    void *scratch; /* forward_scratch or backward_scratch bytes */
} throughtime_product;

int throughtime_version(void);

/* The set that `set` stands for on this machine, or 0 where the machine or the build lacks it. */
int throughtime_set_here(int set);

/* What a status means, in one line of English. */
const char *throughtime_message(int status);

/* Looks at kind, precision, set, sizes and threads, at none of the pointers. */
int throughtime_measure(const throughtime_layer *layer, throughtime_sizes *sizes);
int throughtime_measure_product(const throughtime_product *product, throughtime_sizes *sizes);

/* Lays the weights out as the kernels read them. Its result serves any time, batch and number of threads. */
int throughtime_pack(const throughtime_layer *layer, void *packed);

/* Runs `count` calls one after the other, so that one may read what another wrote. */
int throughtime_forward(const throughtime_forward_call *calls, int64_t count);
int throughtime_backward(const throughtime_backward_call *call);

/* What was saved, readable: [trace_parts, time, batch, hidden], contiguous, zero at padding. Of a GRU the gates reset
 * and update, the candidate new, and W_hn h + b_hn; of an LSTM the gates input, forget, cell, output and the memory C
 * after the step; of an RNN nothing, since its output is all. */
int throughtime_trace(const throughtime_layer *layer, const void *save, float *trace);

int throughtime_product_forward(const throughtime_product *product);
int throughtime_product_backward(const throughtime_product *product);

#ifdef __cplusplus
}
#endif

#endif
