// Values that members of books and codes cannot have: [name, value, what is said of it].

/** What is said of a time or date that is none. */
export const invalidTime = (name) =>
    `${name} must be a date or a time of the years 2000 to 9998, with its offset from UTC, such as ` +
    '2026-11-22, 2026-11-22T14:00:00Z or 2026-11-22T15:00:00+01:00';

const noTimes = [
    ...['', 'now', '2026', '2026-1-2', '2026-02-30', '2027-02-29', '2026-01-02T00:00:00'],
    ...['2026-01-02 00:00:00Z', '2026-01-02T00:00:00+01', '2026-01-02T24:30:00Z', '1999-12-31'],
    ...['1969-12-31', '9999-01-01', '9999-12-31', '2026-11-22\n', 5, 0, true, false, [], {}],
];
/** Metadata of so many bytes as JSON. */
export const metadataOf = (bytes) => ({ k: 'x'.repeat(bytes - '{"k":""}'.length) });

/** Of a member that is a time. */
export const unfitTimes = (name) => noTimes.map((value) => [name, value, invalidTime(name)]);
const unfitBoolean = (name) =>
    ['true', '', 0, 1, [], {}].map((value) => [name, value, `${name} must be a boolean`]);
export const unfitActive = unfitBoolean('active');
export const unfitCombinable = unfitBoolean('combinable');
const unfitMore = ' must be an integer from 1 to 10000000';
export const unfitAutoGenerate = [
    ...['{}', '', 5, true, []].map((value) => [
        'autoGenerate',
        value,
        'autoGenerate must be an object',
    ]),
    ...[0, -1, 1.5, 10_000_001, '5', null].map((below) => [
        'autoGenerate',
        { below, count: 1 },
        `autoGenerate.below${unfitMore}`,
    ]),
    ['autoGenerate', { below: 1 }, `autoGenerate.count${unfitMore}`],
    [
        'autoGenerate',
        { below: 1, count: 1, more: 1 },
        'property autoGenerate.more should not exist',
    ],
];
export const unfitWait = unfitBoolean('wait');
export const unfitMetadata = [
    ...['{}', '', 5, true, false, [], [{}]].map((value) => [
        'metadata',
        value,
        'metadata must be an object',
    ]),
    ...[metadataOf(16_385), { k: 'ü'.repeat(8_190) }, { k: Array(9_000).fill(1) }].map((value) => [
        'metadata',
        value,
        'metadata must take no more than 16384 bytes as JSON',
    ]),
];
