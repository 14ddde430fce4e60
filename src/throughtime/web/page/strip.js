// The unrolled strip: cells on a canvas, lines and words over it, and what moves above both.

import { dress, h, measured, patterns, s as svg } from 'dom';
import { gestures } from 'gestures';
import { paintStrip } from 'heat';
import { rowsOf, scaleOf, windowOf } from 'layout';
import { drawRow, nameOf } from 'rows';
import { Wall } from 'wall';

export class Strip {
  constructor(root, store) {
    Object.assign(this, { root, store });
    this.canvas = h('canvas', { 'aria-hidden': 'true' });
    this.drawing = svg('g');
    this.cursor = svg('rect.cursor');
    this.plumb = svg('line.plumb');
    this.wall = new Wall(store, () => this.scale);
    this.margin = svg('g.margin');
    this.svg = svg('svg.over', { 'aria-hidden': 'true' }, patterns('strip'),
      svg('clipPath', { id: 'strip-clip' }, (this.clip = svg('rect'))),
      svg('g', { 'clip-path': 'url(#strip-clip)' }, this.plumb, this.drawing), this.margin);
    this.front = svg('svg.over.front', this.wall.node);
    this.back = svg('svg.over', { 'aria-hidden': 'true' }, this.cursor);
    root.append(this.back, this.canvas, this.svg, this.front);
    root.tabIndex = 0;
    dress(root, { role: 'application', 'aria-label': 'Unrolled strip. Arrows move over the steps, Enter follows the loss ' +
      'of a step, Shift and Enter opens the path back to it, question mark lists all keys.' });
    gestures(this);
    measured(root, () => this.draw());
    store.subscribe(() => this.draw());
    store.onPoint((t) => this.pointed(t));
  }

  draw() {
    const { root, store } = this;
    const { trace, state } = store;
    const width = root.clientWidth;
    if (!width || state.view === 'rolled') return;
    const view = store.view;
    this.scale = scaleOf(width, windowOf(trace, state, width));
    this.layout = rowsOf(trace, state, width);
    for (const node of [this.back, this.svg, this.front]) dress(node, { width, height: this.layout.height });
    root.style.height = `${this.layout.height}px`;
    const { left, right } = this.scale;
    dress(this.clip, { x: left - 2, y: 0, width: right - left + 4, height: this.layout.height });
    paintStrip(this.canvas, width, this.layout, this.scale, trace, state, view);
    this.drawing.replaceChildren(...this.layout.rows.map((row) =>
      svg('g', { class: `row ${row.kind}` }, drawRow(row, this.layout, this.scale, trace, state, view))));
    this.margin.replaceChildren(...this.layout.rows.flatMap((row) => this.named(row, width, trace, view)));
    this.hang(view);
    this.wall.draw(this.layout);
    this.pointed(store.at);
  }

  // The line from the loss down to the state it reads.
  hang(view) {
    const [top, foot] = [this.layout.find('losses'), this.layout.find('gradient')];
    const x = this.scale.middle(view.s);
    dress(this.plumb, { x1: x, x2: x, y1: top.y + top.height, y2: foot.y });
  }

  named(row, width, trace, view) {
    const [name, small] = nameOf(row, width, trace, view);
    if (!name) return [];
    const x = this.scale.left - 10;
    const middle = row.y + row.height / 2;
    const most = width < 620 ? 8 : 17;
    const text = svg('text', { x, y: middle + (small ? -2 : 4), class: `name ${row.kind}` },
      name.length > most ? `${name.slice(0, most - 1)}…` : name);
    const more = small ? [svg('text.name.small', { x, y: middle + 11 }, small)] : [];
    if (row.kind !== 'folded') return [text, ...more];
    text.setAttribute('data-layer', row.index);
    return [text];
  }

  pointed(t) {
    if (!this.scale) return;
    const inside = t >= this.scale.from && t < this.scale.to;
    const { cell } = this.scale;
    dress(this.cursor, { visibility: inside ? 'visible' : 'hidden', x: this.scale.x(t), y: 26, width: cell,
      height: this.layout.height - 30 });
  }

  // Bring a step into the window.
  reveal(t) {
    const { from, to, count } = this.scale;
    if (t >= from && t < to) return;
    this.view(t < from ? t : t - count + 1, count);
  }

  view(from, count) {
    const all = this.store.trace.steps;
    const size = Math.round(Math.min(all, Math.max(Math.min(8, all), count)));
    const start = Math.round(Math.min(all - size, Math.max(0, from)));
    this.store.set({ from: start, to: start + size }, true);
  }

  zoom(factor, around = this.store.at) {
    const { from, count } = this.scale;
    const share = Math.min(1, Math.max(0, (around - from) / count));
    const size = Math.max(8, Math.round(count * factor));
    this.view(around - share * size, size);
  }

}
