// Which #include may stand where in src/: the arrows of docs/architecture.md as code.
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';

// What a folder may see beside itself and base/. A folder is entered through its front header; base/
// is a drawer of small headers, and an adapter below a folder has a front header of its own.
const frontHeaders = {
    domain: [
        'domain/domain.hpp',
        'domain/types.hpp',
        'domain/code_pattern.hpp',
        'domain/verify.hpp',
        'domain/spelling.hpp',
        'domain/use_text.hpp',
        'domain/validate.hpp',
        'domain/money.hpp',
        'domain/import.hpp',
    ],
    qr: ['qr/qr.hpp'],
    net: [
        'net/http_client.hpp',
        'net/lost.hpp',
        'net/origin.hpp',
        'net/resolver.hpp',
        'net/stream.hpp',
        'net/tls.hpp',
    ],
    aws: ['aws/aws.hpp', 'aws/s3.hpp', 'aws/sqs.hpp'],
    wire: ['wire/wire.hpp', 'wire/code_export.hpp', 'wire/code_file.hpp'],
    store: ['store/store.hpp', 'store/sqlite/sqlite.hpp', 'store/postgres/postgres.hpp'],
    lock: ['lock/lock.hpp', 'lock/redis/redis.hpp'],
    engine: ['engine/engine.hpp'],
    http: ['http/http.hpp'],
};
const arrows = {
    base: [],
    domain: [],
    qr: [],
    net: [],
    aws: ['net/'],
    store: ['domain/'],
    lock: ['domain/', 'net/'],
    engine: ['domain/', 'store/store.hpp', 'lock/lock.hpp'],
    wire: ['domain/', 'qr/', 'store/store.hpp'], // for BookPage, what a list answers
    http: ['wire/'],
    app: Object.keys(frontHeaders).map((folder) => `${folder}/`),
    ctl: ['net/', 'qr/'], // a program of its own
};

// Libraries of others, and the only files that may include them.
const libraries = [
    [/^sqlite3/, (file) => file.startsWith('store/sqlite/') && file.endsWith('.cpp')],
    [/^(libpq|postgresql)/, (file) => /^store\/postgres\/(\w+\.cpp|libpq\.hpp)$/.test(file)],
    [/^hiredis/, (file) => file.startsWith('lock/redis/') && file.endsWith('.cpp')],
    [/^(png|qrcodegen)/, (file) => file.startsWith('qr/') && file.endsWith('.cpp')],
    [/^zlib/, (file) => file === 'base/gzip.cpp'],
    [
        /^boost\/json/,
        (file) =>
            file.startsWith('ctl/') || (/^(wire|aws)\//.test(file) && file.endsWith('.cpp')),
    ],
    [
        /^boost\/(asio|beast)/,
        (file) =>
            file.startsWith('http/') ||
            (/^(app|aws|net)\//.test(file) && file.endsWith('.cpp')),
    ],
];
// The exception: what the network thread is may be named in the headers beside http/.
const anyHeader = new Set(['boost/asio/io_context.hpp']);

function mayInclude(file, included) {
    const [from, to] = [file, included].map((name) => name.split('/')[0]);
    if (from === to || to === 'base') return true;
    if (!frontHeaders[to]?.includes(included)) return false;
    return arrows[from].some((arrow) => included === arrow || (arrow.endsWith('/') && to === arrow.slice(0, -1)));
}

function problemsOf(file, text) {
    const problems = [];
    const [folder] = file.split('/');
    if (!(folder in arrows)) return [`${file}: no folder of the tree`];
    const adapter = /^(store|lock)\/(\w+)\//.exec(file)?.[2];
    for (const [, quote, included] of text.matchAll(/^\s*#\s*include\s*(["<])([^">]+)[">]/gm)) {
        if (quote === '"') {
            const intoAdapter = /^(store|lock)\/(\w+)\//.exec(included)?.[2];
            const withinPort = intoAdapter && included.startsWith(`${folder}/`);
            if (!mayInclude(file, included) || (withinPort && intoAdapter !== adapter)) {
                problems.push(`${file} includes ${included}`);
            }
            continue;
        }
        const only = libraries.find(([pattern]) => pattern.test(included))?.[1];
        const excepted = folder === 'app' && anyHeader.has(included);
        if (only && !only(file) && !excepted) problems.push(`${file} includes <${included}>`);
    }
    return problems;
}

/** Every include below `root` that goes against the arrows, as a sentence; and how many there are. */
export function check(root) {
    const files = readdirSync(root, { recursive: true, withFileTypes: false })
        .map((name) => name.split(path.sep).join('/'))
        .filter((name) => /\.(hpp|cpp|in)$/.test(name))
        .sort();
    const problems = files.flatMap((file) =>
        problemsOf(file, readFileSync(path.join(root, file), 'utf8')),
    );
    return { files: files.length, problems };
}
