// What codes a pattern stands for, told once more.
//
//   const pattern = new Pattern('SUMMER-{6}{check}')
//   pattern.fits(code)      whether it is one of them
//   pattern.codes           how many there are, a BigInt; no more than 2^126
//   checks(values, modulus) whether a pure system of ISO 7064 with the radix 2 takes such characters
const usual = '23456789ABCDEFGHJKMNPQRSTUVWXYZ';
const digits = '0123456789';
const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';
const named = { digits, letters, alnum: digits + letters, hex: '0123456789ABCDEF' };
const most = 2n ** 126n;

const part =
    /\\(?<escaped>[{}\\])|(?<check>\{check\})|\{(?<count>\d+)(:(?<name>[a-z]+)|:\[(?<listed>(\\.|[^\]])+)\])?\}|(?<literal>[^{}\\])/uy;

const isPrime = (number) => {
    for (let by = 2; by * by <= number; by += 1) if (number % by === 0) return false;
    return true;
};

/** From the left to the right each character counts half as much as the one before. */
export const checks = (values, modulus) =>
    values.reduce((sum, value) => (2 * sum + value) % modulus, 0) === 1;

export class Pattern {
    #places = []; // {literal}, {symbols} or {symbols, check}
    #all; // characters that occur where something is random, in the order of their code points
    #modulus; // where there is a check character

    constructor(text) {
        for (part.lastIndex = 0; part.lastIndex < text.length; ) {
            const { groups } = part.exec(text) ?? {};
            if (!groups) throw new Error(`no pattern: ${text}`);
            this.#places.push(...placesOf(groups));
        }
        const random = this.#places.filter(({ symbols }) => symbols).flatMap((at) => at.symbols);
        this.#all = [...new Set(random)].sort((a, b) => a.codePointAt(0) - b.codePointAt(0));
        const check = this.#places.find((place) => place.check);
        if (!check) return;
        check.symbols = this.#all;
        for (this.#modulus = Math.max(3, this.#all.length); !isPrime(this.#modulus); ) {
            this.#modulus += 1;
        }
    }

    fits(code) {
        const characters = [...code];
        if (characters.length !== this.#places.length) return false;
        const values = [];
        for (const [index, { literal, symbols }] of this.#places.entries()) {
            const character = characters[index];
            if (symbols ? !symbols.includes(character) : literal !== character) return false;
            if (symbols) values.push(this.#all.indexOf(character));
        }
        return this.#modulus === undefined || checks(values, this.#modulus);
    }

    get codes() {
        const modulus = this.#modulus ?? 1;
        let ways = [1n, ...Array(modulus - 1).fill(0n)]; // by what checks() sums up so far
        for (const { symbols } of this.#places) {
            if (!symbols) continue;
            const next = Array(modulus).fill(0n);
            for (const [sum, count] of ways.entries()) {
                for (const symbol of symbols) {
                    next[(2 * sum + this.#all.indexOf(symbol)) % modulus] += count;
                }
            }
            ways = next;
        }
        const codes = ways[1 % modulus];
        return codes < most ? codes : most;
    }
}

/** What a part of a pattern stands for, character by character. */
function placesOf({ escaped, literal, check, count, name, listed }) {
    if (check) return [{ check: true }];
    if (count === undefined) return [{ literal: escaped ?? literal }];
    const own = listed && [...listed.matchAll(/\\?(.)/gsu)].map(([, symbol]) => symbol);
    const symbols = own ?? [...(name ? named[name] : usual)];
    return Array.from({ length: Number(count) }, () => ({ symbols }));
}
