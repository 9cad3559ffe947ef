// Checks api/openapi.yaml: every $ref leads somewhere, every component is used, every schema
// compiles in ajv's strict mode, every example fits its schema, and every status in an example is
// that of its response.
//     node api/check.mjs [openapi.yaml or .json]
import {readFileSync} from 'node:fs';
import Ajv from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import {parse} from 'yaml';

const path = process.argv[2] ?? new URL('openapi.yaml', import.meta.url);
const document = parse(readFileSync(path, 'utf8'), {strict: true, uniqueKeys: true});
const methods = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'];
const problems = [];
const used = new Set();
let checked = 0;

const ajv = new Ajv({strict: true, allErrors: true, allowUnionTypes: true});
addFormats(ajv);
// The document's own words beside its schemas; `example` may stand in a schema as well.
ajv.addVocabulary(['openapi', 'info', 'servers', 'tags', 'paths', 'components', 'example']);
ajv.addSchema(document, 'openapi');

const escaped = (key) => String(key).replaceAll('~', '~0').replaceAll('/', '~1');

function at(pointer) {
    return pointer
        .split('/')
        .slice(1)
        .reduce((node, key) => node?.[decodeURIComponent(key).replaceAll('~1', '/').replaceAll('~0', '~')], document);
}

/// The node and its pointer, with references followed.
function resolved(node, pointer) {
    if (node?.$ref === undefined || Object.keys(node).length > 1) return [node, pointer];
    return resolved(at(node.$ref.slice(1)), node.$ref.slice(1));
}

function check_references(node, pointer) {
    if (node === null || typeof node !== 'object') return;
    if (typeof node.$ref === 'string') {
        used.add(node.$ref);
        if (!node.$ref.startsWith('#/') || at(node.$ref.slice(1)) === undefined) {
            problems.push(`${pointer}: ${node.$ref} leads nowhere`);
        }
    }
    for (const [key, value] of Object.entries(node)) check_references(value, `${pointer}/${escaped(key)}`);
}

function compiled(pointer) {
    try {
        return ajv.compile({$ref: `openapi#${encodeURI(pointer)}`});
    } catch (error) {
        problems.push(`${pointer}: ${error.message}`);
        return undefined;
    }
}

function check_value(validate, value, pointer) {
    ++checked;
    if (validate && !validate(value)) problems.push(`${pointer}: ${ajv.errorsText(validate.errors)}`);
}

/// A media type, parameter or header: what has a `schema`, and `example` or `examples`.
function check_described(node, pointer, status) {
    if (node.schema === undefined) return;
    const validate = compiled(`${pointer}/schema`);
    if (node.example !== undefined) check_value(validate, node.example, `${pointer}/example`);
    for (const [name, reference] of Object.entries(node.examples ?? {})) {
        const [example] = resolved(reference, '');
        check_value(validate, example?.value, `${pointer}/examples/${name}`);
        const said = example?.value?.statusCode;
        if (said !== undefined && String(said) !== status) {
            problems.push(`${pointer}/examples/${name}: says ${said} in an answer of ${status}`);
        }
    }
}

function check_content(node, pointer, status) {
    for (const [type, media] of Object.entries(node.content ?? {})) {
        check_described(media, `${pointer}/content/${escaped(type)}`, status);
    }
}

function check_response(reference, reference_pointer, status) {
    const [response, pointer] = resolved(reference, reference_pointer);
    if (typeof response?.description !== 'string') problems.push(`${pointer}: has no description`);
    for (const [name, header] of Object.entries(response.headers ?? {})) {
        const [node, header_pointer] = resolved(header, `${pointer}/headers/${name}`);
        check_described(node, header_pointer, status);
    }
    check_content(response, pointer, status);
}

function check_operation(operation, pointer, path, ids) {
    if (ids.has(operation.operationId)) problems.push(`${pointer}: operationId is not unique`);
    ids.add(operation.operationId);
    const in_path = new Set();
    for (const [index, reference] of (operation.parameters ?? []).entries()) {
        const [parameter, parameter_pointer] = resolved(reference, `${pointer}/parameters/${index}`);
        if (parameter.in === 'path') in_path.add(parameter.name);
        check_described(parameter, parameter_pointer);
    }
    const wanted = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
    if (wanted.length !== in_path.size || wanted.some((name) => !in_path.has(name))) {
        problems.push(`${pointer}: does not describe just the path's parameters`);
    }
    if (operation.requestBody !== undefined) {
        check_content(...resolved(operation.requestBody, `${pointer}/requestBody`));
    }
    for (const [status, response] of Object.entries(operation.responses)) {
        check_response(response, `${pointer}/responses/${status}`, status);
    }
}

check_references(document, '');
const ids = new Set();
for (const [path, item] of Object.entries(document.paths)) {
    for (const method of methods.filter((name) => item[name])) {
        check_operation(item[method], `/paths/${escaped(path)}/${method}`, path, ids);
    }
}
for (const name of Object.keys(document.components.schemas)) compiled(`/components/schemas/${name}`);
check_response(document.components.responses.RouteNotFound, '/components/responses/RouteNotFound', '404');
used.add('#/components/responses/RouteNotFound');
for (const [kind, components] of Object.entries(document.components)) {
    for (const name of Object.keys(components)) {
        const reference = `#/components/${kind}/${name}`;
        if (!used.has(reference)) problems.push(`${reference}: is not used`);
    }
}

problems.forEach((problem) => console.error(problem));
console.log(`${ids.size} operations, ${checked} examples checked`);
process.exit(problems.length === 0 ? 0 : 1);
