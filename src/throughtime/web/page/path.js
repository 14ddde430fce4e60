// The path from a loss back to one step: the product of its jumps, with the numbers put in.

import { journey, stateName } from 'data';
import { dress, h, measured, patterns, s as svg } from 'dom';
import { equation, formulas } from 'equations';
import { fixed, lowered, number, percent, steps } from 'format';
import { ladder } from 'ladder';
import { table } from 'table';

export class Path {
  constructor(root, store) {
    Object.assign(this, { root, store });
    this.svgs = [svg('svg.ladder', { tabindex: 0, role: 'img' }), svg('svg.ladder', { role: 'img' })];
    this.detail = h('p.readout', { id: 'jump' });
    this.body = h('div');
    root.append(svg('svg.defs', { width: 0, height: 0 }, patterns('path')), this.body);
    this.svgs.forEach((one) => one.addEventListener('pointermove', (event) => this.hover(event, one)));
    this.svgs[0].addEventListener('keydown', (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[event.key];
      if (!by) return;
      event.preventDefault();
      store.point(store.at + by);
    });
    measured(root, () => this.draw());
    store.subscribe(() => this.draw());
    store.onPoint(() => this.tell());
  }

  draw() {
    const { trace, state, view } = this.store;
    this.way = journey(trace, state, view);
    this.root.classList.toggle('empty', !this.way);
    if (!this.way) {
      this.body.replaceChildren();
      return;
    }
    const { s, t, jumps, strongest } = this.way;
    const z = stateName(view.layer);
    const ordered = view.layer.reverse ? jumps : [...jumps].reverse();
    this.body.replaceChildren(h('div',
      h('header.section',
        h('h2', 'From ', h('span.loss-word', `ℓ${lowered(s)}`), ' back to ',
          h('span.step-word', `${z}${lowered(t)}`), h('span.aside', steps(Math.abs(s - t)))),
        h('button', { type: 'button', class: 'quiet', onclick: () => this.store.pickStep(null) }, 'close')),
      h('div.path-columns', h('div.charts', equation(this.way, view, z),
        strongest && strongest.r < 0 && this.drop(strongest), this.svgs.map((one, i) => [this.keys(view, i), one]), this.detail,
        table(this.way, view, trace, state)), formulas(view.layer))));
    this.charts(view, ordered);
    this.tell();
  }

  drop({ from, to, r, split }) {
    const why = split && split.squashing !== null
      ? `: squashing ${fixed(split.squashing)}, weights ${fixed(split.weights)} nats` : '';
    return h('p.drop-line', { id: 'drop' }, 'The strongest drop is from step ', h('b', `${from} to ${to}`),
      `, × ${number(Math.exp(r))}${why}.`);
  }

  keys(view, i) {
    const key = (kind, text) => h('span.key', svg('svg', { width: 10, height: 10, 'aria-hidden': 'true' },
      svg('rect', { width: 10, height: 10, class: `bar ${kind}` })), text);
    const { split, paths } = view.layer;
    if (i) {
      return this.shared(view) && h('p.legend', h('span.label', 'Shares by path, summing to one'),
        paths.map((name, p) => this.taken(p) && key(`path-${p % 6}`, name)));
    }
    return h('p.legend', h('span.label', 'Nats by jump (−0.69 halves)'), split
      ? [key('squashing', 'squashing'), key('weights-part', 'weights'), h('span.key', '— their sum, r')] : key('jump', 'r'));
  }

  // Whether anything comes by this path.
  taken(p) {
    return this.way.jumps.some(({ shares }) => Math.abs(shares[p]) > 5e-4);
  }

  shared(view) {
    return view.layer.paths.length > 1;
  }

  charts(view, ordered) {
    const width = this.root.querySelector('.charts').clientWidth;
    const totals = ordered.map((jump) => jump.r);
    const parts = view.layer.split
      ? [{ kind: 'squashing', values: ordered.map((jump) => jump.split.squashing) },
        { kind: 'weights-part', values: ordered.map((jump) => jump.split.weights) }]
      : [{ kind: 'jump', values: totals }];
    const heights = [164, 140];
    this.ordered = ordered;
    this.drawn = [ladder({ jumps: ordered, series: parts, totals, width, height: heights[0], strongest: this.way.strongest })];
    const shared = this.shared(view);
    if (shared) {
      const series = view.layer.paths.map((_, i) => ({ kind: `path-${i % 6}`, values: ordered.map((jump) => jump.shares[i]) }));
      this.drawn.push(ladder({ jumps: ordered, series, width, height: heights[1], limit: [-0.75, 1.75], y: 1 }));
    }
    this.svgs[1].toggleAttribute('hidden', !shared);
    this.marks = this.drawn.map(({ nodes }, i) => {
      const mark = svg('rect.cursor', { y: 4, height: heights[i] - 24 });
      dress(this.svgs[i], { width, height: heights[i],
        'aria-label': i ? 'shares by path' : 'jumps in nats; arrows move over the steps' });
      this.svgs[i].replaceChildren(mark, ...nodes);
      return mark;
    });
  }

  hover(event, one) {
    const px = event.clientX - one.getBoundingClientRect().left;
    this.store.point(this.ordered[this.drawn[0].index(px)].to);
  }

  tell() {
    if (!this.way) return;
    const i = this.ordered.findIndex((jump) => jump.to === this.store.at);
    this.marks.forEach((mark, n) => {
      const { x, cell } = this.drawn[n];
      dress(mark, { visibility: i < 0 ? 'hidden' : 'visible', x: x(Math.max(i, 0)) - cell / 2, width: cell });
    });
    if (i < 0) {
      this.detail.replaceChildren(h('span', 'Point at a bar, or focus the chart and use the arrows, for its numbers.'));
      return;
    }
    const jump = this.ordered[i];
    const { layer } = this.store.view;
    const item = (name, value) => h('span', h('i', name), ' ', value);
    const shares = this.shared(this.store.view) ? layer.paths.map((name, p) => this.taken(p) && item(name, jump.shares[p] === null ? '–'
      : jump.shares[p] < 0 ? `−${percent(-jump.shares[p])}` : percent(jump.shares[p]))) : [];
    this.detail.replaceChildren(h('b', `${jump.from} → ${jump.to}`),
      item('r', jump.status === 'cut' ? 'cut' : `${fixed(jump.r)} nats (× ${number(jump.factor)})`),
      ...(jump.split ? [item('squashing', fixed(jump.split.squashing)), item('weights', fixed(jump.split.weights))] : []),
      ...shares.filter(Boolean));
  }
}
