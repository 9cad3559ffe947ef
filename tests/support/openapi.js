// Holds every answer that a test receives against api/openapi.yaml: path → operation → status →
// content type → headers and body. An answer that the document does not describe is an error,
// whatever the test was about.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import Ajv2020 from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { binary } from './binary.js';

const schemaReference = '#/components/schemas/';

let loaded;

function load() {
    if (loaded) return loaded;
    // As the build has made it JSON for the binary: each file of tests would take long over the YAML.
    const file = path.join(path.dirname(binary()), 'src/wire/openapi.json');
    const document = JSON.parse(readFileSync(file, 'utf8'));
    const ajv = new Ajv2020({
        strict: true,
        strictRequired: false,
        allowUnionTypes: true,
        allErrors: true,
    });
    addFormats(ajv);
    // The words OpenAPI 3.1 adds to JSON Schema, which say nothing about what is valid.
    ajv.addVocabulary(['example', 'discriminator', 'xml', 'externalDocs']);
    for (const [name, schema] of Object.entries(document.components.schemas)) {
        ajv.addSchema(forAjv(schema), name);
    }
    loaded = { document, ajv, routes: routesOf(document), validators: new Map() };
    return loaded;
}

/**
 * A schema of the document as one that stands alone: what it refers to are schemas by their names.
 */
function forAjv(node) {
    if (Array.isArray(node)) return node.map(forAjv);
    if (node === null || typeof node !== 'object') return node;
    return Object.fromEntries(
        Object.entries(node).map(([key, value]) =>
            key === '$ref' && value.startsWith(schemaReference)
                ? [key, value.slice(schemaReference.length)]
                : [key, forAjv(value)],
        ),
    );
}

function routesOf(document) {
    return Object.keys(document.paths)
        .map((template) => {
            const parameters = (template.match(/\{[^}]+\}/g) ?? []).length;
            const source = template
                .split(/\{[^}]+\}/)
                .map((text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
                .join('[^/]+');
            return { template, parameters, pattern: new RegExp(`^${source}$`) };
        })
        .sort((a, b) => a.parameters - b.parameters);
}

/** The document as data. */
export function openapiDocument() {
    return load().document;
}

