// A layer backward in time, a chunk of steps after another: first the steps, each the cell's own arithmetic and one
// product with W_hh, then the gradients of weights, biases and x, as large products over all the chunk's rows.
//
// Beyond what forward.h asks of a cell:
//   kParts        how many gradients of sums it has; part g belongs to gate g. Where the last gate is split, its part
//                 is the gradient of its sum over x, and part kGates that of its sum over h
//   kReadsOutput  whether it needs h after the step
//   backward(saved, before, after, dh, dmemory, parts)
//                 dh comes as the gradient of h_t, and leaves as what of it reaches h_{t−1} beside the product;
//                 dmemory likewise
#pragma once

#include "forward.h"
#include "gradients.h"

namespace throughtime::THROUGHTIME_SET_NAME {

// W_hh and W_ih as the products of gradients read them.
template <class Cell, class Number>
struct PackedGradientWeights {
    float *hidden, *input;

    PackedGradientWeights(Arena &arena, const throughtime_layer &layer) {
        const int64_t words = words_of<Number>(layer.hidden);
        hidden = arena.take<float>(panels_of(layer.hidden), Cell::kGates, words, kWidth);
        input = arena.take<float>(panels_of(layer.input), Cell::kGates, words, kWidth);
    }

    void pack(const throughtime_layer &layer, bool with_input, const Member &member) const {
        pack_columns<Number>(hidden, layer.weight_hh, Cell::kGates, layer.hidden, layer.hidden, member);
        if (with_input)
            pack_columns<Number>(input, layer.weight_ih, Cell::kGates, layer.hidden, layer.input, member);
    }
};

// What a chunk of steps leaves for the products over all its rows: row (step in chunk) × batch + row. `operands` are
// the parts as the products with W_hh and W_ih read them: the parts themselves, unless they are rounded.
template <class Cell, class Number>
struct Chunk {
    Panels parts[Cell::kParts], operands[Cell::kParts], before, x;
    int64_t steps;

    static int64_t steps_in(const throughtime_layer &layer) {
        const int64_t bytes = ((Cell::kParts + 1) * panels_of(layer.hidden) + panels_of(layer.input)) * kWidth * 4;
        int64_t rows = kChunkBytes / bytes;
        rows = rows < kFewestRows ? kFewestRows : rows > kMostRows ? kMostRows : rows;
        const int64_t steps = rows / (layer.batch > 0 ? layer.batch : 1);
        return steps < 1 ? 1 : steps < layer.time ? steps : layer.time;
    }

    Chunk(Arena &arena, const throughtime_layer &layer) : steps(steps_in(layer)) {
        int64_t rows;
        if (__builtin_mul_overflow(steps, layer.batch, &rows))
            rows = INT64_MAX / 2;
        for (int part = 0; part < Cell::kParts; ++part) {
            parts[part] = Panels::take(arena, layer.hidden, rows);
            operands[part] = Number::kPerWord == 1 ? parts[part] : Panels::take(arena, layer.hidden, rows);
        }
        before = Panels::take(arena, layer.hidden, rows);
        x = Panels::take(arena, layer.input, rows);
    }

  private:
    static constexpr int64_t kChunkBytes = 6 << 20, kFewestRows = 192, kMostRows = 1024;
};

template <class Cell, class Number>
struct BackwardScratch {
    PackedGradientWeights<Cell, Number> weights;
    Chunk<Cell, Number> chunk;
    Panels dh, dmemory; // the gradients of the states, as they travel back
    RowRange *ranges;

    BackwardScratch(Arena &arena, const throughtime_layer &layer)
        : weights(arena, layer), chunk(arena, layer), dh(Panels::take(arena, layer.hidden, layer.batch)),
          dmemory(Panels::take(arena, layer.hidden, Cell::kMemory ? layer.batch : 0)),
          ranges(arena.take<RowRange>(chunk.steps)) {}
};

// One member's way back through time.
template <class Cell, class Number>
class BackwardRun {
  public:
    BackwardRun(const throughtime_backward_call &call, const Course &course,
                const BackwardScratch<Cell, Number> &scratch, const Member &member)
        : call_(call), layer_(call.layer), course_(course), scratch_(scratch), chunk_(scratch.chunk), member_(member),
          share_(course, member.index, member.count, panels_of(call.layer.hidden)),
          save_{static_cast<float *>(const_cast<void *>(call.save)), Cell::kSaved, panels_of(call.layer.hidden),
                call.layer.batch} {}

