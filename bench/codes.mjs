// The codes that the data is made of, and the uploads that bring them.
import { run } from './processes.mjs';

export const codesPerUpload = 100_000; // as many as one request may bring
const digits = 'ABCDEFGHJKMNPQRSTVWXYZ0123456789';

/** The codes that load.lua, baseline.cpp and SQL know how to compute; i from 0. */
export function code(i) {
    const number = Math.imul(i, 2654435761) >>> 0;
    return `B-${number.toString(16).toUpperCase().padStart(8, '0')}`;
}

/** Other codes, of 12 characters in no order; no two alike for n below 2^30. */
export function longCode(n) {
    let unique = Math.imul(n, 0x9e3779b1) & 0x3fffffff;
    let more = Math.imul(n ^ (n >>> 15), 0x85ebca6b) >>> 2;
    let text = '';
    for (let i = 0; i < 6; i += 1) {
        text += digits[unique & 31] + digits[more & 31];
        unique >>>= 5;
        more >>>= 5;
    }
    return text;
}

/** The document of an upload of codes `from` up to `to` as `nameOf` has them. */
export function upload(from, to, nameOf) {
    return JSON.stringify({ codes: Array.from({ length: to - from }, (_, i) => nameOf(from + i)) });
}

/** Uploads a document kept in a file; returns the seconds from connecting to the last byte. */
export async function sendUpload(server, file) {
    const printed = await run(
        'curl',
        ['--silent', '--show-error', '--output', '/dev/null', '--max-time', '60', '--header',
            'Content-Type: application/json', '--header', 'Expect:', '--data-binary', `@${file}`,
            '--write-out', '%{http_code} %{time_total}', `${server.url}/coupon/codes/1`],
    );
    const [status, seconds] = printed.split(' ').map(Number);
    if (status !== 201) throw new Error(`an upload was answered with ${status}`);
    return seconds;
}
