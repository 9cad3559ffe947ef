import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { check } from './arrows.js';

const src = fileURLToPath(new URL('../../src', import.meta.url));

describe('the includes of src/', () => {
    it('go along the arrows', () => {
        const { files, problems } = check(src);
        assert.ok(files > 50, `only ${files} files: the check does not work`);
        assert.deepEqual(problems, []);
    });
});

describe('the check', () => {
    /** What is said against a tree of one file with one include. */
    function problems(file, include) {
        const root = mkdtempSync(path.join(tmpdir(), 'coupond-arrows-'));
        try {
            mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
            writeFileSync(path.join(root, file), `// A file.\n#include ${include}\n`);
            return check(root).problems;
        } finally {
            rmSync(root, { recursive: true });
        }
    }

    for (const [file, include] of [
        ['domain/decide.cpp', '"store/store.hpp"'],
        ['domain/decide.cpp', '"engine/engine.hpp"'],
        ['base/log.cpp', '"domain/types.hpp"'],
        ['store/store.hpp', '"engine/engine.hpp"'],
        ['store/store.hpp', '"store/sqlite/sqlite.hpp"'],
        ['store/sqlite/store.cpp', '"wire/wire.hpp"'],
        ['store/postgres/store.cpp', '"store/sqlite/rows.hpp"'],
        ['lock/lock.hpp', '"store/store.hpp"'],
        ['engine/executor.cpp', '"store/sqlite/sqlite.hpp"'],
        ['engine/engine.cpp', '"wire/wire.hpp"'],
        ['engine/engine.cpp', '"http/http.hpp"'],
        ['wire/encode.cpp', '"engine/engine.hpp"'],
        ['wire/encode.cpp', '"store/sqlite/rows.hpp"'],
        ['wire/wire.hpp', '"http/http.hpp"'],
        ['http/http.hpp', '"domain/domain.hpp"'],
        ['http/connection.cpp', '"engine/engine.hpp"'],
        ['http/connection.cpp', '"wire/json_writer.hpp"'],
        ['http/connection.cpp', '  "app/config.hpp"'],
        ['app/api.cpp', '"http/connection.hpp"'],
        ['app/serve.cpp', '"store/sqlite/stores.hpp"'],
        ['qr/qr.cpp', '"wire/wire.hpp"'],
        ['aws/s3.cpp', '"domain/domain.hpp"'],
        ['net/stream.cpp', '"aws/aws.hpp"'],
        ['lock/redis/locks.cpp', '"aws/s3.hpp"'],
        ['engine/engine.cpp', '"net/stream.hpp"'],
        ['extra/file.cpp', '"base/log.hpp"'],
        ['store/sqlite/connection.hpp', '<sqlite3.h>'],
        ['app/serve.cpp', '<sqlite3.h>'],
        ['store/store.hpp', '<libpq-fe.h>'],
        ['store/sqlite/store.cpp', '<postgresql/libpq-fe.h>'],
        ['lock/lock.hpp', '<hiredis/hiredis.h>'],
        ['wire/wire.hpp', '<boost/json.hpp>'],
        ['http/connection.cpp', '<boost/json/value.hpp>'],
        ['wire/qr.cpp', '<png.h>'],
        ['aws/sqs.hpp', '<boost/json.hpp>'],
        ['aws/http_client.hpp', '<boost/beast/http/parser.hpp>'],
        ['engine/engine.hpp', '<boost/asio/io_context.hpp>'],
        ['wire/wire.hpp', '<boost/beast/http/status.hpp>'],
        ['app/api.hpp', '<boost/asio/post.hpp>'],
    ]) {
        it(`stops ${file} from including ${include}`, () => {
            assert.equal(problems(file, include).length, 1);
        });
    }

    for (const [file, include] of [
        ['domain/decide.cpp', '"base/check.hpp"'],
        ['domain/needs.cpp', '"domain/command.hpp"'],
        ['store/store.hpp', '"domain/domain.hpp"'],
        ['store/sqlite/rows.hpp', '"store/store.hpp"'],
        ['engine/engine.hpp', '"store/store.hpp"'],
        ['engine/engine.hpp', '"lock/lock.hpp"'],
        ['wire/wire.hpp', '"store/store.hpp"'],
        ['http/http.hpp', '"wire/wire.hpp"'],
        ['app/serve.cpp', '"store/sqlite/sqlite.hpp"'],
        ['app/serve.cpp', '<boost/asio/signal_set.hpp>'],
        ['app/api.hpp', '<boost/asio/io_context.hpp>'],
        ['http/state.hpp', '<boost/asio/steady_timer.hpp>'],
        ['wire/json_reader.cpp', '<boost/json/basic_parser_impl.hpp>'],
        ['store/sqlite/store.cpp', '<sqlite3.h>'],
        ['http/target.cpp', '<boost/url/parse.hpp>'],
        ['wire/wire.hpp', '"qr/qr.hpp"'],
        ['lock/redis/session.cpp', '"net/tls.hpp"'],
        ['aws/s3.cpp', '"net/stream.hpp"'],
        ['app/serve.cpp', '"aws/s3.hpp"'],
    ]) {
        it(`lets ${file} include ${include}`, () => {
            assert.deepEqual(problems(file, include), []);
        });
    }
});
