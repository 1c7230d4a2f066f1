// What the page shows: the project, the image that is open, its hints, and the hand that draws. Parts of the page
// listen for what changed; nothing else connects them.

import { EMPTY } from "./hints.js";

export const project = { classes: [], images: [], background: null, complete: false, orphans: [], uncertain: {}, run: null, model: "hints" };
export const view = { key: null, width: 1, height: 1, scale: 1, x: 0, y: 0, photo: null, mask: null, outline: null, kept: [], hidden: new Set(), cursor: null, cross: null, highlight: null };
export const hints = { drawn: structuredClone(EMPTY), past: [], future: [] }; // drawn: what the server holds, or is about to; past, future: { key, state } of any image
export const hand = { tool: "scribble", label: null, current: null, brush: 14 };

export const classOf = (id) => project.classes.find((entry) => entry.id === id);
// Its width is chosen in pixels of the screen; hints have pixels of the image.
export const brushWidth = () => Math.min(Math.max(Math.round(hand.brush / view.scale), 1), 200);

// As the page lists them; files number them otherwise.
export const listed = () => [...project.classes].sort((one, other) => one.place - other.place);
export const color = (id) => classOf(id)?.color ?? "#888";
export const isShown = (hint) => !view.hidden.has(hint.label);
export const imageOf = (key) => project.images.find((entry) => entry.key === key);

// Events: "hints" (of the open image), "classes", "images", "view" (to be drawn again), "mask" (to be asked for again),
// "notice" (what others changed), "opened", "back" (the server answers again),
// "replaced" (the file of the open image was written anew), "changed" (files of the project), "polled" (the server told how things are),
// "shown" (other classes are to be seen), "hand" (another tool or class).
const listeners = {};
export const on = (event, listener) => (listeners[event] ??= []).push(listener);
export const emit = (event) => { for (const listener of listeners[event] ?? []) listener(); };
