// Numbers and moments in words.

const number = (value) => value.toLocaleString("en-GB");
// What belongs together stays on one line.
const kept = (text) => text.replaceAll(" ", "\u00a0");
const percent = (share) => kept(`${(100 * share).toFixed(share === 1 || share === 0 ? 0 : 1)} %`);
const classNames = (classes) => kept(classes.length > 3 ? `${classes[0]} … ${classes.at(-1)}` : classes.join(" "));
const counted = (count, one, many) => `${number(count)} ${count === 1 ? one : many}`;

function inWords(run, t) {
  const [task, epoch] = run.moments[t];
  return task ? `task ${task}, epoch ${epoch}` : "untrained";
}

// What a task is called: by its classes, or by its number where these do not tell tasks apart.
function taskName(run, task) {
  const names = run.classes.map(classNames);
  return new Set(names).size < names.length ? kept(`task ${task + 1}`) : names[task];
}

// The tasks of which training has begun.
const seenTasks = (run, t) => [...run.classes.keys()].filter((task) => run.learned[task] <= run.moments[t][0]);

function accuracies(run, t) {
  const name = (task) => taskName(run, task).replace(/^(?=\d)/, "classes ");
  return seenTasks(run, t).map((task) => `${name(task)}: ${percent(run.accuracy[t][task])}`).join(", ");
}

// What has happened at a moment.
function sentence(run, t, layer) {
  if (t === 0) {
    const weights = layer ? `${counted(layer.living[0], "weight", "weights")} of ${number(layer.size)} of ${layer.name} live. ` : "";
    return `Before any training. ${weights}The buffer is empty.`;
  }
  const parts = [];
  if (layer && (layer.left[t] || layer.came[t])) {
    const moved = [];
    if (layer.left[t]) moved.push(`${counted(layer.left[t], "weight", "weights")} of ${layer.name} left`);
    if (layer.came[t]) moved.push(layer.left[t] ? `${number(layer.came[t])} joined` : `${counted(layer.came[t], "weight", "weights")} of ${layer.name} joined`);
    parts.push(`Before this epoch ${moved.join(" and ")}.`);
  }
  const images = counted(run.removed[t], "training image was", "training images were");
  if (run.removed[t]) parts.push(`${run.removesBefore ? "Before" : "After"} it ${images} removed.`);
  const [now, before] = [run.buffer(t), run.buffer(t - 1)];
  const changed = now.reduce((count, image, slot) => count + (image !== before[slot]), 0);
  if (run.capacity) parts.push(`${number(changed)} of ${number(run.capacity)} slots of the buffer changed.`);
  return `${inWords(run, t).replace("t", "T")}. ${parts.join(" ")} Accuracy: ${accuracies(run, t)}.`;
}
