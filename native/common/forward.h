// A layer forward in time: for each step one product of a tile of rows and panels, and the cell's own arithmetic on it.
//
// A cell is a struct with
//   kGates, kSplit   the sums of its product (see product.h)
//   kSaved           how many vectors it saves for the backward
//   kMemory          whether it has a memory beside h
//   forward(sums, h, memory, saved) → the new h; the memory is changed in place
#pragma once

#include "product.h"
#include "sequence.h"
#include "threads.h"

namespace throughtime::THROUGHTIME_SET_NAME {

// The weights as the products read them: for each panel of h, for each word of the row, a vector for each gate.
template <class Cell, class Number>
struct PackedWeights {
    static constexpr int kBiases = Cell::kGates + Cell::kSplit;
    float *bias, *input, *hidden;

    PackedWeights(Arena &arena, const throughtime_layer &layer) {
        const int64_t panels = panels_of(layer.hidden);
        bias = arena.take<float>(panels, kBiases, kWidth);
        input = arena.take<float>(panels, words_of<Number>(layer.input), Cell::kGates, kWidth);
        hidden = arena.take<float>(panels, words_of<Number>(layer.hidden), Cell::kGates, kWidth);
    }

    void pack(const throughtime_layer &layer, int64_t begin, int64_t end) const {
        for (int64_t panel = begin; panel < end; ++panel) {
            pack_panel<Number, Cell::kGates>(input, layer.weight_ih, layer.input, layer.hidden, panel);
            pack_panel<Number, Cell::kGates>(hidden, layer.weight_hh, layer.hidden, layer.hidden, panel);
            for (int part = 0; part < kBiases; ++part)
                store(bias + (panel * kBiases + part) * kWidth, bias_of(layer, panel, part));
        }
    }

  private:
    // Both biases together, but for the last gate where it is split: there that of the input, then that of h.
    static Vector bias_of(const throughtime_layer &layer, int64_t panel, int part) {
        const int gate = part < Cell::kGates ? part : Cell::kGates - 1;
        const int64_t at = gate * layer.hidden + panel * kWidth;
        const int count = features_in(panel, layer.hidden);
        const bool split = Cell::kSplit && gate == Cell::kGates - 1;
        Vector sum = {};
        if (layer.bias_ih != nullptr && (!split || part < Cell::kGates))
            sum += load_first(layer.bias_ih + at, count);
        if (layer.bias_hh != nullptr && (!split || part == Cell::kGates))
            sum += load_first(layer.bias_hh + at, count);
        return sum;
    }
};

// What is saved: [step][part][panel][row], rows of all members.
struct Save {
    float *data;
    int64_t parts, panels, batch;

    float *at(int64_t step, int64_t part, int64_t panel, int64_t row) const {
        return data + (((step * parts + part) * panels + panel) * batch + row) * kWidth;
    }
};

inline int64_t rows_of_share(const throughtime_layer &layer, int members) {
    return Share::by_columns(layer, members) ? layer.batch : (layer.batch + members - 1) / members;
}

// What one member works on: h before a step and after it as operands, h itself where they are rounded, the memory, and
// the step's x. Where panels are divided, all share the states.
template <class Cell, class Number>
struct ForwardState {
    Panels h[2], exact, memory, x;

    ForwardState(Arena &arena, const throughtime_layer &layer, int member, int members) {
        const int64_t rows = rows_of_share(layer, members);
        const bool shared = Share::by_columns(layer, members);
        if (shared)
            take_states(arena, layer, rows);
        Arena own;
        take_own(own, layer, rows, shared);
        arena.skip(own.used(), member);
        take_own(arena, layer, rows, shared);
    }

  private:
    void take_own(Arena &arena, const throughtime_layer &layer, int64_t rows, bool shared) {
        if (!shared)
            take_states(arena, layer, rows);
        x = Panels::take(arena, layer.input, rows);
    }

    void take_states(Arena &arena, const throughtime_layer &layer, int64_t rows) {
        h[0] = Panels::take(arena, layer.hidden, rows);
        h[1] = Panels::take(arena, layer.hidden, rows);
        exact = Panels::take(arena, layer.hidden, Number::kPerWord > 1 ? rows : 0);
        memory = Panels::take(arena, layer.hidden, Cell::kMemory ? rows : 0);
    }
};

// One member's way through time.
template <class Cell, class Number>
class ForwardRun {
  public:
    ForwardRun(const throughtime_forward_call &call, const Course &course, const PackedWeights<Cell, Number> &weights,
               const ForwardState<Cell, Number> &state, const Member &member)
        : call_(call), layer_(call.layer), course_(course), weights_(weights), state_(state), member_(member),
          share_(course, member.index, member.count, panels_of(call.layer.hidden)),
          save_{static_cast<float *>(call.save), Cell::kSaved, panels_of(call.layer.hidden), call.layer.batch} {}

