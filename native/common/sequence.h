// Steps, times and rows: a layer's sequences in the order in which it runs over them.
#pragma once

#include "kernels.h"
#include "vector.h"

namespace throughtime::THROUGHTIME_SET_NAME {

// Step s is the s-th that is taken, time t where it stands in the sequence; row r is the r-th sequence in their order,
// from the longest to the shortest, so that the rows at work are the first ones at any time.
struct Course {
    const throughtime_layer &layer;
    const Sequences &sequences;

    int64_t time_at(int64_t step) const { return layer.reverse ? layer.time - 1 - step : step; }
    int64_t sequence(int64_t row) const { return sequences.order == nullptr ? row : sequences.order[row]; }
    int64_t rows_at(int64_t time) const { return sequences.active == nullptr ? layer.batch : sequences.active[time]; }
    bool ragged() const { return sequences.order != nullptr; }

    // Whether a sequence begins afresh at `time`: at a reset, or, backwards, where a reset follows.
    bool begins(int64_t time, int64_t row) const {
        const int64_t at = time + layer.reverse;
        return layer.resets != nullptr && at < layer.time && row < rows_at(at) &&
               layer.resets[at * layer.resets_time + sequence(row) * layer.resets_batch] != 0;
    }
};

// The rows and panels of one member of a team. Few rows are shared, and their panels divided; many are divided
// themselves: into blocks where all are at work throughout, or dealt in turn, so that each has as many long ones.
struct Share {
    int64_t first, step, rows; // rows first, first + step, …
    int64_t panel_begin, panel_end;
    bool columns;

    Share(const Course &course, int member, int members, int64_t panels) : columns(by_columns(course.layer, members)) {
        const int64_t batch = course.layer.batch;
        if (columns) {
            first = 0, step = 1, rows = batch;
            panel_begin = panels * member / members, panel_end = panels * (member + 1) / members;
            return;
        }
        panel_begin = 0, panel_end = panels;
        if (course.ragged()) {
            first = member, step = members, rows = member < batch ? (batch - member + members - 1) / members : 0;
        } else {
            first = batch * member / members, step = 1, rows = batch * (member + 1) / members - first;
        }
    }

    static bool by_columns(const throughtime_layer &layer, int members) {
        return members > 1 && layer.batch <= 2 * members && layer.hidden >= kFewestColumns;
    }

    int64_t row(int64_t index) const { return first + index * step; }

    // How many of its rows are at work, of the first `active` of all.
    int64_t at_work(int64_t active) const {
        const int64_t own = active <= first ? 0 : (active - first + step - 1) / step;
        return own < rows ? own : rows;
    }
};

} // namespace throughtime::THROUGHTIME_SET_NAME
