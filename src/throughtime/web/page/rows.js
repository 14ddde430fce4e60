// The rows that are lines, bars and letters.

import { arcs } from 'arcs';
import { biggest, nums } from 'data';
import { s as svg } from 'dom';
import { glyph, lowered } from 'format';
import { runs, SMALL, ticks } from 'layout';

const SPOKEN = { cut: 'cut', below: 'below float precision', zero: 'exactly zero', reset: 'another sequence',
  unbounded: 'not finite', absent: 'nothing flows' };
const PATTERN = { cut: 'cut', below: 'below', zero: 'zero', reset: 'reset' };

function losses(row, scale, trace, state, view) {
  const values = nums(trace.losses[state.sample]);
  const finite = values.filter((v) => v !== null && Number.isFinite(v));
  const low = Math.min(0, ...finite);
  const span = Math.max(0, ...finite) - low || 1;
  const foot = row.y + row.height;
  const radius = Math.min(4, Math.max(1.2, scale.cell * 0.36));
  const followed = new Set(view.layer.anchors);
  const nodes = [];
  let stems = '';
  for (let t = scale.from; t < scale.to; t += 1) {
    const value = values[t];
    if (value === null) continue;
    const whole = Number.isFinite(value);
    const y = whole ? foot - 6 - ((value - low) / span) * (row.height - 12) : row.y + 4;
    const x = scale.middle(t);
    const kind = t === view.s ? 'chosen' : followed.has(t) ? 'followed' : 'other';
    stems += `M${x} ${foot}V${y}`;
    if (kind === 'chosen') nodes.push(svg('path.stem.chosen', { d: `M${x} ${foot}V${y}` }));
    if (whole && (scale.cell > 2 || kind !== 'other')) {
      nodes.push(svg('circle', { cx: x, cy: y, r: kind === 'chosen' ? radius + 1.5 : radius, class: `loss ${kind}`, 'data-step': t }));
    } else if (!whole) nodes.push(svg('text.loss-word', { x, y: y + 4, 'data-step': t }, Number.isNaN(value) ? 'NaN' : '∞'));
  }
  return [svg('path.hair', { d: `M${scale.left} ${foot}H${scale.right}` }), svg('path.stem', { d: stems }), nodes];
}

function letters(row, scale, list, kind) {
  if (scale.cell < 6.5) return [];
  const nodes = [];
  for (let t = scale.from; t < scale.to; t += 1) {
    if (list[t] === null || list[t] === undefined) continue;
    const text = glyph(String(list[t]));
    nodes.push(svg('text', { x: scale.middle(t), y: row.y + 0.7 * row.height, class: kind,
      'font-size': Math.min(13, 1.5 * scale.cell) }, [...text].slice(0, Math.max(1, Math.floor(scale.cell / 7))).join('')));
  }
  return nodes;
}

function bars(row, scale, values, positive, negative) {
  const most = biggest(values) || 1;
  const down = values.some((v) => v < 0);
  const zero = row.y + row.height * (down ? 0.5 : 1);
  const tall = row.height * (down ? 0.5 : 1) - 1;
  const wide = Math.max(0.7, scale.cell - Math.min(2, scale.cell * 0.25));
  const words = [];
  const drawn = ['', ''];
  for (let t = scale.from; t < scale.to; t += 1) {
    const value = values[t];
    if (value === null || value === 0) continue;
    if (Number.isFinite(value)) {
      const size = Math.max(0.8, (Math.abs(value) / most) * tall);
      drawn[value > 0 ? 0 : 1] += `M${scale.middle(t) - wide / 2} ${zero}v${value > 0 ? -size : size}h${wide}V${zero}`;
    } else words.push(svg('text.loss-word', { x: scale.middle(t), y: zero - 2 }, Number.isNaN(value) ? 'NaN' : '∞'));
  }
  return [svg('path.hair', { d: `M${scale.left} ${zero}H${scale.right}` }), svg('path', { d: drawn[0], class: positive }),
    svg('path', { d: drawn[1], class: negative }), words];
}

