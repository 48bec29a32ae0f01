// ---- Drawing. How much there is to draw depends on the pixels and never on the events.

const GUTTER = 168, RULER = 24;
const STATE_COLOURS = ["user", "kernel", "runnable", "sleeping", "blocked", "stopped", "zombie", "idle"];
/** How high a state stands in its lane; what waits is a thin line. */
const LEVEL = [1, 1, 0.45, 0.12, 0.12, 0.2, 0.2, 0];
/** In a column of many segments the busy states stand below the waiting ones. */
const STACK = [USER, KERNEL, RUNNABLE], BUSY = [USER, KERNEL];
const MOST_ARROWS = 400;
const FONT = "12px system-ui, sans-serif", SMALL = "10.5px system-ui, sans-serif";

class Painter {
  constructor(lanes, overview, picture) {
    this.canvas = lanes;
    this.overview = overview;
    this.picture = picture;
    this.context = lanes.getContext("2d");
    this.raster = new Raster();
    this.strip = document.createElement("canvas");
    this.readColours();
  }

  readColours() {
    const style = getComputedStyle(document.documentElement);
    const get = (name) => style.getPropertyValue("--" + name).trim();
    this.colours = { states: STATE_COLOURS.map(get), classes: CLASSES.map((c) => get(c.name)) };
    this.packed = { states: this.colours.states.map(packedColour), classes: this.colours.classes.map(packedColour) };
    this.stripOf = "";
    for (const name of ["page", "panel", "ink", "soft", "rule", "accent", "mark", "hover"]) this.colours[name] = get(name);
  }

  /** Makes a canvas as sharp as the screen is. */
  fit(canvas) {
    const ratio = this.ratio = window.devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = canvas;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    return { context, width, height };
  }

  x(cycle) { return GUTTER + (cycle - this.view.from) * this.scale; }
  cycle(x) { return this.view.from + (x - GUTTER) / this.scale; }
  y(row) { return RULER + row.y - this.view.top; }

  draw(view, state) {
    this.view = view;
    const { context, width, height } = this.fit(this.canvas);
    this.scale = (width - GUTTER) / (view.to - view.from);
    this.width = width;
    context.fillStyle = this.colours.page;
    context.fillRect(0, 0, width, height);
    const rows = this.picture.rows.filter((row) => this.y(row) < height && this.y(row) + row.height > RULER);
    context.save();
    context.beginPath();
    context.rect(0, RULER, width, height - RULER);
    context.clip();
    this.dense = this.isDense(rows);
    for (const row of rows) this.drawRow(row, state);
    context.beginPath();
    context.rect(GUTTER, RULER, width - GUTTER, height - RULER);
    context.clip();
    this.drawArrows(height);
    this.drawHits(state, height);
    context.restore();
    this.drawRuler(width);
    this.drawCursor(state, height);
  }

  /** True if the rows have so many segments in view that they are better drawn by
   *  columns of pixels: all of them, so that what is alike looks alike. */
  isDense(rows) {
    let segments = 0, pixels = 0;
    for (const row of rows) {
      row.tracks.forEach((track, run) => {
        const part = track && this.inView(track, this.picture.shift(run));
        if (!part) return;
        segments += part.last - part.first;
        pixels += (part.to - part.from) * this.scale;
      });
    }
    return segments > pixels / 6;
  }

  /** The part of a track that is in view, or nothing. */
  inView(track, shift) {
    const from = Math.max(this.view.from - shift, track.born), to = Math.min(this.view.to - shift, track.end);
    if (from >= to) return null;
    return { from, to, first: search(track.to, from, true), last: Math.min(search(track.to, to), track.count - 1) };
  }

  drawRow(row, state) {
    const { context, colours } = this;
    const y = this.y(row);
    if (state.row === row) {
      context.fillStyle = colours.hover;
      context.fillRect(0, y, this.width, row.height);
    }
    context.fillStyle = colours.rule;
    context.fillRect(0, y + row.height - 1, this.width, 1);
    context.save();
    context.beginPath();
    context.rect(GUTTER, y, this.width - GUTTER, row.height);
    context.clip();
    this.raster.begin(Math.ceil((this.width - GUTTER) * this.ratio), Math.round(row.height * this.ratio));
    row.tracks.forEach((track, run) => {
      if (track) this.drawTrack(row, track, run, y, barTop(run));
    });
    row.lanes?.forEach((lane, run) => {
      if (lane) this.drawMarks(lane, run, y + this.picture.stripTop(run), this.picture.stripTop(run));
    });
    this.raster.put(context, GUTTER, y, this.ratio);
    if (this.dense) this.drawLongLabels(row, y);
    context.restore();
    this.drawName(row, y, state);
  }

