// Work that is asked for again and again, and must not overtake itself.

/** Return a function that does `work`, one at a time: asked meanwhile, it does it once more, and
 * begins that no sooner than `pauseMs` after it was done. */
export function steady(work, pauseMs = 0) {
  let working = false;
  let again = false;
  return async function ask() {
    if (working) {
      again = true;
      return;
    }
    working = true;
    try {
      do {
        again = false;
        await work();
        if (again && pauseMs) await new Promise((resolve) => setTimeout(resolve, pauseMs));
      } while (again);
    } finally {
      working = false;
    }
  };
}
