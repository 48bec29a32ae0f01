// ---- Who shares what at the cursor: a row for each task, a column for each part of its context.

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const TITLES = {
  memory: "address space (CLONE_VM)", files: "open files (CLONE_FILES)", fs: "root, working directory, umask (CLONE_FS)",
  handlers: "signal handlers (CLONE_SIGHAND)", group: "thread group (CLONE_THREAD)", undo: "semaphore undo list (CLONE_SYSVSEM)",
  io: "I/O context (CLONE_IO)", mounts: "mount namespace", uts: "host name namespace", ipc: "System V IPC namespace",
  pids: "task number namespace", users: "user namespace", cgroups: "control group namespace",
};
/** So many tasks are shown at most. */
const MOST_TASKS = 60;

/** An element with its properties and children. */
const el = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
};

/** Fills the section with the picture at a cycle of one run. */
const showSharing = (section, run, cycle, chosen, choose) => {
  const contexts = run.contextsAt(cycle);
  const ofProgram = [...contexts.keys()].filter((lane) => !run.lanes[lane].system);
  const lanes = (ofProgram.length ? ofProgram : [...contexts.keys()]).sort((a, b) => a - b);
  section.replaceChildren(
    el("h2", {}, "Who shares what"),
    el("p", { className: "hint" }, `At cycle ${grouped(cycle)}. Tasks with the same letter in a column have the same object there: what one changes the others see. A dot is a task's own.`));
  if (!lanes.length) {
    section.append(el("p", { className: "hint" }, "No task lives at this cycle."));
    return;
  }
  const members = run.parts.map((_, part) => countMembers(contexts, part));
  // A column in which all are alike says nothing by itself.
  const alike = run.parts.map((_, part) => part > 5 && lanes.every((lane) => contexts.get(lane)[part] === contexts.get(lanes[0])[part]));
  const shared = run.parts.map((_, part) => part < 5 || lanes.some((lane) => members[part].get(contexts.get(lane)[part]) > 1));
  const columns = run.parts.map((_, part) => part).filter((part) => !alike[part] && shared[part]);
  const letters = columns.map(() => new Map());
  const head = el("tr", {}, el("th"), ...columns.map((part) => el("th", { title: TITLES[run.parts[part]] ?? "" }, el("span", {}, run.parts[part]))));
  const rows = lanes.slice(0, MOST_TASKS).map((lane) => {
    const name = el("td", { className: "task", title: run.lanes[lane].name }, el("a", { className: "jump", onclick: () => choose(lane) }, run.lanes[lane].name));
    const cells = columns.map((part, place) => cell(contexts.get(lane)[part], members[part], letters[place], run.parts[part]));
    return el("tr", { className: lane === chosen ? "chosen" : "" }, name, ...cells);
  });
  section.append(el("table", { className: "context" }, el("thead", {}, head), el("tbody", {}, ...rows)));
  if (lanes.length > MOST_TASKS) section.append(el("p", { className: "hint" }, `… and ${lanes.length - MOST_TASKS} more tasks`));
  const same = run.parts.filter((_, part) => alike[part]);
  if (same.length && lanes.length > 1) section.append(el("p", { className: "hint" }, `Shared by all: ${same.join(", ")}.`));
  const own = run.parts.filter((_, part) => !alike[part] && !shared[part]);
  if (own.length) section.append(el("p", { className: "hint" }, `Each has its own: ${own.join(", ")}.`));
};

/** How many tasks have each object of a part. */
const countMembers = (contexts, part) => {
  const members = new Map();
  for (const parts of contexts.values()) members.set(parts[part], (members.get(parts[part]) ?? 0) + 1);
  return members;
};

const cell = (object, members, letters, part) => {
  if (object === 0) return el("td", {}, el("span", { className: "part none", title: `${part}: none` }, "–"));
  if (members.get(object) === 1) return el("td", {}, el("span", { className: "part own", title: `${part}: its own` }, "·"));
  if (!letters.has(object)) letters.set(object, letters.size);
  const place = letters.get(object);
  const badge = el("span", { className: "part shared", title: `${part}: shared by ${members.get(object)} tasks` }, ALPHABET[place % 26]);
  badge.style.background = `hsl(${(210 + place * 137) % 360} 48% 44%)`;
  return el("td", {}, badge);
};