    void run() {
        begin();
        for (int64_t end = layer_.time; end > 0; end -= chunk_.steps) {
            const int64_t begin = end > chunk_.steps ? end - chunk_.steps : 0;
            gather(begin, end);
            for (int64_t step = end - 1; step >= begin; --step)
                take_step(step, step - begin);
            if (member_.index == 0)
                write_ranges(begin, end);
            member_.wait();
            take_products(begin, end);
            member_.wait();
        }
        this->end();
    }

  private:
    // The gradients of the last states; where there are none, zeros.
    void begin() {
        for (int64_t index = 0; index < share_.rows; ++index) {
            const int64_t row = share_.row(index), sequence = course_.sequence(row);
            write_state(scratch_.dh, row, call_.d_h_n, sequence);
            if (Cell::kMemory)
                write_state(scratch_.dmemory, row, call_.d_c_n, sequence);
        }
    }

    void write_state(const Panels &to, int64_t row, const float *from, int64_t sequence) {
        if (from == nullptr)
            clear_row(to, row, share_.panel_begin, share_.panel_end);
        else
            write_operand<Float32>(to, row, from + sequence * layer_.hidden, 1, layer_.hidden, share_.panel_begin,
                                   share_.panel_end);
    }

    // h before each step of the chunk, as the step saw it, and x.
    void gather(int64_t begin, int64_t end) {
        const int64_t inputs = panels_of(layer_.input);
        const int64_t x_begin = share_.columns ? member_.begin(inputs) : 0,
                      x_end = share_.columns ? member_.end(inputs) : inputs;
        for (int64_t step = begin; step < end; ++step) {
            const int64_t time = course_.time_at(step), rows = share_.at_work(course_.rows_at(time));
            for (int64_t index = 0; index < rows; ++index) {
                const int64_t row = share_.row(index), at = (step - begin) * layer_.batch + row;
                const int64_t sequence = course_.sequence(row);
                const float *from = h_before(step, time, row, sequence);
                if (from == nullptr)
                    clear_row(chunk_.before, at, share_.panel_begin, share_.panel_end);
                else
                    write_operand<Float32>(chunk_.before, at, from, 1, layer_.hidden, share_.panel_begin,
                                           share_.panel_end);
                write_operand<Float32>(chunk_.x, at, call_.x + time * call_.x_time + sequence * call_.x_batch,
                                       call_.x_feature, layer_.input, x_begin, x_end);
            }
        }
    }

    // NULL for zeros.
    const float *h_before(int64_t step, int64_t time, int64_t row, int64_t sequence) const {
        if (course_.begins(time, row))
            return nullptr;
        const int64_t before = layer_.reverse ? time + 1 : time - 1;
        if (step == 0 || row >= course_.rows_at(before))
            return call_.h0 == nullptr ? nullptr : call_.h0 + sequence * call_.h0_batch;
        return call_.output + before * call_.output_time + sequence * call_.output_batch;
    }

    void take_step(int64_t step, int64_t step_in_chunk) {
        const int64_t time = course_.time_at(step), rows = share_.at_work(course_.rows_at(time));
        for (int64_t panel = share_.panel_begin; panel < share_.panel_end; ++panel)
            for (int64_t index = 0; index < rows; ++index)
                take_point(step, time, share_.row(index), step_in_chunk * layer_.batch + share_.row(index), panel);
        if (share_.columns)
            member_.wait();
        if (step > 0 || call_.d_h0 != nullptr)
            multiply_hidden(rows, step_in_chunk * layer_.batch);
        if (layer_.resets == nullptr)
            return;
        for (int64_t index = 0; index < rows; ++index) {
            if (!course_.begins(time, share_.row(index)))
                continue;
            clear_row(scratch_.dh, share_.row(index), share_.panel_begin, share_.panel_end);
            if (Cell::kMemory)
                clear_row(scratch_.dmemory, share_.row(index), share_.panel_begin, share_.panel_end);
        }
    }