    void run() {
        begin();
        for (int64_t step = 0; step < layer_.time; ++step) {
            const int64_t time = course_.time_at(step), rows = share_.at_work(course_.rows_at(time));
            const Panels &now = state_.h[step & 1], &next = state_.h[(step + 1) & 1];
            for (int64_t row = 0; row < rows; ++row)
                write_operand<Number>(state_.x, row, x_at(time, row), call_.x_feature, layer_.input, 0,
                                      panels_of(layer_.input));
            take_step(step, time, rows, now, next);
            if (step + 1 < layer_.time)
                start_afresh(course_.time_at(step + 1), rows, next);
            if (share_.columns)
                member_.wait();
        }
        end();
    }

  private:
    // Each sequence's first state into both places, from where a sequence takes it whenever its first step is.
    void begin() {
        const int64_t first = layer_.time > 0 ? course_.time_at(0) : 0;
        for (int64_t row = 0; row < share_.rows; ++row) {
            const int64_t sequence = course_.sequence(share_.row(row));
            const bool fresh = layer_.time > 0 && course_.begins(first, share_.row(row));
            const float *const h = fresh || call_.h0 == nullptr ? nullptr : call_.h0 + sequence * call_.h0_batch;
            const float *const c = fresh || call_.c0 == nullptr ? nullptr : call_.c0 + sequence * call_.c0_batch;
            for (int64_t panel = share_.panel_begin; panel < share_.panel_end; ++panel) {
                write_h(state_.h[0], row, panel, h == nullptr ? Vector{} : load_panel(h, 1, layer_.hidden, panel));
                write_h(state_.h[1], row, panel, h == nullptr ? Vector{} : load_panel(h, 1, layer_.hidden, panel));
                if (Cell::kMemory)
                    store(state_.memory.row(panel, row),
                          c == nullptr ? Vector{} : load_panel(c, 1, layer_.hidden, panel));
            }
        }
        if (share_.columns)
            member_.wait();
    }

    THROUGHTIME_INLINE void write_h(const Panels &to, int64_t row, int64_t panel, Vector h) {
        if (Number::kPerWord > 1) {
            h = only_first(h, features_in(panel, layer_.hidden));
            store(state_.exact.row(panel, row), h);
        }
        Number::write(to, panel, row, h);
    }

    void start_afresh(int64_t time, int64_t rows, const Panels &next) {
        if (layer_.resets == nullptr)
            return;
        for (int64_t row = 0; row < rows; ++row) {
            if (!course_.begins(time, share_.row(row)))
                continue;
            for (int64_t panel = share_.panel_begin; panel < share_.panel_end; ++panel)
                write_h(next, row, panel, Vector{});
            if (Cell::kMemory)
                clear_row(state_.memory, row, share_.panel_begin, share_.panel_end);
        }
    }

    void take_step(int64_t step, int64_t time, int64_t rows, const Panels &now, const Panels &next) {
        constexpr int kBiases = PackedWeights<Cell, Number>::kBiases;
        const int64_t inputs = words_of<Number>(layer_.input), hiddens = words_of<Number>(layer_.hidden);
        const Segment segments[2] = {
            {state_.x.data, state_.x.stride, kWidth, inputs, weights_.input, inputs * Cell::kGates * kWidth},
            {now.data, now.stride, kWidth, hiddens, weights_.hidden, hiddens * Cell::kGates * kWidth},
        };
        multiply_rows<Number, Cell::kGates, Cell::kSplit>(
            segments, 2, weights_.bias, rows, share_.panel_begin, share_.panel_end,
            [&](const float *sums, int64_t begin, int height, int64_t panel, int width) {
                for (int p = 0; p < width; ++p)
                    for (int64_t row = begin; row < begin + height; ++row, sums += kBiases * kWidth)
                        finish(sums, step, time, row, panel + p, now, next);
            });
    }

