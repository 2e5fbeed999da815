// What every step of the test shares: a line of print, a time limit, a check.

/** Longest wait for anything, in milliseconds: far above what the server needs, far below a person's patience. */
const STEP_MILLISECONDS = 5000;

export function step(text) {
  console.log(text);
}

export function check(truth, otherwise) {
  if (!truth) throw new Error(otherwise);
}

/** The promise, or an error that names what was waited for. */
export function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing within ${STEP_MILLISECONDS} ms`)), STEP_MILLISECONDS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** What a topic pushed, kept until somebody asks for it, so that nothing is missed between two steps. */
export class Inbox {
  #kept = [];
  #waiters = new Set();

  put(event, payload) {
    this.#kept.push({ event, payload });
    for (const waiter of [...this.#waiters]) waiter();
  }

  /** The first kept or coming push of that event which satisfies the test; it and only it is taken out. */
  next(event, test = () => true) {
    let waiter;
    const found = new Promise((resolve) => {
      waiter = () => {
        const index = this.#kept.findIndex((push) => push.event === event && test(push.payload));
        if (index < 0) return;
        this.#waiters.delete(waiter);
        resolve(this.#kept.splice(index, 1)[0].payload);
      };
      this.#waiters.add(waiter);
      waiter();
    });
    const seen = () => this.#kept.map((push) => `${push.event} ${JSON.stringify(push.payload)}`).join(", ") || "nothing";
    return within(found, `waiting for ${event}`)
      .catch((error) => {
        throw new Error(`${error.message}; came instead: ${seen()}`);
      })
      .finally(() => this.#waiters.delete(waiter));
  }
}

/** Waits until a presence list shows somebody in a state. `read` gives that person's metas or undefined. */
export async function untilPresent(read, changes, key, test, what) {
  const found = new Promise((resolve) => {
    const look = () => {
      if ((read(key) ?? []).some(test)) resolve();
    };
    changes(look);
    look();
  });
  await within(found, `waiting for Presence to show ${what}`).catch((error) => {
    throw new Error(`${error.message}; it shows ${JSON.stringify(read(key))}`);
  });
}