    THROUGHTIME_INLINE void take_point(int64_t step, int64_t time, int64_t row, int64_t at, int64_t panel) {
        const int count = features_in(panel, layer_.hidden);
        const int64_t sequence = course_.sequence(row);
        Vector saved[Cell::kSaved + 1], parts[Cell::kParts], after = {}, dmemory = {};
        for (int part = 0; part < Cell::kSaved; ++part)
            saved[part] = load(save_.at(step, part, panel, row));
        if (Cell::kReadsOutput)
            after = load_first(call_.output + time * call_.output_time + sequence * call_.output_batch + panel * kWidth,
                               count);
        Vector dh = load(scratch_.dh.row(panel, row));
        if (call_.d_output != nullptr)
            dh += load_first(
                call_.d_output + time * call_.d_output_time + sequence * call_.d_output_batch + panel * kWidth, count);
        if (Cell::kMemory)
            dmemory = load(scratch_.dmemory.row(panel, row));
        Cell::backward(saved, load(chunk_.before.row(panel, at)), after, dh, dmemory, parts);
        store(scratch_.dh.row(panel, row), dh);
        if (Cell::kMemory)
            store(scratch_.dmemory.row(panel, row), dmemory);
        for (int part = 0; part < Cell::kParts; ++part) {
            store(chunk_.parts[part].row(panel, at), parts[part]);
            if (Number::kPerWord > 1)
                Number::write(chunk_.operands[part], panel, at, only_first(parts[part], count));
        }
    }

    // dh += (the gradients of the sums over h) · W_hh
    void multiply_hidden(int64_t rows, int64_t at) {
        Segment segments[Cell::kGates];
        for (int gate = 0; gate < Cell::kGates; ++gate)
            segments[gate] = segment(chunk_.operands[hidden_part(gate)], gate, at + share_.first, share_.step,
                                     scratch_.weights.hidden);
        multiply_rows<Number, 1, false>(segments, Cell::kGates, nullptr, rows, share_.panel_begin, share_.panel_end,
                                        [&](const float *sums, int64_t begin, int height, int64_t panel, int width) {
                                            for (int p = 0; p < width; ++p)
                                                for (int64_t index = begin; index < begin + height;
                                                     ++index, sums += kWidth) {
                                                    float *to = scratch_.dh.row(panel + p, share_.row(index));
                                                    store(to, load(to) + load(sums));
                                                }
                                        });
    }

    // d_x = (the gradients of the sums over x) · W_ih, rows begin … end of the chunk
    void multiply_input(int64_t first_step, int64_t begin, int64_t end) {
        Segment segments[Cell::kGates];
        for (int gate = 0; gate < Cell::kGates; ++gate)
            segments[gate] = segment(chunk_.operands[gate], gate, begin, 1, scratch_.weights.input);
        multiply_rows<Number, 1, false>(
            segments, Cell::kGates, nullptr, end - begin, 0, panels_of(layer_.input),
            [&](const float *sums, int64_t row, int height, int64_t panel, int width) {
                for (int p = 0; p < width; ++p)
                    for (int64_t at = begin + row; at < begin + row + height; ++at, sums += kWidth)
                        store_first(d_x_at(course_.time_at(first_step + at / layer_.batch), at % layer_.batch) +
                                        (panel + p) * kWidth,
                                    load(sums), features_in(panel + p, layer_.input));
            });
    }

    Segment segment(const Panels &part, int gate, int64_t row, int64_t row_step, const float *weights) const {
        const int64_t words = words_of<Number>(layer_.hidden);
        return {part.row(0, row),
                part.stride,
                row_step * kWidth,
                words,
                weights + gate * words * kWidth,
                Cell::kGates * words * kWidth};
    }

    // Which part is the gradient of a gate's sum over h; that of its sum over x is part `gate`.
    static int hidden_part(int gate) { return Cell::kSplit && gate == Cell::kGates - 1 ? Cell::kGates : gate; }

    // The rows of a chunk that hold something: all of them, or those at work at each step.
    void write_ranges(int64_t begin, int64_t end) const {
        if (!course_.ragged())
            scratch_.ranges[0] = {0, (end - begin) * layer_.batch};
        else
            for (int64_t step = 0; step < end - begin; ++step)
                scratch_.ranges[step] = {step * layer_.batch,
                                         step * layer_.batch + course_.rows_at(course_.time_at(begin + step))};
    }

