// ---- The rows of the picture: CPUs, then tasks as a tree; two runs side by side.

/** Heights: of a row with one run and with two, of a bar, of a strip of events. */
const ROW = 44, PAIR = 80, BAR = 18, STRIP = 12, INDENT = 10;
/** From a bar to the one of the other run, and from a strip to the other one. */
const NEXT_BAR = 22, NEXT_STRIP = 14;

/** Where a run's bar begins in its row. */
const barTop = (run) => 5 + run * NEXT_BAR;

/** The runs of the page with the rows in which they are shown. */
class Picture {
  constructor(runs, difference) {
    this.runs = runs;
    this.difference = difference;
    this.showSystem = true;
    this.alignStart = true;
    this.arrange();
  }

  get both() { return this.runs.length > 1; }

  /** What is added to a cycle of a run to get its place on the common axis. */
  shift(run) {
    return run && this.alignStart ? this.runs[0].start - this.runs[run].start : 0;
  }

  get from() { return Math.min(0, ...this.runs.map((_, at) => this.shift(at))); }
  get to() { return Math.max(this.from + 1, ...this.runs.map((run, at) => run.end + this.shift(at))); }

  /** Makes the rows anew. */
  arrange() {
    const rows = [];
    const cpus = Math.max(...this.runs.map((run) => run.cpus.length));
    for (let cpu = 0; cpu < cpus; cpu++) {
      rows.push({ name: `CPU ${cpu}`, cpu: true, depth: 0, tracks: this.runs.map((run) => run.cpus[cpu]?.track) });
    }
    const [first, second] = this.runs.map(inOrder);
    const partners = new Map((second ?? []).map((lane) => [lane.name + "#" + lane.nth, lane]));
    const base = rows.length;
    for (const lane of first) rows.push(this.row([lane, partners.get(lane.name + "#" + lane.nth)]));
    this.insert(rows, base, second ?? []);
    this.rows = rows.filter((row) => this.showSystem || row.cpu || !row.system);
    let y = 0;
    for (const row of this.rows) {
      row.y = y;
      row.height = this.both ? PAIR : ROW;
      y += row.height;
    }
    this.height = y;
    this.rowOf = this.runs.map((_, run) => new Map(
      this.rows.filter((row) => row.lanes?.[run]).map((row) => [row.lanes[run].id, row])));
  }

  /** Puts the lanes that only the second run has behind those that come before them there. */
  insert(rows, base, second) {
    let place = base;
    for (const lane of second) {
      const found = rows.findIndex((row) => row.lanes?.[1] === lane);
      if (found < 0) rows.splice(place, 0, this.row([undefined, lane]));
      place = (found < 0 ? place : found) + 1;
    }
  }

  /** Where the strip of a run's events begins in its row. */
  stripTop(run) { return (this.both ? 5 + 2 * NEXT_BAR : 5 + BAR + 5) + run * NEXT_STRIP; }

  /** The program of a lane: the last one that it ran, or that of who created it. */
  program(run, lane) {
    for (let at = lane; at && !at.system; at = run.lanes[at.parent]) {
      const begun = at === lane ? at.programs : at.programs.filter(([cycle]) => cycle <= lane.born);
      if (begun.length) return begun[begun.length - 1][1];
    }
    return lane.programs.length ? lane.programs[lane.programs.length - 1][1] : "";
  }

  row(lanes) {
    const lane = lanes[0] ?? lanes[1];
    const shown = lanes.slice(0, this.runs.length);
    return {
      name: lane.name, lanes: shown, system: lane.system, depth: lane.depth,
      program: this.program(this.runs[lanes[0] ? 0 : 1], lane),
      tracks: shown.map((one) => one?.track),
    };
  }

  /** The row at a height, in the coordinates of the whole picture. */
  rowAt(y) { return this.rows.find((row) => y >= row.y && y < row.y + row.height); }
}

/** A run's lanes: the program's tasks as a tree, then init, kernel threads and the idle task. */
const inOrder = (run) => {
  const children = new Map();
  const times = new Map();
  for (const lane of run.lanes) {
    if (!children.has(lane.parent)) children.set(lane.parent, []);
    children.get(lane.parent).push(lane);
    lane.nth = times.get(lane.name) ?? 0;
    times.set(lane.name, lane.nth + 1);
  }
  const ordered = [];
  const rest = [];
  // Not by recursion: a chain of children may be thousands long.
  const todo = [...run.lanes].reverse().filter((lane) => lane.parent === null || lane.parent === undefined).map((lane) => [lane, 0]);
  while (todo.length) {
    const [lane, depth] = todo.pop();
    lane.depth = lane.system ? 0 : depth;
    (lane.system ? rest : ordered).push(lane);
    const next = children.get(lane.id) ?? [];
    for (let at = next.length - 1; at >= 0; at--) todo.push([next[at], lane.system ? 0 : depth + 1]);
  }
  const rank = (lane) => (lane.name === "init" ? 0 : lane.name === "idle" ? 2 : 1);
  rest.sort((a, b) => rank(a) - rank(b) || a.id - b.id);
  return [...ordered, ...rest];
};