  drawName(row, y, state) {
    const { context, colours } = this;
    context.fillStyle = state.row === row ? colours.hover : colours.panel;
    context.fillRect(0, y, GUTTER - 1, row.height - 1);
    context.fillStyle = colours.rule;
    context.fillRect(GUTTER - 1, y, 1, row.height);
    const x = 10 + Math.min(row.depth, 5) * INDENT;
    const room = GUTTER - x - 8;
    context.fillStyle = row.system ? colours.soft : colours.ink;
    context.font = (row.cpu || row.system ? "" : "600 ") + FONT;
    context.textBaseline = "middle";
    context.fillText(shorten(context, row.name, room), x, y + 14);
    context.font = SMALL;
    context.fillStyle = colours.soft;
    if (row.program) context.fillText(shorten(context, row.program, room), x, y + 29);
    if (!this.picture.both) return;
    const only = row.lanes && (!row.lanes[0] ? "only in B" : !row.lanes[1] ? "only in A" : "");
    if (only) context.fillText(only, x, y + 45);
    row.tracks.forEach((track, run) => {
      if (track) context.fillText("AB"[run], GUTTER - 14, y + barTop(run) + BAR / 2);
    });
  }

  /** One lane of one run: segment by segment, or column by column if they are too many. */
  drawTrack(row, track, run, y, top) {
    const shift = this.picture.shift(run);
    const part = this.inView(track, shift);
    if (!part) return;
    const own = part.last - part.first > (part.to - part.from) * this.scale;
    if (this.dense || own) this.rasterTrack(row, track, shift, part.from, part.to, top);
    else this.drawSegments(row, track, run, part.first, part.last, y + top);
  }

  drawSegments(row, track, run, first, last, top) {
    const shift = this.picture.shift(run);
    const { context, colours } = this;
    for (let at = first; at <= last; at++) {
      const state = track.state[at];
      if (row.name === "idle" && state === RUNNABLE) continue;
      const left = Math.max(this.x(track.from(at) + shift), GUTTER - 2);
      const right = Math.min(this.x(track.to[at] + shift), this.width + 2);
      const width = Math.max(right - left, 0.6);
      const level = state === IDLE ? 0.3 : LEVEL[state];
      const tall = BAR * level;
      context.fillStyle = colours.states[state];
      context.fillRect(left, top + BAR - tall, width, tall);
      if (width > 22) this.drawLabel(row, track, run, at, left, right, top);
    }
  }

  /** Among many short segments those that are long enough still say what they are. */
  drawLongLabels(row, y) {
    row.tracks.forEach((track, run) => {
      if (!track) return;
      const shift = this.picture.shift(run), top = y + barTop(run);
      let last = -1;
      for (let x = GUTTER; x < this.width; x += 20) {
        const at = track.at(this.cycle(x) - shift);
        if (at < 0 || at === last) continue;
        last = at;
        const left = Math.max(this.x(track.from(at) + shift), GUTTER), right = Math.min(this.x(track.to[at] + shift), this.width);
        if (right - left > 22) this.drawLabel(row, track, run, at, left, right, top);
      }
    });
  }

  /** What a segment is, if there is room to say it. */
  drawLabel(row, track, run, at, left, right, top) {
    const state = track.state[at];
    const words = labelOf(this.picture.runs[run], row, track, at);
    if (!words) return;
    const { context, colours } = this;
    context.font = SMALL;
    const room = right - left - 6;
    if (context.measureText(words).width > room) return;
    const busy = state === USER || state === KERNEL;
    context.fillStyle = busy ? "#fff" : colours.soft;
    context.textBaseline = "middle";
    context.fillText(words, Math.max(left, GUTTER) + 3, top + (busy ? BAR / 2 : BAR / 2 - 2));
  }