    void take_products(int64_t begin, int64_t end) {
        const int64_t range_count = course_.ragged() ? end - begin : 1;
        const bool first = end == layer_.time;
        OuterProduct hidden{call_.d_weight_hh, {}, Cell::kGates, layer_.hidden, chunk_.before, layer_.hidden};
        OuterProduct input{call_.d_weight_ih, {}, Cell::kGates, layer_.hidden, chunk_.x, layer_.input};
        for (int gate = 0; gate < Cell::kGates; ++gate) {
            hidden.left[gate] = &chunk_.parts[hidden_part(gate)];
            input.left[gate] = &chunk_.parts[gate];
        }
        const RowRange *ranges = scratch_.ranges;
        add_sums(call_.d_bias_hh, hidden.left, Cell::kGates, layer_.hidden, ranges, range_count, first, member_);
        add_sums(call_.d_bias_ih, input.left, Cell::kGates, layer_.hidden, ranges, range_count, first, member_);
        if constexpr (Number::kPerWord == 1) {
            add_outer<Number>(hidden, ranges, range_count, first, member_);
            add_outer<Number>(input, ranges, range_count, first, member_);
        } else {
            member_.wait();
            const RowRange pairs =
                pair_rows<Number>(chunk_.parts, Cell::kParts, layer_.hidden, ranges, range_count, member_);
            pair_rows<Number>(&chunk_.before, 1, layer_.hidden, ranges, range_count, member_);
            pair_rows<Number>(&chunk_.x, 1, layer_.input, ranges, range_count, member_);
            member_.wait();
            add_outer<Number>(hidden, &pairs, 1, first, member_);
            add_outer<Number>(input, &pairs, 1, first, member_);
        }
        if (call_.d_x == nullptr)
            return;
        if (!course_.ragged())
            return multiply_input(begin, member_.begin(ranges[0].end), member_.end(ranges[0].end));
        for (int64_t range = member_.begin(range_count); range < member_.end(range_count); ++range)
            multiply_input(begin, ranges[range].begin, ranges[range].end);
    }

    // The gradients of the first states, and zeros for those of padding.
    void end() {
        for (int64_t index = 0; index < share_.rows; ++index) {
            const int64_t row = share_.row(index), sequence = course_.sequence(row);
            for (int64_t panel = share_.panel_begin; panel < share_.panel_end; ++panel) {
                const int64_t at = sequence * layer_.hidden + panel * kWidth;
                const int count = features_in(panel, layer_.hidden);
                if (call_.d_h0 != nullptr)
                    store_first(call_.d_h0 + at, load(scratch_.dh.row(panel, row)), count);
                if (Cell::kMemory && call_.d_c0 != nullptr)
                    store_first(call_.d_c0 + at, load(scratch_.dmemory.row(panel, row)), count);
            }
            if (call_.d_x == nullptr || layer_.lengths == nullptr || (share_.columns && member_.index > 0))
                continue;
            for (int64_t time = layer_.lengths[sequence]; time < layer_.time; ++time)
                std::memset(d_x_at(time, row), 0, layer_.input * sizeof(float));
        }
    }

    float *d_x_at(int64_t time, int64_t row) const {
        return call_.d_x + (time * layer_.batch + course_.sequence(row)) * layer_.input;
    }

    const throughtime_backward_call &call_;
    const throughtime_layer &layer_;
    const Course &course_;
    const BackwardScratch<Cell, Number> &scratch_;
    const Chunk<Cell, Number> &chunk_;
    const Member &member_;
    const Share share_;
    const Save save_;
};

// Without a step there is nothing to sum, and the gradients of what is summed over steps are zero.
template <class Cell>
void clear_gradients(const throughtime_backward_call &call) {
    const int64_t rows = Cell::kGates * call.layer.hidden;
    clear(call.d_weight_ih, rows * call.layer.input);
    clear(call.d_weight_hh, rows * call.layer.hidden);
    clear(call.d_bias_ih, rows);
    clear(call.d_bias_hh, rows);
}

template <class Cell, class Number>
void run_backward(const throughtime_backward_call &call, const Sequences &sequences, void *memory) {
    const throughtime_layer &layer = call.layer;
    if (layer.time == 0 || layer.batch == 0)
        clear_gradients<Cell>(call);
    const Course course{layer, sequences};
    Arena arena(memory);
    const BackwardScratch<Cell, Number> scratch(arena, layer);
    run_team(sequences.threads, [&](const Member &member) {
        scratch.weights.pack(layer, call.d_x != nullptr, member);
        member.wait();
        BackwardRun<Cell, Number>(call, course, scratch, member).run();
    });
}

template <class Cell, class Number>
bool measure_backward(const throughtime_layer &layer, throughtime_sizes &sizes) {
    Arena arena;
    BackwardScratch<Cell, Number> scratch(arena, layer);
    sizes.backward_scratch = arena.used();
    return !arena.too_large();
}

} // namespace throughtime::THROUGHTIME_SET_NAME