function pointer(...steps) {
    return (
        '#/' +
        steps
            .map((step) => String(step).replace(/~/g, '~0').replace(/\//g, '~1'))
            .map(encodeURIComponent)
            .join('/')
    );
}

function lookUp(document, reference) {
    return reference
        .slice(2)
        .split('/')
        .reduce(
            (node, step) => node[decodeURIComponent(step).replace(/~1/g, '/').replace(/~0/g, '~')],
            document,
        );
}

/** Follows $ref objects of the OpenAPI part; returns [object, its pointer]. */
function resolve(document, at) {
    for (;;) {
        const node = lookUp(document, at);
        if (node === undefined || node.$ref === undefined) return [node, at];
        at = node.$ref;
    }
}

function validator(at) {
    const { document, ajv, validators } = load();
    let found = validators.get(at);
    if (!found) {
        found = ajv.compile(forAjv(lookUp(document, at)));
        validators.set(at, found);
    }
    return found;
}

function check(at, value, what) {
    const validate = validator(at);
    if (!validate(value)) {
        const shown = JSON.stringify(value);
        assert.fail(
            `${what} does not fit ${at}: ${JSON.stringify(validate.errors.slice(0, 5))}\n` +
                (shown === undefined ? '' : shown.slice(0, 2000)),
        );
    }
}

const coerced = (schema, text) =>
    (schema?.type === 'integer' || schema?.type === 'number') && /^-?\d+(\.\d+)?(e[-+]?\d+)?$/.test(text)
        ? Number(text)
        : text;

function checkHeaders(document, response, at, headers, what) {
    for (const name of Object.keys(response.headers ?? {})) {
        const [header, headerAt] = resolve(document, `${at}/headers/${encodeURIComponent(name)}`);
        const value = headers[name.toLowerCase()];
        if (value === undefined) {
            assert.ok(!header.required, `${what}: header ${name} is missing`);
            continue;
        }
        if (header.schema) {
            const [schema] = resolve(document, `${headerAt}/schema`);
            check(`${headerAt}/schema`, coerced(schema, value), `${what}: header ${name}`);
        }
    }
}

function checkBody(document, response, at, answer, what) {
    if (response.content === undefined) {
        assert.equal(answer.text, '', `${what}: a body where none is documented`);
        return;
    }
    const sent = (answer.headers['content-type'] ?? '').split(';')[0].trim().toLowerCase();
    const media = Object.keys(response.content).find((name) => {
        const wanted = name.toLowerCase();
        return (
            wanted === sent ||
            wanted === '*/*' ||
            (wanted.endsWith('/*') && sent.startsWith(wanted.slice(0, -1)))
        );
    });
    assert.ok(media, `${what}: content type ${JSON.stringify(sent)} is not documented`);
    const schemaAt = `${at}/content/${encodeURIComponent(media.replace(/\//g, '~1'))}/schema`;
    if (lookUp(document, schemaAt) !== undefined) check(schemaAt, answer.body, what);
}

/** Parses `text` by its content type, as client.js and raw.js hand it out. */
export function parsedBody(headers, text) {
    const type = (headers['content-type'] ?? '').split(';')[0].trim();
    if (type !== 'application/json' || text === '') return text;
    return JSON.parse(text);
}

/** Checks a value against the schema of this name. */
export function checkSchema(name, value) {
    check(`${schemaReference}${name}`, value, name);
}

// What any request may meet, whatever it asks for: status → the name below components/responses.
const anywhere = {
    400: 'MalformedRequest',
    404: 'RouteNotFound',
    408: 'RequestTimeout',
    413: 'PayloadTooLarge',
    417: 'ExpectationFailed',
    431: 'HeadersTooLarge',
    505: 'HttpVersionNotSupported',
    503: 'Overloaded',
};

/**
 * Checks one answer: `{status, headers, text, body}` to `method` and `path`. `path` null stands for
 * a request that has no readable one, being malformed on the level of HTTP.
 */
export function checkAnswer(method, path, answer) {
    const { document, routes } = load();
    const what = `${method} ${path} → ${answer.status}`;
    const bare = path === null ? null : path.replace(/^https?:\/\/[^/]+/, '').split(/[?#]/)[0];
    if (answer.status >= 400) checkErrorBody(method, bare, answer, what);
    const verb = method === 'HEAD' ? 'get' : method.toLowerCase();
    // Like the server, it passes over a path that has other methods only.
    const fits = ({ template, pattern }) => document.paths[template][verb] && pattern.test(bare);
    const route = bare === null ? undefined : routes.find(fits);
    const operation = route && document.paths[route.template][verb];
    // The page's own files are no part of the API.
    if (!operation && answer.status === 200 && /^\/api\/./.test(bare)) return;
    if (operation) {
        assert.ok(
            operation.responses[answer.status],
            `${what} is not documented: ${answer.text.slice(0, 500)}`,
        );
    } else {
        assert.ok(anywhere[answer.status], `${what} on a route that is not documented`);
    }
    const [response, at] = resolve(
        document,
        operation
            ? pointer('paths', route.template, verb, 'responses', answer.status)
            : pointer('components', 'responses', anywhere[answer.status]),
    );
    checkHeaders(document, response, at, answer.headers, what);
    if (method === 'HEAD') {
        assert.equal(answer.text, '', `${what}: a body in the answer to HEAD`);
    } else {
        checkBody(document, response, at, answer, what);
    }
}

/** The members of every error body, in the order in which they are sent. */
export const errorMembers = ['statusCode', 'error', 'message', 'code', 'requestId'];

/** And where one of several codes was refused. */
export const refusedMembers = errorMembers.toSpliced(-1, 0, 'couponCode');
const ofSeveral = new Set(['/coupon/lock', '/coupon/redeem']);

function checkErrorBody(method, path, answer, what) {
    assert.notEqual(answer.status, 500, `${what}: ${answer.text}`);
    if (method === 'HEAD') return;
    if (answer.body?.status !== undefined) return; // a health answer says its status instead
    assert.match(answer.headers['content-type'] ?? '', /^application\/json/, what);
    const refused = ofSeveral.has(path) && 'couponCode' in answer.body;
    const members = refused ? refusedMembers : errorMembers;
    assert.deepEqual(Object.keys(answer.body), members, `${what}: ${answer.text}`);
    assert.equal(answer.body.statusCode, answer.status, what);
    assert.match(answer.body.code, /^[a-z]+(_[a-z0-9]+)*$/, what);
    assert.ok(answer.body.requestId.length > 0, what);
    // An answer that is replayed is the first one, to the byte.
    if (answer.headers['idempotent-replayed'] === undefined) {
        assert.equal(answer.headers['x-request-id'], answer.body.requestId, what);
    }
    if (answer.status === 503) {
        assert.match(answer.headers['retry-after'] ?? '', /^[1-9]\d*$/, `${what}: Retry-After`);
    }
}
