// What is painted over the image: hints, the outline of a segment, the brush, the cross and the ring.

import { $ } from "./dom.js";
import { painted, regionsPicture } from "./regions.js";
import { brushWidth, color, hand, view } from "./state.js";

const pen = $("canvas").getContext("2d");

function path(vertices) {
  pen.beginPath();
  vertices.forEach(([x, y], index) => (index ? pen.lineTo(x, y) : pen.moveTo(x, y)));
  if (vertices.length === 1) pen.lineTo(vertices[0][0] + 0.01, vertices[0][1]);
}

export function paintHints(state) {
  pen.imageSmoothingEnabled = false;
  pen.globalAlpha = 0.6;
  if (view.raster) pen.drawImage(view.raster, 0, 0, view.width, view.height);
  if (state.regions.length) pen.drawImage(regionsPicture(state.regions), 0, 0);
  pen.globalAlpha = 1;
  pen.lineCap = pen.lineJoin = "round";
  for (const stroke of state.strokes) {
    path(stroke.vertices.map(([x, y]) => [x + 0.5, y + 0.5]));
    pen.lineWidth = stroke.width + 2 / view.scale; pen.strokeStyle = "#fff"; pen.stroke();
    pen.lineWidth = stroke.width; pen.strokeStyle = color(stroke.label); pen.stroke();
  }
  for (const box of state.boxes) {
    pen.strokeStyle = "#fff"; pen.lineWidth = 4 / view.scale; pen.strokeRect(box.x0, box.y0, box.x1 - box.x0, box.y1 - box.y0);
    pen.strokeStyle = color(box.label); pen.lineWidth = 2 / view.scale; pen.strokeRect(box.x0, box.y0, box.x1 - box.x0, box.y1 - box.y0);
  }
  for (const point of state.points) {
    pen.beginPath(); pen.arc(point.x + 0.5, point.y + 0.5, 6 / view.scale, 0, 7);
    pen.fillStyle = color(point.label); pen.fill();
    pen.strokeStyle = "#fff"; pen.lineWidth = 2 / view.scale; pen.stroke();
  }
}

export function paintOutline() {
  for (const part of view.outline) {
    path([...part, part[0]]);
    pen.strokeStyle = "#000"; pen.lineWidth = 4 / view.scale; pen.stroke();
    pen.strokeStyle = "#f0e442"; pen.lineWidth = 2 / view.scale; pen.stroke();
  }
}

export function paintHighlight({ vertices, width, x, y, x0, y0, x1, y1, runs }) {
  pen.strokeStyle = "#f0e442"; pen.lineWidth = 4 / view.scale;
  if (vertices) { path(vertices.map(([vx, vy]) => [vx + 0.5, vy + 0.5])); pen.lineWidth = width + 8 / view.scale; pen.globalAlpha = 0.6; pen.stroke(); pen.globalAlpha = 1; }
  else if (runs) pen.drawImage(painted([[runs, "#f0e442"]]), 0, 0);
  else if (x0 !== undefined) pen.strokeRect(x0, y0, x1 - x0, y1 - y0);
  else { pen.beginPath(); pen.arc(x + 0.5, y + 0.5, 11 / view.scale, 0, 7); pen.stroke(); }
}

// How wide a stroke would be here.
export function paintCursor([x, y]) {
  pen.beginPath(); pen.arc(x, y, brushWidth() / 2, 0, 7);
  pen.lineWidth = 3 / view.scale; pen.strokeStyle = "#000"; pen.stroke();
  pen.lineWidth = 1.5 / view.scale; pen.strokeStyle = hand.tool === "rub" ? "#fff" : color(hand.label); pen.stroke();
}

// Where keys draw.
export function paintCross([x, y]) {
  for (const [width, style] of [[5, "#fff"], [2, "#000"]]) {
    pen.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      pen.moveTo(x + 0.5 + (4 * dx) / view.scale, y + 0.5 + (4 * dy) / view.scale);
      pen.lineTo(x + 0.5 + (20 * dx) / view.scale, y + 0.5 + (20 * dy) / view.scale);
    }
    pen.lineWidth = width / view.scale; pen.strokeStyle = style; pen.stroke();
  }
}

export function paintRing({ x, y }) {
  pen.lineWidth = 3 / view.scale; pen.strokeStyle = "#fff";
  pen.beginPath(); pen.arc(x, y, 14 / view.scale, 0, 7); pen.stroke();
  pen.setLineDash([5 / view.scale, 4 / view.scale]); pen.strokeStyle = "#000"; pen.stroke(); pen.setLineDash([]);
  pen.font = `600 ${13 / view.scale}px system-ui, sans-serif`;
  pen.textAlign = x > view.width / 2 ? "right" : "left";
  pen.textBaseline = "middle";
  const left = x + (x > view.width / 2 ? -20 : 20) / view.scale;
  pen.lineWidth = 4 / view.scale; pen.strokeStyle = "#000"; pen.strokeText("most uncertain here", left, y);
  pen.fillStyle = "#fff"; pen.fillText("most uncertain here", left, y);
}
