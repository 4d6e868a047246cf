// The difference of two texts by lines.

const LINES_MAX = 2000; // of each; longer ones are compared from both ends only
const AROUND = 3; // lines that are shown on each side of a change

/** Return [how, text] of each line, how being " ", "-" or "+". */
export function difference(before, after) {
  const a = before.split("\n");
  const b = after.split("\n");
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head += 1;
  let tail = 0;
  while (
    tail < a.length - head && tail < b.length - head &&
    a[a.length - 1 - tail] === b[b.length - 1 - tail]
  ) tail += 1;
  const same = (lines) => lines.map((line) => [" ", line]);
  const middle = between(a.slice(head, a.length - tail), b.slice(head, b.length - tail));
  return [...same(a.slice(0, head)), ...middle, ...same(a.slice(a.length - tail))];
}

function between(a, b) {
  const gone = a.map((line) => ["-", line]);
  const come = b.map((line) => ["+", line]);
  if (!a.length || !b.length || a.length > LINES_MAX || b.length > LINES_MAX) return [...gone, ...come];
  // The longest common subsequence, from the end, so that it can be read from the beginning.
  const width = b.length + 1;
  const longest = new Uint32Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      longest[i * width + j] = a[i] === b[j]
        ? longest[(i + 1) * width + j + 1] + 1
        : Math.max(longest[(i + 1) * width + j], longest[i * width + j + 1]);
    }
  }
  const lines = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      lines.push([" ", a[i]]);
      i += 1;
      j += 1;
    } else if (j >= b.length || (i < a.length && longest[(i + 1) * width + j] >= longest[i * width + j + 1])) {
      lines.push(["-", a[i]]);
      i += 1;
    } else {
      lines.push(["+", b[j]]);
      j += 1;
    }
  }
  return lines;
}

/** Leave out what is far from any change; [null, count] stands for lines that are left out. */
export function near(lines) {
  const keep = lines.map(([how]) => how !== " ");
  const shown = keep.map((_, at) => keep.slice(Math.max(0, at - AROUND), at + AROUND + 1).some(Boolean));
  const short = [];
  for (const [at, line] of lines.entries()) {
    if (shown[at]) short.push(line);
    else if (short.length && short.at(-1)[0] === null) short.at(-1)[1] += 1;
    else short.push([null, 1]);
  }
  return short;
}
