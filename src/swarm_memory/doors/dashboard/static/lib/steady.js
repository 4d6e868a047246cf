// Work that is asked for again and again, and must not overtake itself.

/** Return a function that does `work`, one at a time: asked meanwhile, it does it once more. */
export function steady(work) {
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
      } while (again);
    } finally {
      working = false;
    }
  };
}
