// y = x W' + b over many rows, and its gradients: the products around a recurrence, by the same tiles.
#include "../common/gradients.h"
#include "../common/kernels.h"

namespace throughtime::THROUGHTIME_SET_NAME {

namespace {

constexpr int64_t kRowsAtOnce = 96;    // forward: of one member; with a panel of weights they stay near the core
constexpr int64_t kRowsOfChunk = 1024; // backward: of all members

template <class Number>
struct ForwardMemory {
    float *weight, *bias;
    Panels x;

    ForwardMemory(Arena &arena, const throughtime_product &call, int member) {
        weight = arena.take<float>(panels_of(call.output), words_of<Number>(call.input), kWidth);
        bias = arena.take<float>(panels_of(call.output), kWidth);
        Arena own;
        Panels::take(own, call.input, kRowsAtOnce);
        arena.skip(own.used(), member);
        x = Panels::take(arena, call.input, kRowsAtOnce);
    }
};

template <class Number>
struct BackwardMemory {
    float *weight;
    Panels x, d_y, operand; // d_y as it is multiplied with the weight: itself, unless it is rounded

    BackwardMemory(Arena &arena, const throughtime_product &call) {
        weight = arena.take<float>(panels_of(call.input), words_of<Number>(call.output), kWidth);
        x = Panels::take(arena, call.input, kRowsOfChunk);
        d_y = Panels::take(arena, call.output, kRowsOfChunk);
        operand = Number::kPerWord == 1 ? d_y : Panels::take(arena, call.output, kRowsOfChunk);
    }
};

template <class Number>
bool measure(const throughtime_product &call, throughtime_sizes &sizes) {
    Arena forward, backward;
    ForwardMemory<Number>(forward, call, call.threads - 1);
    BackwardMemory<Number>(backward, call);
    sizes = {0, 0, forward.used(), backward.used(), 0};
    return !forward.too_large() && !backward.too_large();
}

template <class Number>
void forward(const throughtime_product &call, int threads) {
    run_team(threads, [&](const Member &member) {
        Arena arena(call.scratch);
        const ForwardMemory<Number> memory(arena, call, member.index);
        const int64_t panels = panels_of(call.output);
        for (int64_t panel = member.begin(panels); panel < member.end(panels); ++panel) {
            pack_panel<Number, 1>(memory.weight, call.weight, call.input, call.output, panel);
            const int count = features_in(panel, call.output);
            store(memory.bias + panel * kWidth,
                  call.bias == nullptr ? Vector{} : load_first(call.bias + panel * kWidth, count));
        }
        member.wait();
        const int64_t words = words_of<Number>(call.input);
        const Segment segment{memory.x.data, memory.x.stride, kWidth, words, memory.weight, words * kWidth};
        for (int64_t begin = member.begin(call.rows), end = member.end(call.rows); begin < end; begin += kRowsAtOnce) {
            const int64_t rows = end - begin < kRowsAtOnce ? end - begin : kRowsAtOnce;
            for (int64_t row = 0; row < rows; ++row)
                write_operand<Number>(memory.x, row, call.x + (begin + row) * call.x_row, 1, call.input, 0,
                                      panels_of(call.input));
            multiply_rows<Number, 1, false>(&segment, 1, memory.bias, rows, 0, panels,
                                            [&](const float *sums, int64_t row, int height, int64_t panel, int width) {
                                                for (int p = 0; p < width; ++p)
                                                    for (int64_t at = begin + row; at < begin + row + height;
                                                         ++at, sums += kWidth)
                                                        store_first(call.y + at * call.y_row + (panel + p) * kWidth,
                                                                    load(sums), features_in(panel + p, call.output));
                                            });
        }
    });
}

template <class Number>
void add_chunk(const throughtime_product &call, const BackwardMemory<Number> &memory, int64_t begin, int64_t rows,
               const Member &member) {
    RowRange range{0, rows};
    const Panels *const d_y = &memory.d_y;
    add_sums(call.d_bias, &d_y, 1, call.output, &range, 1, begin == 0, member);
    if constexpr (Number::kPerWord > 1) {
        member.wait();
        pair_rows<Number>(&memory.x, 1, call.input, &range, 1, member);
        const RowRange pairs = pair_rows<Number>(d_y, 1, call.output, &range, 1, member);
        member.wait();
        range = pairs;
    }
    add_outer<Number>({call.d_weight, {d_y}, 1, call.output, memory.x, call.input}, &range, 1, begin == 0, member);
    if (call.d_x == nullptr)
        return;
    const int64_t first = member.begin(rows);
    const int64_t words = words_of<Number>(call.output);
    const Segment segment{
        memory.operand.row(0, first), memory.operand.stride, kWidth, words, memory.weight, words * kWidth};
    multiply_rows<Number, 1, false>(&segment, 1, nullptr, member.end(rows) - first, 0, panels_of(call.input),
                                    [&](const float *sums, int64_t row, int height, int64_t panel, int width) {
                                        float *to = call.d_x + (begin + first + row) * call.input;
                                        for (int p = 0; p < width; ++p)
                                            for (int at = 0; at < height; ++at, sums += kWidth)
                                                store_first(to + at * call.input + (panel + p) * kWidth, load(sums),
                                                            features_in(panel + p, call.input));
                                    });
}

template <class Number>
void backward(const throughtime_product &call, int threads) {
    if (call.rows == 0) {
        clear(call.d_weight, call.output * call.input);
        clear(call.d_bias, call.output);
    }
    run_team(threads, [&](const Member &member) {
        Arena arena(call.scratch);
        const BackwardMemory<Number> memory(arena, call);
        if (call.d_x != nullptr)
            pack_columns<Number>(memory.weight, call.weight, 1, call.output, call.input, member);
        for (int64_t begin = 0; begin < call.rows; begin += kRowsOfChunk) {
            const int64_t rows = call.rows - begin < kRowsOfChunk ? call.rows - begin : kRowsOfChunk;
            for (int64_t row = member.begin(rows); row < member.end(rows); ++row) {
                write_operand<Float32>(memory.x, row, call.x + (begin + row) * call.x_row, 1, call.input, 0,
                                       panels_of(call.input));
                write_operand<Float32>(memory.d_y, row, call.d_y + (begin + row) * call.d_y_row, 1, call.output, 0,
                                       panels_of(call.output));
                if (Number::kPerWord > 1)
                    write_operand<Number>(memory.operand, row, call.d_y + (begin + row) * call.d_y_row, 1, call.output,
                                          0, panels_of(call.output));
            }
            member.wait();
            add_chunk<Number>(call, memory, begin, rows, member);
            member.wait();
        }
    });
}

template <class Number>
constexpr ProductKernel kernel_in() {
    return {measure<Number>, forward<Number>, backward<Number>};
}

} // namespace

#if defined(__AVX512BF16__)
extern const ProductKernels kLinear = {{kernel_in<Float32>(), kernel_in<Bfloat16>()}};
#else
extern const ProductKernels kLinear = {{kernel_in<Float32>(), {}}};
#endif

} // namespace throughtime::THROUGHTIME_SET_NAME