function axis(row, scale) {
  return ticks(scale).map((t) => svg('text.tick', { x: scale.middle(t), y: row.y + 12 }, String(t)));
}

// What did not arrive, and why: hatched, with the word where there is room.
function fates(row, arcsRow, scale, view) {
  const nodes = [];
  for (const run of runs(view.status, scale.from, scale.to)) {
    if (run.what === 'flow' || run.what === 'after') continue;
    const x = scale.x(run.from);
    const width = scale.x(run.to) - x;
    const tall = run.what === 'cut' ? arcsRow.y + arcsRow.height - row.y : row.height;
    nodes.push(svg('rect', { x, y: row.y, width, height: tall, class: `fate ${run.what}`,
      fill: PATTERN[run.what] ? `url(#strip-${PATTERN[run.what]})` : null }));
    const word = SPOKEN[run.what];
    if (width > word.length * 6.4 + 8) {
      const y = run.what === 'cut' ? row.y + tall / 2 + 4 : row.y + row.height / 2 + 4;
      nodes.push(svg('text', { x: x + width / 2, y, class: `fate-word ${run.what}`, 'data-fate': run.what }, word));
    }
  }
  return nodes;
}

function chosenCells(row, scale, state, view) {
  const ring = (t, kind) => t >= scale.from && t < scale.to
    ? [svg('rect', { x: scale.x(t) - 1, y: row.y - 2, width: scale.cell + 2, height: row.height + 4, rx: 2, class: `ring ${kind}` })] : [];
  const chosen = state.step !== null && state.step !== view.s ? ring(state.step, 'step') : [];
  return [...ring(view.s, 'loss'), ...chosen];
}

export function drawRow(row, layout, scale, trace, state, view) {
  switch (row.kind) {
    case 'losses': return losses(row, scale, trace, state, view);
    case 'symbols': return letters(row, scale, trace.symbols[state.sample], 'symbol');
    case 'targets': return letters(row, scale, trace.targets[state.sample], 'symbol target');
    case 'input': return row.narrow ? [] : bars(row, scale, nums(row.input.values[state.sample]), 'input', 'input');
    case 'axis': return axis(row, scale);
    case 'gradient': return [fates(row, layout.find('arcs'), scale, view), chosenCells(row, scale, state, view)];
    case 'arcs': return arcs(row, scale, view, state.step);
    case 'weights': return bars(row, scale, nums(view.layer.weights[state.block].c), 'gain', 'loss-of');
    default: return [];
  }
}

// The names in the margin: [main, small].
export function nameOf(row, width, trace, view) {
  const small = width < SMALL;
  const z = row.name;
  switch (row.kind) {
    case 'losses': return [small ? 'loss' : 'loss ℓ', small ? '' : 'click one'];
    case 'timeline': {
      const { name, kind } = row.timeline;
      const units = `${row.units} of ${row.layer.hidden} units`;
      return kind === 'state' ? [small ? name : `${row.layer.recurrent ? 'state' : 'input'} ${name}`, small ? '' : units] : [small ? name : `${name} gate`, ''];
    }
    case 'folded': return [row.layer.name, ''];
    case 'symbols': return ['reads', ''];
    case 'targets': return [small ? 'wants' : 'should say', ''];
    case 'input': return row.narrow ? (row.index ? ['', ''] : [small ? 'reads' : `reads ${trace.inputs.length}`, ''])
      : [small ? row.input.name : `reads ${row.input.name}`, ''];
    case 'axis': return [small ? 't' : 'step t', ''];
    case 'gradient': return small ? [`∂ℓ${lowered(view.s)}/∂${z}`, ''] : [`‖∂ℓ${lowered(view.s)}/∂${z}ₜ‖`, 'what arrives'];
    case 'arcs': return ['', ''];
    case 'all': return [small ? 'all ℓ' : 'all losses', ''];
    case 'weights': return [small ? 'cₜ' : 'weights cₜ', small ? '' : 'share of ΔW'];
    default: return ['', ''];
  }
}