  /** Each column of pixels shows which part of its cycles went to what. */
  rasterTrack(row, track, shift, from, to, top) {
    const { raster, ratio, packed } = this;
    const perColumn = 1 / (this.scale * ratio);
    const origin = this.view.from - shift;
    const start = Math.max(Math.floor((from - origin) / perColumn), 0), end = Math.min(Math.ceil((to - origin) / perColumn), raster.width);
    const floor = Math.round((top + BAR) * ratio), tall = BAR * ratio;
    let before = new Float64Array(STATES), after = new Float64Array(STATES);
    let at = track.reach(origin + start * perColumn, 0, before);
    for (let x = start; x < end; x++) {
      at = track.reach(origin + (x + 1) * perColumn, at, after);
      let bottom = floor, waiting = SLEEPING, most = 0, total = 0;
      for (let state = 0; state < STATES; state++) {
        const share = after[state] - before[state];
        total += share;
        if (state >= SLEEPING && state <= ZOMBIE && share > most) { most = share; waiting = state; }
      }
      if (most > 0) raster.column(x, floor - Math.round(tall * LEVEL[waiting]), floor, packed.states[waiting]);
      for (const state of row.name === "idle" ? BUSY : STACK) {
        const share = (after[state] - before[state]) / total;
        if (!(share > 0)) continue;
        const high = Math.max(Math.round(tall * share * LEVEL[state]), share > 0.02 ? 1 : 0);
        raster.column(x, bottom - high, bottom, packed.states[state]);
        bottom -= high;
      }
      [before, after] = [after, before];
    }
  }

  /** The events below a lane: shapes where they are few, or else columns of pixels. */
  drawMarks(lane, run, y, strip) {
    const { context, colours } = this;
    const dense = [];
    for (let of = CLASSES.length - 1; of >= 0; of--) {
      if (!CLASSES[of].shown) continue;
      const { cycles, shift, first, end } = this.marksInView(lane, run, of);
      if (end - first >= (this.width - GUTTER) / 8) { dense.unshift(of); continue; }
      context.fillStyle = colours.classes[of];
      for (let at = first; at < end; at++) drawShape(context, CLASSES[of].shape, this.x(cycles[at] + shift), y + STRIP / 2);
    }
    dense.forEach((of, nth) => this.rasterMarks(lane, run, of, strip + STRIP * nth / dense.length, strip + STRIP * (nth + 1) / dense.length));
  }

  marksInView(lane, run, of) {
    const shift = this.picture.shift(run);
    const cycles = lane.byClass[of];
    return { cycles, shift, first: search(cycles, this.view.from - shift), end: search(cycles, this.view.to - shift, true) };
  }

  /** Many events of one class: a tick for each column of pixels that has one. */
  rasterMarks(lane, run, of, top, bottom) {
    const { raster, ratio, packed } = this;
    const { cycles, shift, first, end } = this.marksInView(lane, run, of);
    const perColumn = 1 / (this.scale * ratio);
    const origin = this.view.from - shift;
    for (let at = first; at < end;) {
      const x = Math.floor((cycles[at] - origin) / perColumn);
      raster.column(x, Math.round(top * ratio), Math.round(bottom * ratio), packed.classes[of]);
      // On to the first event that is not within the same column.
      const beyond = origin + (x + 1) * perColumn;
      at = Math.max(at + 1, search(cycles, beyond, false, at, Math.min(end, gallop(cycles, beyond, at, end))));
    }
  }

  drawArrows(height) {
    const { context, picture } = this;
    picture.runs.forEach((run, which) => {
      const shift = picture.shift(which);
      run.deeds.forEach((places, deed) => {
        if (!CLASSES[classNamed(DEEDS[deed])].shown) return;
        const cycle = (at) => run.arrows.cycle[places[at]];
        const first = searchBy(cycle, this.view.from - shift, places.length), end = searchBy(cycle, this.view.to - shift, places.length);
        // Of too many arrows every so many-th is drawn.
        const step = Math.max(1, Math.ceil((end - first) / MOST_ARROWS));
        context.globalAlpha = (deed === WAKE ? 0.7 : 0.9) * (which ? 0.5 : 1) * (step > 1 ? 0.35 : 1);
        for (let at = first; at < end; at += step) {
          const from = picture.rowOf[which].get(run.arrows.from[places[at]]), to = picture.rowOf[which].get(run.arrows.to[places[at]]);
          if (from && to && from !== to) this.drawArrow(this.x(cycle(at) + shift), from, to, which, deed, height);
        }
        context.globalAlpha = 1;
      });
    });
  }

