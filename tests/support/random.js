// Pseudo-random numbers that a failed run can be repeated with: the seed is COUPOND_TEST_SEED, or
// what the test says, or made up, and printed.

/** A source of numbers, `pick(list)` and `below(n)`. `usual`: the seed where none is set. */
export function seededRandom(usual = Date.now() % 1_000_000_007) {
    const seed = Number(process.env.COUPOND_TEST_SEED ?? usual);
    console.log(`COUPOND_TEST_SEED=${seed}`);
    let state = seed >>> 0;
    // mulberry32: 32 bits of state are plenty for choosing what to do next.
    const next = () => {
        state = (state + 0x6d2b79f5) >>> 0;
        let mixed = Math.imul(state ^ (state >>> 15), state | 1);
        mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
        return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    };
    const below = (bound) => Math.floor(next() * bound);
    return { below, pick: (list) => list[below(list.length)] };
}
