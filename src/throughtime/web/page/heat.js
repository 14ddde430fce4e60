// The rows of cells, painted on a canvas: one small picture a row, stretched over its columns.

import * as colour from 'colour';
import { biggest, num } from 'data';

const sketch = document.createElement('canvas');

function prepared(canvas, width, height) {
  const dense = devicePixelRatio || 1;
  canvas.width = Math.round(width * dense);
  canvas.height = Math.round(height * dense);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext('2d');
  pen.setTransform(dense, 0, 0, dense, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.imageSmoothingEnabled = false;
  return pen;
}

// rows [row][t] of colours (null: nothing there), stretched over a rectangle.
function stretched(pen, rows, from, to, x, y, width, height) {
  const count = to - from;
  const image = new ImageData(count, rows.length);
  rows.forEach((row, i) => {
    for (let t = from; t < to; t += 1) {
      const rgb = row(t);
      if (rgb === null) continue;
      const at = 4 * (i * count + t - from);
      image.data[at] = rgb[0];
      image.data[at + 1] = rgb[1];
      image.data[at + 2] = rgb[2];
      image.data[at + 3] = 255;
    }
  });
  sketch.width = count;
  sketch.height = rows.length;
  sketch.getContext('2d').putImageData(image, 0, 0);
  pen.drawImage(sketch, x, y, width, height);
}

function seams(pen, scale, y, height, unit, units) {
  pen.fillStyle = colour.ground();
  if (scale.cell >= 5) {
    for (let t = scale.from + 1; t < scale.to; t += 1) pen.fillRect(scale.x(t) - 0.5, y, 1, height);
  }
  if (unit >= 4) for (let u = 1; u < units; u += 1) pen.fillRect(scale.left, y + u * unit - 0.25, scale.right - scale.left, 0.5);
}

function shades(timeline, sample, units) {
  const rows = timeline.values[sample].slice(0, units);
  if (timeline.kind === 'sigmoid') return rows.map((row) => (t) => colour.gate(num(row[t])));
  const scale = timeline.kind === 'tanh' ? 1 : Math.max(...rows.map((row) => biggest(row.map(num))), 1e-12);
  return rows.map((row) => (t) => colour.state(num(row[t]), scale));
}

const gradientShade = (values, domain, status, fates = false) => (t) => {
  const value = values[t];
  if (status && status[t] !== 'flow') return fates ? colour.fate(status[t]) : null;
  return value !== null && Number.isFinite(value) ? colour.gradient(value, domain) : null;
};

export function paintStrip(canvas, width, layout, scale, trace, state, view) {
  const pen = prepared(canvas, width, layout.height);
  const band = (row, rows) => {
    stretched(pen, rows, scale.from, scale.to, scale.left, row.y, scale.right - scale.left, row.height);
    seams(pen, scale, row.y, row.height, row.unit ?? row.height, row.units ?? 1);
  };
  for (const row of layout.rows) {
    if (row.kind === 'timeline' || row.kind === 'folded') band(row, shades(row.timeline, state.sample, row.units));
    else if (row.kind === 'input' && row.narrow) {
      const values = row.input.values[state.sample];
      const most = biggest(values.map(num));
      band(row, [(t) => colour.state(num(values[t]), most)]);
    } else if (row.kind === 'gradient') band(row, [gradientShade(view.shown, view.domain, view.status)]);
    else if (row.kind === 'all') band(row, [gradientShade(view.shownAll, view.domain, null)]);
  }
}

export function paintOverview(canvas, width, height, left, right, trace, view) {
  const pen = prepared(canvas, width, height);
  stretched(pen, [gradientShade(view.shown, view.domain, view.status, true)], 0, trace.steps, left, 0, right - left, height);
}

export function legendImage(canvas, width, height) {
  const pen = prepared(canvas, width, height);
  stretched(pen, [(i) => colour.gradient(i, [0, width - 1])], 0, width, 0, 0, width, height);
}