  drawArrow(x, from, to, which, deed, height) {
    const { context, colours } = this;
    const offset = barTop(which);
    const down = to.y > from.y;
    const y0 = this.y(from) + offset + (down ? BAR : 0), y1 = this.y(to) + offset + (down ? -1 : BAR + 1);
    if (Math.max(y0, y1) < RULER || Math.min(y0, y1) > height) return;
    const colour = colours.classes[classNamed(DEEDS[deed])];
    context.strokeStyle = context.fillStyle = colour;
    context.lineWidth = deed === CLONE ? 1.6 : 1;
    context.setLineDash(deed === WAKE ? [3, 3] : []);
    context.beginPath();
    context.moveTo(x, y0);
    context.lineTo(x, y1);
    context.stroke();
    context.setLineDash([]);
    context.beginPath();
    const tip = down ? 5 : -5;
    context.moveTo(x, y1 + (down ? 1 : -1));
    context.lineTo(x - 3.5, y1 - tip);
    context.lineTo(x + 3.5, y1 - tip);
    context.fill();
  }

  drawHits(state, height) {
    const { context, colours } = this;
    const run = this.picture.runs[0];
    if (!state.hits.length) return;
    context.fillStyle = colours.accent;
    let last = -1;
    const from = firstHit(run, state.hits, this.view.from);
    for (let at = from; at < state.hits.length; at++) {
      const event = state.hits[at];
      const x = Math.round(this.x(run.cycle[event]));
      if (x > this.width) break;
      const row = this.picture.rowOf[0].get(run.lane[event]);
      if (!row || x === last && step(at)) continue;
      last = x;
      const y = this.y(row);
      context.globalAlpha = 0.3;
      context.fillRect(x - 1, y + 2, 3, row.height - 4);
      context.globalAlpha = 1;
      if (at - from > 4000) break;
    }
    function step(at) { return at % 16 !== 0; }
  }

  drawRuler(width) {
    const { context, colours } = this;
    context.fillStyle = colours.panel;
    context.fillRect(0, 0, width, RULER);
    context.fillStyle = colours.rule;
    context.fillRect(0, RULER - 1, width, 1);
    context.font = SMALL;
    context.textBaseline = "middle";
    const step = niceStep(110 / this.scale);
    for (let cycle = Math.ceil(this.view.from / step) * step; cycle < this.view.to; cycle += step) {
      const x = this.x(cycle);
      context.fillStyle = colours.rule;
      context.fillRect(x, RULER - 7, 1, 7);
      context.fillStyle = colours.soft;
      context.fillText(grouped(cycle), x + 3, 10);
    }
    context.fillStyle = colours.panel;
    context.fillRect(0, 0, GUTTER - 1, RULER - 1);
    context.fillStyle = colours.soft;
    context.fillText("cycles", 10, 11);
  }

  drawCursor(state, height) {
    const { context, colours, picture } = this;
    const line = (cycle, colour, label) => {
      const x = Math.round(this.x(cycle));
      if (x < GUTTER || x > this.width) return;
      context.fillStyle = colour;
      context.fillRect(x, 0, 1, height);
      context.font = SMALL;
      const words = label(cycle), wide = context.measureText(words).width + 10;
      const left = Math.min(x, this.width - wide);
      context.fillRect(left, 2, wide, 16);
      context.fillStyle = "#fff";
      context.textBaseline = "middle";
      context.fillText(words, left + 5, 10.5);
    };
    if (picture.difference) {
      const at = picture.difference[0] ?? picture.runs[0].cycle.length - 1;
      line(picture.runs[0].cycle[at], colours.states[STOPPED], () => "first difference");
    }
    if (state.cursor !== null) line(state.cursor, colours.accent, grouped);
    if (state.event !== null) this.drawChosen(state);
  }

  drawChosen(state) {
    const { context, colours, picture } = this;
    const run = picture.runs[state.run];
    const row = picture.rowOf[state.run].get(run.lane[state.event]);
    if (!row) return;
    const x = this.x(run.cycle[state.event] + picture.shift(state.run));
    if (x < GUTTER || x > this.width) return;
    context.strokeStyle = colours.accent;
    context.lineWidth = 2;
    context.beginPath();
    context.arc(x, this.y(row) + picture.stripTop(state.run) + STRIP / 2, 7, 0, 2 * Math.PI);
    context.stroke();
  }