    THROUGHTIME_INLINE void finish(const float *sums, int64_t step, int64_t time, int64_t row, int64_t panel,
                                   const Panels &now, const Panels &next) {
        Vector saved[Cell::kSaved + 1], memory = {};
        float *const memory_at = Cell::kMemory ? state_.memory.row(panel, row) : nullptr;
        if (Cell::kMemory)
            memory = load(memory_at);
        const Vector before = load((Number::kPerWord > 1 ? state_.exact : now).row(panel, row));
        const Vector h = Cell::forward(sums, before, memory, saved);
        write_h(next, row, panel, h);
        if (Cell::kMemory)
            store(memory_at, memory);
        store_first(output_at(time, row) + panel * kWidth, h, features_in(panel, layer_.hidden));
        if (save_.data != nullptr)
            for (int part = 0; part < Cell::kSaved; ++part)
                store(save_.at(step, part, panel, share_.row(row)), saved[part]);
    }

    // The last states, and zeros for what is padding.
    void end() {
        for (int64_t row = 0; row < share_.rows; ++row) {
            const int64_t sequence = course_.sequence(share_.row(row)), begin = share_.panel_begin * kWidth;
            const int64_t end = share_.panel_end * kWidth < layer_.hidden ? share_.panel_end * kWidth : layer_.hidden;
            const int64_t length = layer_.lengths == nullptr ? layer_.time : layer_.lengths[sequence];
            const int64_t bytes = (end - begin) * static_cast<int64_t>(sizeof(float));
            for (int64_t time = length; time < layer_.time; ++time)
                std::memset(output_at(time, row) + begin, 0, bytes);
            if (call_.h_n != nullptr) {
                float *to = call_.h_n + sequence * layer_.hidden + begin;
                if (length > 0)
                    std::memcpy(to, output_at(layer_.reverse ? 0 : length - 1, row) + begin, bytes);
                else if (call_.h0 != nullptr)
                    std::memcpy(to, call_.h0 + sequence * call_.h0_batch + begin, bytes);
                else
                    std::memset(to, 0, bytes);
            }
            if (Cell::kMemory && call_.c_n != nullptr)
                for (int64_t panel = share_.panel_begin; panel < share_.panel_end; ++panel)
                    store_first(call_.c_n + sequence * layer_.hidden + panel * kWidth,
                                load(state_.memory.row(panel, row)), features_in(panel, layer_.hidden));
        }
    }

    const float *x_at(int64_t time, int64_t row) const {
        return call_.x + time * call_.x_time + course_.sequence(share_.row(row)) * call_.x_batch;
    }

    float *output_at(int64_t time, int64_t row) const {
        return call_.output + time * call_.output_time + course_.sequence(share_.row(row)) * call_.output_batch;
    }

    const throughtime_forward_call &call_;
    const throughtime_layer &layer_;
    const Course &course_;
    const PackedWeights<Cell, Number> weights_;
    const ForwardState<Cell, Number> state_;
    const Member &member_;
    const Share share_;
    const Save save_;
};

template <class Cell, class Number>
void run_forward(const throughtime_forward_call &call, const Sequences &sequences, void *scratch) {
    const throughtime_layer &layer = call.layer;
    const Course course{layer, sequences};
    Arena arena(scratch), packed(const_cast<void *>(layer.packed));
    const PackedWeights<Cell, Number> weights(layer.packed == nullptr ? arena : packed, layer);
    run_team(sequences.threads, [&](const Member &member) {
        if (layer.packed == nullptr) {
            const int64_t panels = panels_of(layer.hidden);
            weights.pack(layer, member.begin(panels), member.end(panels));
            member.wait();
        }
        Arena own = arena;
        const ForwardState<Cell, Number> state(own, layer, member.index, member.count);
        ForwardRun<Cell, Number>(call, course, weights, state, member).run();
    });
}

// The largest of what a team of any size takes: a system may give fewer threads than are asked for.
template <class Cell, class Number>
bool measure_forward(const throughtime_layer &layer, throughtime_sizes &sizes) {
    Arena weights;
    PackedWeights<Cell, Number>(weights, layer);
    sizes.packed = weights.used();
    sizes.forward_scratch = 0;
    bool too_large = weights.too_large();
    for (int members = 1; members <= layer.threads; ++members) {
        Arena arena = weights;
        ForwardState<Cell, Number>(arena, layer, members - 1, members);
        too_large |= arena.too_large();
        if (arena.used() > sizes.forward_scratch)
            sizes.forward_scratch = arena.used();
    }
    Arena save;
    save.take<float>(layer.time, Cell::kSaved, panels_of(layer.hidden), layer.batch, kWidth);
    sizes.save = save.used();
    return !too_large && !save.too_large();
}

} // namespace throughtime::THROUGHTIME_SET_NAME
