// Reads CSV as strictly as RFC 4180 has it: every line ends with CRLF, all have as many cells, quotes
// stand around a whole cell and only where it needs them.
import assert from 'node:assert/strict';

const cell = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/y;

/** The rows, the first one too, as arrays of texts. */
export function rowsOf(text) {
    const rows = [];
    let row = [];
    for (cell.lastIndex = 0; cell.lastIndex < text.length; ) {
        const at = cell.lastIndex;
        const [, quoted, plain, end] = cell.exec(text) ?? [];
        assert.ok(end, `no cell at ${JSON.stringify(text.slice(at, at + 100))}`);
        if (quoted !== undefined) assert.match(quoted, /["\r\n,]/, 'quotes for nothing');
        row.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
        if (end === ',') continue;
        rows.push(row);
        assert.equal(row.length, rows[0].length, `cells of row ${rows.length}`);
        row = [];
    }
    assert.deepEqual(row, [], 'a line without end');
    return rows;
}

/** What a cell says, without the apostrophe that keeps a spreadsheet from running it. */
export const said = (text) => (/^'+[=+\-@\t\r]/.test(text) ? text.slice(1) : text);