  /** The whole run in one strip: how busy the CPUs are, and what is in view. */
  drawOverview(view, state) {
    const { context, width, height } = this.fit(this.overview);
    const { colours, picture } = this;
    const key = [width, height, this.ratio, picture.alignStart].join();
    if (this.stripOf !== key) this.drawStrip(width, height);
    this.stripOf = key;
    context.drawImage(this.strip, 0, 0, width, height);
    const scale = (width - GUTTER) / (picture.to - picture.from);
    const left = GUTTER + (view.from - picture.from) * scale, wide = Math.max((view.to - view.from) * scale, 3);
    context.fillStyle = colours.page;
    context.globalAlpha = 0.6;
    context.fillRect(GUTTER, 0, Math.max(left - GUTTER, 0), height);
    context.fillRect(left + wide, 0, Math.max(width - left - wide, 0), height);
    context.globalAlpha = 1;
    context.strokeStyle = colours.accent;
    context.lineWidth = 1.5;
    context.strokeRect(left, 1, wide, height - 2);
    if (state.cursor !== null) {
      context.fillStyle = colours.accent;
      context.fillRect(GUTTER + (state.cursor - picture.from) * scale, 0, 1, height);
    }
  }

  /** What of the overview stays the same while the view moves. */
  drawStrip(width, height) {
    const { colours, picture, ratio } = this;
    Object.assign(this.strip, { width: Math.round(width * ratio), height: Math.round(height * ratio) });
    const context = this.strip.getContext("2d");
    context.scale(ratio, ratio);
    context.fillStyle = colours.page;
    context.fillRect(0, 0, width, height);
    const columns = width - GUTTER, perColumn = (picture.to - picture.from) / columns;
    const tracks = picture.runs[0].cpus.map((cpu) => cpu.track);
    const spent = new Float64Array(STATES);
    for (let x = 0; x < columns; x++) {
      const from = picture.from + x * perColumn;
      spent.fill(0);
      for (const track of tracks) track.spent(from, from + perColumn, spent);
      let bottom = height - 4;
      for (const of of BUSY) {
        const tall = (height - 10) * spent[of] / (perColumn * Math.max(tracks.length, 1));
        context.fillStyle = colours.states[of];
        context.fillRect(GUTTER + x, bottom - tall, 1, tall);
        bottom -= tall;
      }
    }
    context.fillStyle = colours.panel;
    context.fillRect(0, 0, GUTTER - 1, height);
    context.fillStyle = colours.soft;
    context.font = SMALL;
    context.textBaseline = "middle";
    context.fillText("whole run", 10, 14);
    context.fillText(grouped(picture.runs[0].end) + " cycles", 10, 29);
  }
}

/** The words on a segment: whom a CPU runs, what a task does in the kernel or waits in. */
const labelOf = (run, row, track, at) => {
  const state = track.state[at];
  const cause = run.causes[track.cause[at]] ?? "";
  if (row.cpu) return state === IDLE ? "" : run.lanes[track.lane[at]]?.name ?? "";
  if (state === USER) return "user";
  if (state === KERNEL || state === SLEEPING || state === BLOCKED) return cause;
  return state === IDLE || state === RUNNABLE ? "" : run.states[state];
};

/** A place at which `array` is surely not less than the value, found in growing steps. */
const gallop = (array, value, from, end) => {
  let step = 1;
  while (from + step < end && array[from + step] < value) step *= 2;
  return from + step + 1;
};

const firstHit = (run, hits, cycle) => searchBy((at) => run.cycle[hits[at]], cycle, hits.length);

const drawShape = (context, shape, x, y) => {
  if (shape === "tick") return context.fillRect(x, y - 3.5, 1.5, 7);
  context.beginPath();
  if (shape === "dot") context.arc(x, y, 3, 0, 2 * Math.PI);
  if (shape === "square") context.rect(x - 3, y - 3, 6, 6);
  if (shape === "diamond") { context.moveTo(x, y - 5.5); context.lineTo(x + 5, y); context.lineTo(x, y + 5.5); context.lineTo(x - 5, y); }
  if (shape === "triangle") { context.moveTo(x, y - 5); context.lineTo(x + 5, y + 4); context.lineTo(x - 5, y + 4); }
  if (shape === "flag") { context.rect(x - 0.75, y - 6, 1.5, 12); context.moveTo(x, y - 6); context.lineTo(x + 7, y - 3); context.lineTo(x, y); }
  context.fill();
};

/** 1, 2 or 5 times a power of ten, not less than this. */
const niceStep = (least) => {
  const power = 10 ** Math.floor(Math.log10(Math.max(least, 1)));
  return Math.max(1, [1, 2, 5, 10].map((n) => n * power).find((step) => step >= least));
};

const shorten = (context, text, room) => {
  if (context.measureText(text).width <= room) return text;
  let end = text.length;
  // The end of a path says more than its beginning.
  while (end > 1 && context.measureText("…" + text.slice(-end)).width > room) end--;
  return "…" + text.slice(-end);
};
