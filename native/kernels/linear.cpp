// y = x W' + b over many rows, and its gradients: the products around a recurrence, by the same tiles.
#include "../common/gradients.h"
#include "../common/kernels.h"

namespace throughtime::THROUGHTIME_SET_NAME {

namespace {

constexpr int64_t kRowsAtOnce = 96;    // forward: of one member; with a panel of weights they stay near the core
constexpr int64_t kRowsOfChunk = 1024; // backward: of all members

struct ForwardMemory {
    float *weight, *bias;
    Panels x;

    ForwardMemory(Arena &arena, const throughtime_product &call, int member) {
        weight = arena.take<float>(panels_of(call.output), call.input, kWidth);
        bias = arena.take<float>(panels_of(call.output), kWidth);
        for (int owner = 0; owner <= member; ++owner)
            x = Panels::take(arena, call.input, kRowsAtOnce);
    }
};

struct BackwardMemory {
    float *weight;
    Panels x, d_y;

    BackwardMemory(Arena &arena, const throughtime_product &call) {
        weight = arena.take<float>(panels_of(call.input), call.output, kWidth);
        x = Panels::take(arena, call.input, kRowsOfChunk);
        d_y = Panels::take(arena, call.output, kRowsOfChunk);
    }
};

bool measure(const throughtime_product &call, throughtime_sizes &sizes) {
    Arena forward, backward;
    ForwardMemory(forward, call, call.threads - 1);
    BackwardMemory(backward, call);
    sizes = {0, 0, forward.used(), backward.used(), 0};
    return !forward.too_large() && !backward.too_large();
}

void forward(const throughtime_product &call, int threads) {
    run_team(threads, [&](const Member &member) {
        Arena arena(call.scratch);
        const ForwardMemory memory(arena, call, member.index);
        const int64_t panels = panels_of(call.output);
        for (int64_t panel = member.begin(panels); panel < member.end(panels); ++panel) {
            pack_panel<1>(memory.weight, call.weight, call.input, call.output, panel);
            const int count = features_in(panel, call.output);
            store(memory.bias + panel * kWidth, call.bias == nullptr ? Vector{} : load_first(call.bias + panel * kWidth, count));
        }
        member.wait();
        const Segment segment{memory.x.data, memory.x.stride, kWidth, call.input, memory.weight, call.input * kWidth};
        for (int64_t begin = member.begin(call.rows), end = member.end(call.rows); begin < end; begin += kRowsAtOnce) {
            const int64_t rows = end - begin < kRowsAtOnce ? end - begin : kRowsAtOnce;
            for (int64_t row = 0; row < rows; ++row)
                write_row(memory.x, row, call.x + (begin + row) * call.x_row, 1, call.input, 0, panels_of(call.input));
            multiply_rows<1, false>(&segment, 1, memory.bias, rows, 0, panels,
                                    [&](const float *sums, int64_t row, int height, int64_t panel, int width) {
                                        for (int p = 0; p < width; ++p)
                                            for (int64_t at = begin + row; at < begin + row + height; ++at, sums += kWidth)
                                                store_first(call.y + at * call.y_row + (panel + p) * kWidth, load(sums),
                                                            features_in(panel + p, call.output));
                                    });
        }
    });
}

void add_chunk(const throughtime_product &call, const BackwardMemory &memory, int64_t begin, int64_t rows, const Member &member) {
    const Run run{0, rows};
    const Panels *const d_y = &memory.d_y;
    add_outer({call.d_weight, {d_y}, 1, call.output, memory.x, call.input}, &run, 1, begin == 0, member);
    add_sums(call.d_bias, &d_y, 1, call.output, &run, 1, begin == 0, member);
    if (call.d_x == nullptr)
        return;
    const int64_t first = member.begin(rows);
    const Segment segment{d_y->row(0, first), d_y->stride, kWidth, call.output, memory.weight, call.output * kWidth};
    multiply_rows<1, false>(&segment, 1, nullptr, member.end(rows) - first, 0, panels_of(call.input),
                            [&](const float *sums, int64_t row, int height, int64_t panel, int width) {
                                float *to = call.d_x + (begin + first + row) * call.input;
                                for (int p = 0; p < width; ++p)
                                    for (int at = 0; at < height; ++at, sums += kWidth)
                                        store_first(to + at * call.input + (panel + p) * kWidth, load(sums),
                                                    features_in(panel + p, call.input));
                            });
}

void backward(const throughtime_product &call, int threads) {
    run_team(threads, [&](const Member &member) {
        Arena arena(call.scratch);
        const BackwardMemory memory(arena, call);
        if (call.d_x != nullptr)
            pack_columns(memory.weight, call.weight, call.output, call.input, member);
        for (int64_t begin = 0; begin < call.rows; begin += kRowsOfChunk) {
            const int64_t rows = call.rows - begin < kRowsOfChunk ? call.rows - begin : kRowsOfChunk;
            for (int64_t row = member.begin(rows); row < member.end(rows); ++row) {
                write_row(memory.x, row, call.x + (begin + row) * call.x_row, 1, call.input, 0, panels_of(call.input));
                write_row(memory.d_y, row, call.d_y + (begin + row) * call.d_y_row, 1, call.output, 0, panels_of(call.output));
            }
            member.wait();
            add_chunk(call, memory, begin, rows, member);
            member.wait();
        }
    });
}

} // namespace

extern const ProductKernel kLinear = {measure, forward, backward};

} // namespace throughtime::THROUGHTIME_SET_NAME
