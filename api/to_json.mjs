// Writes the API's description as JSON, for the binary to serve at /api-json.
//     node api/to_json.mjs api/openapi.yaml out.json VERSION
// VERSION is the project's; a description of another version is an error.
import {readFileSync, writeFileSync} from 'node:fs';
import {parse} from 'yaml';

const [source, target, version] = process.argv.slice(2);
const text = readFileSync(source, 'utf8');
const document = parse(text, {strict: true, uniqueKeys: true});
if (document.info.version !== version) {
    console.error(`${source}: info.version is ${document.info.version}, the project is ${version}`);
    process.exit(1);
}
writeFileSync(target, JSON.stringify(document));
