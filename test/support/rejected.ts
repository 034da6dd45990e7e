/** What `assert.rejects` holds an error to: one of ours, of this class, whose message says this. */
import assert from 'node:assert/strict';
import { type ErrorCode, ImagerError } from '../../src/errors.ts';

export function rejected(code: ErrorCode, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof ImagerError, String(error));
    assert.match(error.message, message);
    assert.equal(error.code, code, error.message);
    return true;
  };
}
