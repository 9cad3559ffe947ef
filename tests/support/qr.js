// Looks into pictures of QR codes: what ZBar reads in them, and their modules, pixel by pixel.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { inflateSync } from 'node:zlib';

const run = promisify(execFile);

/** The text of the one QR code that there is in a PNG or SVG, as another program reads it. */
export async function scanned(picture) {
    const folder = mkdtempSync(path.join(tmpdir(), 'coupond-qr-'));
    try {
        const png = path.join(folder, 'code.png');
        if (picture.subarray(0, 4).toString() === '<svg') {
            const svg = path.join(folder, 'code.svg');
            writeFileSync(svg, picture);
            await run('rsvg-convert', ['--output', png, svg]);
        } else {
            writeFileSync(png, picture);
        }
        const args = ['--raw', '--quiet', '--nodbus', '-Sdisable', '-Sqrcode.enable', png];
        const { stdout } = await run('zbarimg', args);
        assert.ok(stdout.endsWith('\n'));
        return stdout.slice(0, -1);
    } finally {
        rmSync(folder, { recursive: true });
    }
}

/**
 * Every file below a folder, by its path there, which is written with slashes; nothing where there
 * is no such folder.
 */
export function filesBelow(folder) {
    const files = new Map();
    if (!existsSync(folder)) return files;
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
        if (entry.isDirectory()) continue;
        const file = path.join(entry.parentPath ?? entry.path, entry.name);
        files.set(path.relative(folder, file), readFileSync(file));
    }
    return files;
}

/** What the image of a code is called; where that is the code itself, percent-encoded. */
export function nameOf(code, format = 'svg') {
    const escaped = encodeURIComponent(code)
        .replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
        .replace(/^\./, '%2E');
    assert.ok(escaped.length <= 200, 'it has a digest');
    return `${escaped}.${format}`;
}

/** The pixels of a PNG as coupond writes it: rows of booleans, true where it is black. */
export function pixels(png) {
    assert.equal(png.subarray(0, 8).toString('latin1'), '\x89PNG\r\n\x1a\n');
    const data = [];
    let head;
    for (let at = 8; at < png.length; ) {
        const length = png.readUInt32BE(at);
        const type = png.toString('latin1', at + 4, at + 8);
        const content = png.subarray(at + 8, at + 8 + length);
        if (type === 'IHDR') head = content;
        if (type === 'IDAT') data.push(content);
        at += 12 + length;
    }
    const [width, height] = [head.readUInt32BE(0), head.readUInt32BE(4)];
    assert.deepEqual([...head.subarray(8)], [1, 0, 0, 0, 0], 'a bit a pixel, greyscale');
    const raw = inflateSync(Buffer.concat(data));
    const stride = 1 + Math.ceil(width / 8);
    assert.equal(raw.length, stride * height);
    return Array.from({ length: height }, (_, y) => {
        assert.equal(raw[y * stride], 0, 'rows as they are');
        const isBlack = (x) => ((raw[y * stride + 1 + (x >> 3)] >> (7 - (x & 7))) & 1) === 0;
        return Array.from({ length: width }, (__, x) => isBlack(x));
    });
}

/**
 * The modules of a picture with its margin, rows of booleans; of a PNG with so many in a row, in
 * the way that the contract lays them out.
 */
export function modules(picture, count) {
    if (picture.subarray(0, 4).toString() === '<svg') return modulesOfSvg(picture.toString());
    const rows = pixels(picture);
    const scale = Math.floor(rows.length / count);
    const begin = Math.floor((rows.length - count * scale) / 2);
    const moduleOf = (at) => Math.min(count - 1, Math.max(0, Math.floor((at - begin) / scale)));
    const grid = Array.from({ length: count }, (_, y) =>
        Array.from({ length: count }, (__, x) => rows[begin + y * scale][begin + x * scale]),
    );
    rows.forEach((row, y) =>
        row.forEach((black, x) => {
            const inside = [x, y].every((at) => at >= begin && at < begin + count * scale);
            const expected = inside && grid[moduleOf(y)][moduleOf(x)];
            assert.equal(black, expected, `pixel ${x}, ${y}`);
        }),
    );
    return grid;
}

function modulesOfSvg(svg) {
    const [, width, height, side] =
        /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" width="(\d+)" height="(\d+)" viewBox="0 0 (\d+) \3" shape-rendering="crispEdges">/.exec(
            svg,
        );
    assert.equal(width, height);
    const [, drawn] = /<path d="([^"]*)"\/><\/svg>$/.exec(svg);
    const grid = Array.from({ length: Number(side) }, () => Array(Number(side)).fill(false));
    const rest = drawn.replace(/M(\d+) (\d+)h(\d+)v1h-\3z/g, (_, x, y, run) => {
        grid[Number(y)].fill(true, Number(x), Number(x) + Number(run));
        return '';
    });
    assert.equal(rest, '');
    return grid;
}

/** How many modules are white on all sides. */
export function marginOf(grid) {
    const first = grid.findIndex((row) => row.some(Boolean));
    assert.ok(grid[first][first], 'the corner of the finder');
    return first;
}

/** L, M, Q or H, as the code says of itself (ISO/IEC 18004, 7.9). */
export function errorLevelOf(grid) {
    const margin = marginOf(grid);
    const [high, low] = [0, 1].map((x) => Number(grid[margin + 8][margin + x]));
    return ['M', 'L', 'H', 'Q'][(high ^ 1) * 2 + low];
}
